"""A supernet in an actor: one training for all with the same recipe, and proposals that are new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.surrogate import SupernetSurrogate
from archsearch.spaces.listed import listed
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY: dict[str, Any] = {"scale": {"channels": 2, "cells_per_stage": 1}, "batch_size": 8}
SMALL: dict[str, dict[str, Any]] = {
    "darts": TINY,
    "enas": TINY,
    "nao-ws": {**TINY, "population": 6, "rounds": 2, "score_batch": 20, "encoder": {"hidden": 8, "steps": 5}},
}
DETAILS = {"darts": "operator_weights", "enas": "path_controller", "nao-ws": "scored_population"}


@pytest.mark.parametrize("method", SMALL)
def test_a_training_is_read_from_its_file(method: str, tmp_path: Path) -> None:
    def make() -> SupernetSurrogate:
        return SupernetSurrogate(method, SPACE, "digits", cache=str(tmp_path), **SMALL[method])

    state = make().fit(seed=3, steps=6)
    [file] = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = make().fit(seed=3, steps=6)
    assert again["steps"] == state["steps"] == 6
    file.write_bytes(b"corrupt")
    assert make().fit(seed=3, steps=6)["history"] == state["history"]
    assert file.stat().st_mtime_ns > written

    proposing = make()
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        proposing.propose(1)
    proposing.load(state)
    first = proposing.propose(4, seed=0)
    keys = [SPACE.key(SPACE.parse(text)) for text in first["architectures"]]
    assert len(set(keys)) == 4
    more = proposing.propose(4, seed=0, exclude=keys)
    assert not {SPACE.key(SPACE.parse(text)) for text in more["architectures"]} & set(keys)
    assert len(first["predictions"]) == 4
    assert set(first["details"]) == {DETAILS[method]}
    if method == "darts":
        tops = state["alpha"]
        expected = SPACE.from_genotype([int(each.argmax()) for each in tops])
        assert first["architectures"][0] == str(expected), "the largest weights come first"
    else:
        scores = proposing.score(first["architectures"])
        assert scores.tolist() == first["predictions"] == sorted(first["predictions"], reverse=True)


@pytest.mark.parametrize("method", SMALL)
def test_a_list_confines_what_is_proposed(method: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    space = listed(SPACE, [SPACE.sample(rng) for _ in range(6)])
    surrogate = SupernetSurrogate(method, space, "digits", cache=str(tmp_path), **SMALL[method])
    surrogate.load(surrogate.fit(seed=0, steps=1))
    found = surrogate.propose(3, seed=0)["architectures"]
    assert len(found) == 3 and set(found) <= set(map(str, space._texts))  # type: ignore[attr-defined]

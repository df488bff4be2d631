"""The resident hypernetwork that is trained once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import GHN
from archsearch.searchers.cached_ghn import CachedGHN
from archsearch.spaces.cells import Cells

SPACE = Cells(4)
TINY: dict[str, Any] = {
    "scale": {"blocks": 3, "channels": 4},
    "hidden": 8,
    "width": 16,
    "tile": 4,
    "batch_size": 16,
    "evaluation_images": 100,
}


@pytest.fixture
def steps_taken(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Counts the training steps by their number, as they are taken."""
    taken: Counter[int] = Counter()
    take = GHN._step

    def counted(self: GHN, learned: Any, generate: Any, number: int, *others: int) -> float:
        taken[number] += 1
        return take(self, learned, generate, number, *others)

    monkeypatch.setattr(GHN, "_step", counted)
    return taken


def resident(folder: Path) -> CachedGHN:
    return CachedGHN(SPACE, "digits", cache=str(folder), **TINY)


def same(state: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(state["model"][name], other["model"][name]) for name in state["model"])


def test_a_second_search_reads_what_the_first_has_trained(tmp_path: Path, steps_taken: Counter[int]) -> None:
    first = resident(tmp_path / "new").fit(seed=1, steps=4)
    second = resident(tmp_path / "new").fit(seed=1, steps=4)
    assert steps_taken == dict.fromkeys(range(4), 1)
    assert first["steps"] == second["steps"] == 4
    assert same(first, second)
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_each_recipe_has_a_separate_file(tmp_path: Path) -> None:
    here = resident(tmp_path)
    here.fit(seed=0, steps=2)
    here.fit(seed=1, steps=2)
    here.fit(seed=0, steps=3)
    CachedGHN(SPACE, "digits", cache=str(tmp_path), **TINY, meta_batch=2).fit(seed=0, steps=2)
    assert len(list(tmp_path.iterdir())) == 4
    CachedGHN(SPACE, "digits", cache=str(tmp_path), **{**TINY, "evaluation_images": 50}, threads=2).fit(seed=0, steps=2)
    assert len(list(tmp_path.iterdir())) == 4, "the weights do not depend on how candidates are scored"


def test_an_interrupted_fit_continues(tmp_path: Path, steps_taken: Counter[int], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resident(tmp_path / "whole").fit(steps=6)
    steps_taken.clear()
    take = GHN._step

    def interrupted(self: GHN, learned: Any, generate: Any, number: int, *others: int) -> float:
        if number == 4:
            raise KeyboardInterrupt
        return take(self, learned, generate, number, *others)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(GHN, "_step", interrupted)
        resident(tmp_path / "parts").fit(steps=6)
    assert same(resident(tmp_path / "parts").fit(steps=6), whole)
    assert steps_taken == dict.fromkeys(range(6), 1)


def test_other_actors_score_by_the_state_of_a_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [str(SPACE.sample(rng)) for _ in range(3)]
    other = resident(tmp_path)
    other.load(resident(tmp_path).fit(seed=3, steps=2))
    expected = GHN(SPACE, "digits", 3, **TINY).fit(2).evaluate([SPACE.parse(text) for text in texts])
    assert other.evaluate(texts)["score"].tolist() == [evaluation.score for evaluation in expected]


def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = resident(tmp_path)
    whole = here.fit(steps=2)
    next(tmp_path.iterdir()).write_bytes(b"half a file")
    assert same(here.fit(steps=2), whole)
    assert "training again" in caplog.text


def test_without_a_writable_folder_it_trains_without_saving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert resident(tmp_path / "file" / "below").fit(steps=1)["steps"] == 1
    assert "set ARCHSEARCH_CACHE" in caplog.text


def test_bad_images_and_settings_show_at_once(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cifar10"):
        CachedGHN(SPACE, "cifar10", cache=str(tmp_path), root=str(tmp_path))
    with pytest.raises(ConfigurationError, match="no setting 'hiden'"):
        CachedGHN(SPACE, "digits", cache=str(tmp_path), hiden=8)

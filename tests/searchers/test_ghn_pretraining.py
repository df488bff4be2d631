"""Hypernetworks that are trained once, in folders, and what refuses them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN
from archsearch.evaluators.saved_state import read_state
from archsearch.searchers.cached_ghn import CachedGHN
from archsearch.searchers.ghn_pretraining import pretrain
from archsearch.searchers.pretrained_ghn import CARD, RECIPE, STATE, PretrainedGHN

SPACE = spaces.get("nasbench201")
SCALE = {"channels": 2, "cells_per_stage": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pretrained") / "digits"
    pretrain(path, SPACE, "digits", steps=2, scale=SCALE, seed=3, threads=1)
    return path


@pytest.mark.slow
def test_the_card_says_what_it_is_good_for(folder: Path) -> None:
    text = (folder / CARD).read_text()
    assert "901 training images of 1 x 8 x 8" in text and "What it must not be used for" in text
    assert "Kendall's tau with `digits201` on 200 random architectures" in text
    command = PretrainedGHN.read(folder).command(folder)
    assert command in text and command.startswith("archsearch ghn train nasbench201 digits --steps 2 --seed 3 --scale")


@pytest.mark.slow
def test_the_same_command_changes_nothing_and_another_is_refused(folder: Path) -> None:
    before = read_state(folder / STATE)
    assert pretrain(folder, SPACE, "digits", hours=1.0, scale=SCALE, seed=3, threads=1).steps == 2
    after = read_state(folder / STATE)
    assert all((after["model"][name] == value).all() for name, value in before["model"].items())
    with pytest.raises(ConfigurationError, match="folder: expected an empty one, or one with seed 4; .* has 3"):
        pretrain(folder, SPACE, "digits", steps=2, scale=SCALE, seed=4)


@pytest.mark.slow
def test_a_search_ranks_by_it_without_a_training(folder: Path) -> None:
    searcher = searchers.GHNRandomSearch(SPACE, 0, hypernetwork=folder)
    surrogate = searcher.surrogate()()
    surrogate.load(surrogate.fit(seed=0, **searcher.training_length.arguments()))
    assert surrogate.ghn.steps_done == 2 and SCALE.items() <= surrogate.ghn.scale.items()
    cell = SPACE.sample(np.random.default_rng(0))
    expected = GHN(SPACE, "digits", scale=SCALE).load(read_state(folder / STATE)).evaluate([cell])[0]
    assert surrogate.evaluate([str(cell)])["valid_loss"][0] == expected.metrics["valid_loss"]


@pytest.mark.slow
def test_another_space_size_or_number_of_classes_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="weights for nasbench201; the search is in cells.*archsearch ghn train cells"):
        searchers.GHNRandomSearch(spaces.get("cells"), 0, hypernetwork=folder)
    wider = {"channels": 4, "cells_per_stage": 1}
    with pytest.raises(ConfigurationError, match="size .*'channels': 2.*; the search has .*'channels': 4.*--scale channels=4"):
        searchers.GHNRandomSearch(SPACE, 0, hypernetwork=folder, scale=wider)
    with pytest.raises(ConfigurationError, match="cannot be used for nasbench201 and digits.*image shape.*Or train one"):
        CachedGHN(SPACE, "digits", pretrained=str(folder), scale=SCALE, image_size=4)
    state = bytearray((folder / STATE).read_bytes())
    state[len(state) // 2] ^= 1
    (tmp_path / STATE).write_bytes(state)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        CachedGHN(SPACE, "digits", pretrained=str(tmp_path), scale=SCALE)


def test_a_folder_without_a_recipe_or_with_a_corrupt_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a folder that `archsearch ghn train` made"):
        searchers.GHNRandomSearch(SPACE, 0, hypernetwork=tmp_path)
    for content in ("{", json.dumps({"space": "cells"}), "[]"):
        (tmp_path / RECIPE).write_text(content)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            PretrainedGHN.read(tmp_path)


@pytest.mark.parametrize("hours", [None, 0.0, float("inf"), True, "2"])
def test_a_duration_is_a_number_above_0(hours: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hours: expected a number above 0"):
        pretrain(tmp_path / "new", SPACE, "digits", hours=hours)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()

"""Presets: each makes a searcher, says what it is, and gives way to options that are given."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import GATESEvolution, NGAEAscent
from archsearch.searchers.presets import GATES, NGAE, Preset, preset_named

SPACE = spaces.get("nasbench201")


@pytest.mark.parametrize("preset", GATES.values(), ids=list(GATES))
def test_each_preset_of_gates_makes_a_searcher(preset: Preset) -> None:
    searcher = GATESEvolution(SPACE, preset=preset.name)
    assert preset.description.endswith(".")
    assert preset.model.items() <= searcher.predictor.items()


@pytest.mark.parametrize("preset", NGAE.values(), ids=list(NGAE))
def test_each_preset_of_ngae_makes_a_searcher(preset: Preset) -> None:
    searcher = NGAEAscent(SPACE, preset=preset.name)
    assert preset.description.endswith(".")
    staged = {name: getattr(searcher, name) for name in ("weight", "stage_size", "explore")}
    used = {**searcher.model, **searcher.ascent, **staged}
    assert {**preset.model, **preset.search}.items() <= used.items()
    given = NGAEAscent(SPACE, preset=preset.name, weight=0.25, region="prior", unlabelled=7, model={"width": 9}, initial=3)
    assert (given.weight, given.ascent["region"], given.initial) == (0.25, "prior", 3)
    assert (given.model["unlabelled"], given.model["width"]) == (7, 9)


def test_the_papers_ngae_is_the_paper() -> None:
    paper = NGAE["paper"].search
    assert (paper["weight"], paper["predictor"], paper["targets"], paper["region"]) == (1.0, "heads", "scores", "plain")
    assert (paper["unlabelled"], paper["best_share"], paper["explore"]) == (0, 0.0, 0.0)
    assert paper["sample"] and not paper["rerank"]


def test_options_that_are_given_win_over_those_of_the_preset() -> None:
    given: dict[str, Any] = {"explore": 0.25, "loss": "bce", "epochs": 7, "model": {"layers": 2, "epochs": 9}}
    searcher = GATESEvolution(SPACE, preset="paper", **given)
    assert searcher.explore == 0.25
    assert searcher.predictor == {
        **{"encoder": "gates", "loss": "bce", "preset": "paper", "members": 1, "epochs": 7, "layers": 2, "device": "cpu"}
    }
    assert GATESEvolution(SPACE, preset="paper", explore=None).explore == 0.0, "None takes the preset's"


def test_options_of_a_space_come_after_those_of_all_spaces() -> None:
    preset = Preset("mine", "Mine.", search={"explore": 0.5, "initial": 7}, by_space={"nasbench201": {"initial": 9}})
    assert preset.options("nasbench201", {}) == {"explore": 0.5, "initial": 9}
    assert preset.options("nasbench101", {"explore": 0.1, "seed": None}) == {"explore": 0.1, "initial": 7}


@pytest.mark.parametrize("name", ["papr", 3, None, ["paper"]])
def test_an_unknown_preset_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="preset: expected one of .*default.*; got"):
        preset_named(name, GATES)
    with pytest.raises(ConfigurationError, match="preset: expected one of"):
        GATESEvolution(SPACE, preset=name)

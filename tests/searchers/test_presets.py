"""Presets: each makes a searcher, says what it is, and gives way to options that are given."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import (
    DARTSSearch,
    ENASSearch,
    GATESEvolution,
    GHNRandomSearch,
    NGAEAscent,
    SharedEncodingSearch,
    SupernetSearch,
    get,
)
from archsearch.searchers.presets import DARTS, ENAS, GATES, GHN, NAO_WS, NGAE, PRESETS, Preset, preset_named
from archsearch.searchers.surrogate.inner_search import Annealing

SPACE = spaces.get("nasbench201")


@pytest.mark.parametrize("preset", GATES.values(), ids=list(GATES))
def test_each_preset_of_gates_makes_a_searcher(preset: Preset) -> None:
    searcher = GATESEvolution(SPACE, preset=preset.name)
    assert preset.description.endswith(".")
    assert preset.model.items() <= searcher.predictor.items()


@pytest.mark.parametrize("preset", DARTS.values(), ids=list(DARTS))
def test_each_preset_of_darts_makes_a_searcher(preset: Preset) -> None:
    searcher = DARTSSearch(SPACE, preset=preset.name)
    assert {**preset.model, **preset.search}.items() <= {**searcher.supernet, "steps": searcher.steps}.items()
    assert DARTSSearch(SPACE, preset=preset.name, order=1, steps=7).supernet["order"] == 1


@pytest.mark.parametrize(
    ("kind", "preset"),
    [*((ENASSearch, each) for each in ENAS.values()), *((SharedEncodingSearch, each) for each in NAO_WS.values())],
)
def test_each_preset_of_sampled_paths_makes_a_searcher(kind: type[SupernetSearch], preset: Preset) -> None:
    searcher = kind(SPACE, preset=preset.name)
    assert {**preset.model, **preset.search}.items() <= {**searcher.supernet, "steps": searcher.steps}.items()


@pytest.mark.parametrize("preset", GHN.values(), ids=list(GHN))
def test_each_preset_of_ghn_makes_a_searcher(preset: Preset) -> None:
    searcher = GHNRandomSearch(SPACE, preset=preset.name)
    assert preset.model.items() <= searcher.ghn.items()


def test_presets_are_found_by_the_name_of_the_searcher() -> None:
    for name, presets in PRESETS.items():
        assert next(iter(presets)) == "default" and "paper" in presets
        assert {preset.name for preset in presets.values()} == set(presets)
        assert "preset" in get(name).constructor_options
        with pytest.raises(ConfigurationError, match="preset: expected one of"):
            get(name)(SPACE, preset="papers")  # type: ignore[call-arg]


@pytest.mark.parametrize("preset", NGAE.values(), ids=list(NGAE))
def test_each_preset_of_ngae_makes_a_searcher(preset: Preset) -> None:
    searcher = NGAEAscent(SPACE, preset=preset.name)
    assert preset.description.endswith(".")
    staged = {name: getattr(searcher, name) for name in ("weight", "stage_size", "explore")}
    used = {**searcher.model, **searcher.ascent, **staged}
    assert {**preset.model, **preset.search}.items() <= used.items()
    given = NGAEAscent(SPACE, preset=preset.name, weight=0.0, region="prior", unlabelled=7, model={"width": 9}, initial=3)
    assert (given.weight, given.ascent["region"], given.initial) == (0.0, "prior", 3)
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
    assert preset.options("nasbench201", {}, 5) == ({"explore": 0.5, "initial": 9}, ())
    assert preset.options("nasbench101", {"explore": 0.1, "seed": None}) == ({"explore": 0.1, "initial": 7}, ())


def test_numbers_of_candidates_are_scaled_by_one_factor_which_is_told() -> None:
    searcher = GATESEvolution(SPACE, preset="authors", num_candidates=100)
    assert (searcher.initial, searcher.stage_size) == (20, 20)
    assert searcher.notes == (
        "The preset authors is made for 1,000 candidates (initial=200, stage_size=200); for 100 it is scaled by 0.1 "
        "(initial=20, stage_size=20).",
    )
    assert searcher.inner == Annealing(50, 1000.0, 0.98), "that of NAS-Bench-201"
    whole = GATESEvolution(SPACE, preset="authors", num_candidates=1000)
    assert (whole.initial, whole.stage_size, whole.notes) == (200, 200, ())
    given = GATESEvolution(SPACE, preset="authors", num_candidates=50, initial=7)
    assert (given.initial, given.stage_size) == (7, 10)


def test_a_run_that_gets_more_candidates_keeps_its_stages() -> None:
    for options in ({"preset": "authors"}, {"preset": "paper"}, {"preset": "paper", "initial": 4}, {}):
        before = GATESEvolution(SPACE, num_candidates=50, **options)  # type: ignore[arg-type]
        settled = GATESEvolution.settled_options(options, 50)
        after = GATESEvolution(SPACE, num_candidates=400, **settled)
        assert (after.initial, after.stage_size) == (before.initial, before.stage_size), options


@pytest.mark.parametrize("name", ["papr", 3, None, ["paper"]])
def test_an_unknown_preset_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="preset: expected one of .*default.*; got"):
        preset_named(name, GATES)
    with pytest.raises(ConfigurationError, match="preset: expected (one of|a string)"):
        GATESEvolution(SPACE, preset=name)

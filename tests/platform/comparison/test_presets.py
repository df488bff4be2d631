from __future__ import annotations

from pathlib import Path

import pytest

from archsearch import searchers
from archsearch.errors import ConfigurationError
from archsearch.platform import compare
from archsearch.platform.command_line import main
from archsearch.platform.comparison.presets import preset
from archsearch.spaces import get


def test_papers_is_the_three_methods_and_their_rivals() -> None:
    found = preset("papers", {"evaluator": "table:digits201"})
    assert set(found.searchers) == {"ghn", "gates", "ngae", "evolution", "optuna", "random"}
    assert found.seeds == 5 and found.settings["num_candidates"] == 100
    trained = preset("papers", {"evaluator": "train:digits"})
    assert trained.seeds == 3 and trained.settings["num_candidates"] == 24


def test_rivals_are_the_systems_of_other_papers() -> None:
    found = preset("rivals", {"evaluator": "train:digits"})
    assert set(found.searchers) == {"darts", "enas", "smash", "nasnet", "pnas", "nao", "nao-ws", "evolution", "random"}
    assert set(found.searchers) <= set(searchers.names())
    assert found.seeds == 3 and found.settings["num_candidates"] == 24
    assert found.settings["searcher_options"]["nasnet.update_size"] == 3
    named = preset("rivals", {"evaluator": "table:mine", "searcher_options": {"nao.initial": 7}}, ["nao", "random"])
    assert named.searchers == ("nao", "random") and named.settings["searcher_options"]["nao.initial"] == 7


def test_rivals_that_share_weights_are_told_the_images() -> None:
    found = preset("rivals", {"evaluator": "table:digits201"})
    assert "smash" in found.searchers and found.settings["searcher_options"]["smash.dataset"] == "digits"
    with pytest.raises(ConfigurationError, match=r"smash\.dataset: its network is trained on images"):
        preset("rivals", {"evaluator": "table:mine"}, ["smash"])


@pytest.mark.parametrize("candidates", [1, 10, 24, 100, 300])
def test_each_method_has_candidates_left_for_what_it_learned(candidates: int) -> None:
    options = preset("papers", {"evaluator": "table:digits201", "num_candidates": candidates}).settings["searcher_options"]
    for name in ("ghn", "gates", "ngae"):
        assert options[f"{name}.initial"] <= max(8, candidates / 4)
    evolution = {name.removeprefix("evolution."): value for name, value in options.items() if name.startswith("evolution.")}
    searchers.get("evolution")(get("nasbench201"), 0, num_candidates=candidates, **evolution)


def test_what_the_user_says_comes_first() -> None:
    settings = {
        "evaluator": "train:digits",
        "num_candidates": 7,
        "searcher_options": {"gates.initial": 3},
        "evaluator_options": {"epochs": 1, "report_test": True},
    }
    found = preset("papers", settings).settings
    assert found["num_candidates"] == 7 and found["searcher_options"]["gates.initial"] == 3
    assert found["evaluator_options"] == {"epochs": 1, "report_test": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "paper"}, "preset: expected one of papers, rivals; got 'paper'. Did you mean 'papers'"),
        ({"preset": "papers", "evaluator": "table:mine"}, "ghn.dataset: .* give --set ghn.dataset=cifar10"),
        (
            {"searchers": ["random"], "searcher_options": {"randon.x": 1}},
            "searcher_options: randon.x: expected one of .*; got 'randon'. Did you mean 'random'",
        ),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compare(**settings)  # type: ignore[arg-type]


def test_without_the_hypernetwork_no_images_are_asked_for() -> None:
    assert preset("papers", {"evaluator": "table:mine"}, searchers=["gates", "random"]).searchers == ("gates", "random")


def test_the_command_hands_the_preset_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--preset", "paper", "--storage", str(tmp_path / "runs")]) == 2
    assert "archsearch: preset: expected one of papers" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()

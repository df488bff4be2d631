"""Options of training-free scores, and surrogates whose proposals they rank again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.pretrained_ghn import PretrainedGHN
from archsearch.searchers.surrogate.proxy_reranking import ProxyReranking

SPACE = spaces.get("nasbench201")
SCALE = {"channels": 2, "cells_per_stage": 1}
Guided = searchers.GaussianProcessSearch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": "nwott", "dataset": "digits"}, "proxies: expected one of .*Did you mean 'nwot'"),
        ({"proxies": ("nwot", "nwot"), "dataset": "digits"}, "proxies: expected each part once"),
        ({"proxies": 3, "dataset": "digits"}, "proxies: expected"),
        ({"proxies": "nwot"}, "dataset: expected the name of a dataset.*set the searcher's option dataset"),
        ({"proxies": "nwot", "dataset": 3}, "dataset: expected"),
        ({"dataset": "digits"}, "dataset: read by training-free scores alone"),
        ({"proxies": "nwot", "dataset": "digits", "reranked": 0}, "reranked: expected"),
        ({"proxies": "nwot+loss", "dataset": "digits"}, "proxies: loss is a figure of .* there is no hypernetwork"),
        ({"hypernetwork": 3}, "hypernetwork: expected a folder that `archsearch ghn train` made"),
        ({"hypernetwork": "nowhere"}, "hypernetwork: expected a folder .*; nowhere has no recipe.json"),
    ],
)
def test_training_free_scores_that_cannot_be_had_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Guided(SPACE, **options)


def test_training_free_scores_need_one_objective() -> None:
    goals = Goals((Objective("score"), Objective("macs", False)), costs=lambda each: {"macs": 1.0}, cost_names=("macs",))
    with pytest.raises(ConfigurationError, match=r"proxies: .*one objective; got 2"):
        Guided(SPACE, proxies="nwot", dataset="digits", goals=goals)


def test_images_of_a_training_are_those_of_the_training_free_scores() -> None:
    evaluator = TrainingEvaluator(SPACE, "digits", scale=SCALE)
    found = Guided.options_for(evaluator, {"proxies": "nwot+synflow"})
    searcher = Guided(SPACE, **found)
    assert searcher.proxies == ("nwot", "synflow")
    assert searcher.proxy_images["dataset"] == "digits" and searcher.proxy_images["scale"]["channels"] == 2
    assert Guided.options_for(evaluator, {"initial": 5}) == {"initial": 5}


def recipe(folder: Path, **changes: Any) -> Path:
    """Write a recipe without weights, which is all that the options of a searcher are checked by."""
    PretrainedGHN(**{"space": "nasbench201", "dataset": "digits", "steps": 2, "arguments": {"scale": SCALE}, **changes}).write(
        folder
    )
    return folder


def test_a_hypernetwork_brings_its_loss_and_its_dataset(tmp_path: Path) -> None:
    searcher = Guided(SPACE, hypernetwork=recipe(tmp_path))
    assert (searcher.proxies, searcher.proxy_images["dataset"]) == (("loss",), "digits")
    named = Guided(SPACE, hypernetwork=tmp_path, proxies="params+nwot", dataset="olivetti")
    assert (named.proxies, named.proxy_images["dataset"]) == (("params", "nwot", "loss"), "olivetti")
    assert Guided(SPACE, hypernetwork=tmp_path, proxies="centred+nwot").proxies == ("centred", "nwot")
    evaluator = TrainingEvaluator(SPACE, "digits", scale=SCALE)
    assert Guided.options_for(evaluator, {"hypernetwork": str(tmp_path)})["dataset"] == "digits"


def test_a_hypernetwork_for_another_search_is_refused(tmp_path: Path) -> None:
    other = recipe(tmp_path, space="cells")
    with pytest.raises(ConfigurationError, match=r"hypernetwork: .* for cells; the search is in nasbench201"):
        Guided(SPACE, hypernetwork=other)
    with pytest.raises(ConfigurationError, match=r"hypernetwork: .*the search has .*'channels': 8"):
        Guided(SPACE, hypernetwork=recipe(tmp_path), scale={"channels": 8})
    goals = Goals((Objective("score"), Objective("macs", False)), costs=lambda each: {"macs": 1.0}, cost_names=("macs",))
    with pytest.raises(ConfigurationError, match=r"proxies: .*one objective; got 2"):
        Guided(SPACE, hypernetwork=tmp_path, goals=goals)


@pytest.mark.parametrize("name", ["gates", "gp", "ngae"])
def test_proposals_are_ranked_again(name: str) -> None:
    small: dict[str, Any] = {
        "gates": {"epochs": 2},
        "gp": {},
        "ngae": {"unlabelled": 20, "epochs": 1, "starts": 10, "steps": 2, "model": {"width": 8, "latent": 4}},
    }
    options = {"proxies": "params+synflow", "dataset": "digits", "scale": SCALE, "reranked": 6, **small[name]}
    searcher = searchers.get(name)(SPACE, 0, num_candidates=20, **options)
    surrogate = searcher.surrogate()()
    assert isinstance(surrogate, ProxyReranking)
    cells = [SPACE.from_genotype([at % 5, 3, at // 5, 1, 2, 3]) for at in range(8)]
    rows = {"architectures": [str(cell) for cell in cells], "values": np.linspace(0.1, 0.8, 8)[:, np.newaxis]}
    surrogate.fit(rows, seed=0, **searcher.fit_options())
    found = surrogate.propose(3, seed=0, exclude=[], best=rows["architectures"][-2:], **searcher.propose_options())
    assert len(found["architectures"]) == len(found["predictions"]) == 3
    assert found["predictions"] == sorted(found["predictions"], reverse=True)

"""Preparation of a search: its parts fit each other, or an error says what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.tune.search.optuna import OptunaSearch

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import TabularEvaluator
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.preparation import make_parts, prepare
from archsearch.searchers import RandomSearch, RegularizedEvolution, TuneAlgorithm

SPACE = spaces.get("nasbench201")
TABLE = "table:digits201"


def configuration(**changes: Any) -> SearchConfiguration:
    return SearchConfiguration(**{"evaluator": TABLE, "searcher": "random", "num_candidates": 7, "tracking": "off", **changes})


def test_names_become_objects() -> None:
    settings = configuration(searcher_options={"population_size": 11}, constraints={"macs": "<= 1e9"})
    space, searcher, evaluator = make_parts(settings, "nasbench201", "evolution", TABLE)
    assert (space.name, type(evaluator)) == ("nasbench201", TabularEvaluator)
    assert isinstance(searcher, RegularizedEvolution)
    assert (searcher.population_size, searcher.num_candidates, len(searcher.goals.constraints)) == (11, 7, 1)


def test_objects_are_taken_as_they_are() -> None:
    evaluator, searcher = TabularEvaluator.embedded("digits201"), RandomSearch(SPACE)
    assert make_parts(configuration(), SPACE, searcher, evaluator) == (SPACE, searcher, evaluator)
    assert searcher.num_candidates == 7


def test_a_function_makes_a_tune_algorithm() -> None:
    def algorithm(domains: dict[str, Any], seed: int) -> OptunaSearch:
        return OptunaSearch(domains, metric="score", mode="max")

    assert isinstance(make_parts(configuration(), SPACE, algorithm, TABLE)[1], TuneAlgorithm)
    with pytest.raises(ConfigurationError, match=r"searcher: expected a function of \(domains, seed\)"):
        make_parts(configuration(), SPACE, OptunaSearch(metric="score", mode="max"), TABLE)


@pytest.mark.parametrize("setting", [{"batch_size": 3}, {"searcher_options": {"population_size": 5}}])
def test_settings_of_a_searcher_that_is_made_already_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(setting))}: a setting of the searcher, which is made already"):
        make_parts(configuration(**setting), SPACE, RegularizedEvolution(SPACE), TABLE)


def test_an_object_that_is_not_deterministic_is_not_taken_for_it() -> None:
    with pytest.raises(ConfigurationError, match="deterministic: expected a deterministic searcher"):
        make_parts(configuration(deterministic=True), SPACE, searchers.RandomSearch(SPACE), TABLE)


def test_an_evaluator_of_another_space_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="evaluator: expected one of the space enas; got one of nasbench201"):
        make_parts(configuration(), spaces.get("enas"), "random", TabularEvaluator.embedded("digits201"))


def test_a_search_has_its_folder_and_its_ledger(tmp_path: Path) -> None:
    settings = configuration(storage=str(tmp_path), name="run")
    search = prepare(settings, "nasbench201", "random", TABLE, resume=False)
    assert (search.folder.path, search.folder.configuration().name) == (tmp_path / "run", "run")
    assert search.ledger.evaluator == search.evaluator.fingerprint() == (tmp_path / "run" / "evaluator.txt").read_text()
    with pytest.raises(RunError, match="run exists already"):
        prepare(settings, "nasbench201", "random", TABLE, resume=False)
    assert prepare(settings, "nasbench201", "random", TABLE, resume=True).resumed
    with pytest.raises(RunError, match="seed: the run run was started with 0; got 1"):
        prepare(configuration(storage=str(tmp_path), name="run", seed=1), "nasbench201", "random", TABLE, resume=True)

"""Comparisons of searchers, on a real Ray and a real MLflow store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.errors import ConfigurationError, RunError, SearchStopped
from archsearch.evaluators import TabularEvaluator
from archsearch.platform import compare, run_search
from archsearch.platform.comparison.running import _options
from archsearch.platform.comparison.tracking import comparison_points
from archsearch.platform.configuration import SearchConfiguration
from archsearch.searchers import names

pytestmark = pytest.mark.usefixtures("shared_ray")


@pytest.fixture(scope="module")
def storage(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparisons")
    shutil.copy(mlflow_store, folder)
    return folder


def test_comparison_at_equal_budget(storage: Path, table: Path) -> None:
    settings: dict[str, Any] = {
        "evaluator": f"table:{table}#valid_accuracy",
        "num_candidates": 40,
        "storage": str(storage / "compare"),
        "tracking": f"sqlite:///{storage}/mlflow.db",
    }
    comparison = compare(["random", "evolution"], seeds=2, study="duel", progress=False, **settings)
    assert {outcome.searcher for outcome in comparison.outcomes} == {"random", "evolution"}
    for outcome in comparison.outcomes:
        assert len(outcome.curves) == 2 and all(len(curve) == 40 for curve in outcome.curves)
        bests = [float(np.nanmax(curve)) for curve in outcome.curves]
        assert outcome.best().value == pytest.approx(np.mean(bests))
    assert comparison.outcomes[0].best().value >= comparison.outcomes[1].best().value
    text = comparison.table()
    assert "its test accuracy (%)" in text and len(text.splitlines()) == 4
    assert (comparison.folder / "best_so_far.png").stat().st_size > 5000
    assert pq.read_table(comparison.folder / "best.parquet").num_rows == 4
    assert comparison.simulated_workers == 1
    delay = "1 simulated worker: each searcher was told the score of a proposal before its next proposal."
    assert comparison.text().endswith(delay) and (comparison.folder / "table.txt").read_text().endswith(f"{delay}\n")
    client = MlflowClient(settings["tracking"])
    runs = client.search_runs([client.get_experiment_by_name("nasbench201/made-up").experiment_id], "tags.study = 'duel'")
    assert len(runs) == 5
    assert {run.data.params["simulated_workers"] for run in runs} == {"1"}
    metrics = next(run.data.metrics for run in runs if run.info.run_name == "duel")
    for outcome in comparison.outcomes:
        assert metrics[f"comparison/{outcome.searcher}/best_score_mean"] == pytest.approx(outcome.best().value)
        assert metrics[f"comparison/{outcome.searcher}/best_so_far_mean"] == pytest.approx(outcome.best().value)


@pytest.mark.slow
def test_comparison_at_equal_cost(storage: Path, table: Path) -> None:
    """A surrogate's fits count, once, also when the comparison is called again; an option goes to the searcher that it names."""
    settings: dict[str, Any] = {
        "evaluator": f"table:{table}#valid_accuracy",
        "num_candidates": 12,
        "storage": str(storage / "cost"),
        "tracking": "off",
        "searcher_options": {"gates.initial": 8, "gates.epochs": 5, "gates.generations": 2, "evolution.population_size": 3},
    }
    found = [
        compare(["random", "gates"], 1, "paid", preset="papers", progress=False, **settings),
        compare(["random", "gates"], 1, "paid", preset="papers", progress=False, **settings),
    ]
    for comparison in found:
        rows = {row.searcher: row for row in comparison.at_cost()}
        curves = {outcome.searcher: outcome.costs[0] for outcome in comparison.outcomes}
        assert curves["random"].evaluating == curves["gates"].evaluating == 24.0  # the table says 2 seconds each
        assert curves["gates"].own[7] < curves["gates"].own[8], "the fit follows the random candidates"
        assert comparison.cost == curves["random"].total
        assert rows["random"].candidates == 12 and rows["gates"].candidates < 12
        points = {point.key: point.value for point in comparison_points(comparison)}
        assert points["comparison/equal_cost_seconds"] == comparison.cost
        for searcher, row in rows.items():
            assert row.best is not None
            logged = [points[f"comparison/{searcher}/equal_cost_{name}"] for name in ("score_mean", "candidates", "own_seconds")]
            assert logged == [row.best.value, row.candidates, row.own]
    assert found[0].cost_table() == found[1].cost_table()
    assert f"At equal cost, {found[0].cost:,.0f} seconds each" in (found[0].folder / "table.txt").read_text()


@pytest.mark.slow
def test_all_searchers_of_a_table_have_the_declared_delay(storage: Path, table: Path) -> None:
    """Three simulated workers: proposals are single, none reuses what another search has paid earlier than it would arrive."""
    evaluator = TabularEvaluator.from_parquet(spaces.get("nasbench201"), table, "valid_accuracy")
    settings: dict[str, Any] = {
        "evaluator": f"table:{table}#valid_accuracy",
        "num_candidates": 30,
        "searcher_options": {"evolution.population_size": 6, "evolution.tournament_size": 3},
        "tracking": "off",
        "progress": False,
    }
    names = ["evolution", "optuna", "random"]
    alone = {
        name: compare([name], 1, "alone", simulated_workers=3, storage=str(storage / name), **settings).outcomes[0].curves[0]
        for name in names
    }
    # The ledger of this one holds what the first comparison has found.
    compare(["random", "evolution"], 2, "first", storage=str(storage / "delay"), **settings)
    together = compare(names, 1, "delay", simulated_workers=3, storage=str(storage / "delay"), **settings)
    assert together.delay == "3 simulated workers: each searcher was told the score of a proposal after 2 further proposals."
    for outcome in together.outcomes:
        assert outcome.curves[0].tolist() == alone[outcome.searcher].tolist()
        records = Ledger(storage / outcome.searcher / "ledger", evaluator.space, evaluator.fingerprint()).entries()
        assert sorted(record.batch for record in records) == list(range(30)), "one candidate a proposal"


def test_a_simulated_search_that_was_stopped_goes_on_as_if_it_had_not_been(storage: Path, table: Path) -> None:
    class Stopped(TabularEvaluator):
        left = 17

        def evaluate(self, architectures: Any) -> Any:
            Stopped.left -= 1
            if Stopped.left == 0:
                raise KeyboardInterrupt
            return super().evaluate(architectures)

    space = spaces.get("nasbench201")
    settings: dict[str, Any] = {"num_candidates": 40, "simulated_workers": 4, "tracking": "off", "report": False}
    settings["progress"] = False
    settings["searcher_options"] = {"population_size": 8, "tournament_size": 4}
    evaluator = Stopped.from_parquet(space, table, "valid_accuracy")
    folder = storage / "stopped"
    with pytest.raises(SearchStopped, match="16 of 40 candidates are in the ledger"):
        run_search(space, "evolution", evaluator, name="run", storage=folder, **settings)
    with pytest.raises(RunError, match="simulated_workers: the run run was started with 4; got 2"):
        run_search(space, "evolution", evaluator, name="run", storage=folder, resume=True, **{**settings, "simulated_workers": 2})
    resumed = run_search(space, "evolution", evaluator, name="run", storage=folder, resume=True, **settings)
    whole = run_search(space, "evolution", evaluator, name="run", storage=storage / "whole", **settings)
    assert [result.evaluations["architecture"].to_pylist() for result in (resumed, whole)] == [
        whole.evaluations["architecture"].to_pylist()
    ] * 2
    assert resumed.summary.settings["workers"] == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 2}, "workers: with a table, workers are simulated; got workers=2. Give simulated_workers instead"),
        ({"batch_size": 20}, "batch_size: simulated workers take one candidate at a time; got 20"),
        ({"simulated_workers": 0}, "simulated_workers: expected a whole number of at least 1"),
        ({"simulated_workers": 1.5}, "simulated_workers: expected a whole number of at least 1"),
        ({"evaluator": "train:digits", "simulated_workers": 2}, "simulated_workers: expected an evaluator that looks scores up"),
    ],
)
def test_what_cannot_be_simulated_is_refused(settings: dict[str, Any], message: str, storage: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compare(["random"], 1, storage=str(storage / "none"), **{"evaluator": "table:digits201", **settings})
    assert not (storage / "none").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedulers": ["none", "ashaa"]}, "Did you mean 'asha'?"),
        ({"schedulers": "asha"}, "schedulers: expected a list of names"),
        ({"schedulers": []}, "schedulers: expected at least one name"),
        ({"schedulers": ["none"], "scheduler": "asha"}, "expected one of schedulers and scheduler"),
        ({"schedulers": ["none"], "scheduler_options": {"grace_period": 2}}, "expected none without a scheduler"),
        (
            {"schedulers": ["asha"], "scheduler_options": {"median.grace_period": 2}},
            "scheduler_options: median.grace_period: expected",
        ),
        ({"schedulers": ["none", "asha"], "scheduler_options": {"grace_period": 9}}, "grace_period: expected at most 4"),
        ({"schedulers": ["median", "asha"], "scheduler_options": {"reduction_factor": 3}}, "median: no setting 'reduction"),
    ],
)
def test_schedulers_that_cannot_be_compared_are_refused(settings: dict[str, Any], message: str, storage: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compare(["random"], 1, storage=str(storage / "none"), evaluator="table:digits201", **settings)
    assert not (storage / "none").exists()


def test_comparison_refuses_before_it_runs(storage: Path) -> None:
    with pytest.raises(ConfigurationError, match="searcher: expected one of"):
        compare(["random", "evolushun"], storage=str(storage / "none"))
    with pytest.raises(ConfigurationError, match="at least one seed"):
        compare([], storage=str(storage / "none"))
    assert not (storage / "none").exists()


def test_what_a_comparison_trains_is_its_own(tmp_path: Path) -> None:
    """Another search of the same seed has perhaps trained it, so that it would be free."""
    base = SearchConfiguration(storage=str(tmp_path))
    folders = {name: _options(name, base, "study").get("cache") for name in names()}
    assert {name for name, folder in folders.items() if folder} == {"darts", "enas", "ghn", "nao-ws", "smash"}
    assert folders["enas"] == str(tmp_path / "study-enas")
    given = SearchConfiguration(storage=str(tmp_path), searcher_options={"enas.cache": "own"})
    assert _options("enas", given, "study") == {"cache": "own"}

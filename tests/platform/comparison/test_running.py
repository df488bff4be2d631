"""Comparisons of searchers, on a real Ray and a real MLflow store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from archsearch.errors import ConfigurationError
from archsearch.platform import compare
from archsearch.platform.comparison.tracking import comparison_points

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
    client = MlflowClient(settings["tracking"])
    runs = client.search_runs([client.get_experiment_by_name("nasbench201/made-up").experiment_id], "tags.study = 'duel'")
    assert len(runs) == 5
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


def test_comparison_refuses_before_it_runs(storage: Path) -> None:
    with pytest.raises(ConfigurationError, match="searcher: expected one of"):
        compare(["random", "evolushun"], storage=str(storage / "none"))
    with pytest.raises(ConfigurationError, match="at least one seed"):
        compare([], storage=str(storage / "none"))
    assert not (storage / "none").exists()

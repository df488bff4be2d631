"""Results of searches: read from their folders, ranked and exported."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from archsearch import spaces
from archsearch.errors import RunError
from archsearch.evaluators import Evaluation, TabularEvaluator
from archsearch.platform.result import SearchResult, evaluations_table, finished_run
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.summary import SearchSummary
from archsearch.searchers import Observation


def test_a_finished_run_is_read_from_its_folder(run: RunFolder) -> None:
    result = finished_run(run.path)
    texts = result.evaluations["architecture"].to_pylist()
    assert [str(found) for found in result.top()] == [texts[1], texts[2], texts[0]]
    assert (result.name, result.summary.searcher, tuple(result.cost_arguments["input_shape"])) == ("r", "random", (1, 8, 8))
    assert result.best.origin["rank"] == 1
    (run.report / "evaluations.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(RunError, match="evaluations.parquet is corrupt; write it again with: archsearch resume"):
        finished_run(run.path)
    (run.report / "evaluations.parquet").unlink()
    with pytest.raises(RunError, match="has no evaluations.parquet yet; continue with: archsearch resume"):
        finished_run(run.path)


def test_the_winner_and_all_evaluations_are_exported(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
    result = finished_run(run.path)
    folder = result.export(tmp_path / "winner")
    content = json.loads((folder / "architecture.json").read_text())
    assert spaces.get(content["space"]).parse(content["architecture"]) == result.best.architecture
    assert (content["score"], content["training"]) == (result.best.score, None)
    assert (folder / "architecture.png").stat().st_size > 1000
    assert pq.read_table(folder / "evaluations.parquet").equals(result.evaluations)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="directory: cannot write"):
        result.export(tmp_path / "file" / "below")


def test_the_front_and_the_curve_leave_out_failures(make_summary: Callable[..., SearchSummary]) -> None:
    columns = {"macs": [3e6, 2e6, 1e6, 1e6]}
    summary = make_summary([0.9, 0.8, 0.5, float("nan")], [None, None, None, "it diverged"], columns=columns)
    result = SearchResult(summary, spaces.get("nasbench201"), Path("run"), None, {"input_shape": (1, 8, 8), "num_classes": 10})
    assert [found.score for found in result.pareto("macs")] == [0.5, 0.8, 0.9]
    assert [found.origin["rank"] for found in result.top(2)] == [1, 2]
    assert result.anytime.at(2.5e6) == pytest.approx(0.8)
    failed = make_summary([float("nan")], ["it diverged"])
    none = SearchResult(failed, spaces.get("nasbench201"), Path("run"), None, {})
    with pytest.raises(RunError, match="none of the 1 candidates of .* the first failed with: it diverged"):
        _ = none.best


def test_evaluations_stand_in_order_of_proposal_with_their_costs() -> None:
    evaluator = TabularEvaluator.embedded("digits201")
    rng = np.random.default_rng(0)
    first, second, third = evaluator.evaluate([evaluator.space.sample(rng) for _ in range(3)])
    bare = Evaluation(second.architecture, second.key, second.score, {}, second.seconds)
    observations = [Observation(1, 0, third, True), Observation(0, 1, bare, False), Observation(0, 0, first, True)]
    table = evaluations_table(observations, {third.key: third}, {third.key}, evaluator)
    assert table["key"].to_pylist() == [first.key, second.key, third.key]
    assert table["reused"].to_pylist() == [True, False, False], "a candidate that this run paid for is not reused"
    cost = evaluator.space.cost(second.architecture, **evaluator.cost_arguments)
    assert (table["params"][1].as_py(), table["macs"][1].as_py()) == (cost.params, cost.macs)


def test_results_are_short_to_look_at(run: RunFolder) -> None:
    result = finished_run(run.path)
    best, top = repr(result.best), repr(result.top(3))
    assert best.startswith("Found(nasbench201-") and "score 90.00 %" in best and "depth" in best and "|" not in best
    assert top.count("\n") == 2 and top.startswith("[Found(")
    assert repr(result) == f"SearchResult('r': random, 3 of 3 candidates, best {best})"
    assert str(result.best) == str(result.best.architecture)


def test_notebooks_show_tables_with_pictures(run: RunFolder) -> None:
    result = finished_run(run.path)
    for shown, pictures in ((result.best, 1), (result.top(2), 2), (result, 3)):
        text = shown._repr_html_()
        ElementTree.fromstring(f"<div>{text}</div>")
        assert text.count("<svg") == pictures

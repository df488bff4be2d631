"""Whole searches, on a real Ray and a real MLflow store."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from mlflow import MlflowClient

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import Evaluation, Evaluator, TabularEvaluator
from archsearch.platform import SearchResult, resume_search, run_search
from archsearch.platform.command_line import main
from archsearch.platform.comparison.running import compare
from archsearch.searchers.conformance import Loop
from archsearch.spaces import Architecture

pytestmark = pytest.mark.usefixtures("shared_ray")


@pytest.fixture(scope="module")
def storage(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage with späce")
    shutil.copy(mlflow_store, folder)
    return folder


@pytest.fixture(scope="module")
def result(storage: Path, table: Path) -> SearchResult:
    """One search that several tests look at."""
    return run_search(
        evaluator=f"table:{table}#valid_accuracy",
        num_candidates=60,
        seed=1,
        name="first",
        storage=storage,
        tracking=f"sqlite:///{storage}/mlflow.db",
        progress=False,
        study="tests",
    )


def test_the_table_holds_each_candidate_once(result: SearchResult) -> None:
    table = result.evaluations
    assert table.column_names[:6] == ["candidate", "architecture", "key", "score", "seconds", "error"]
    assert table["candidate"].to_pylist() == list(range(60))
    assert len(set(table["key"].to_pylist())) == 60
    assert {"test_accuracy", "params", "macs"} <= set(table.column_names)
    assert not any(table["reused"].to_pylist())
    assert table["seconds"].to_pylist() == [2.0] * 60


def test_the_best_is_the_best(result: SearchResult) -> None:
    best = result.best
    assert best.score == max(result.evaluations["score"].to_pylist())
    assert best.metrics["test_accuracy"] == pytest.approx(best.score - 0.01)
    assert [found.score for found in result.top(5)] == sorted(result.evaluations["score"].to_pylist(), reverse=True)[:5]
    network = best.build(num_classes=7, channels=4, cells_per_stage=1)
    assert (
        sum(parameter.numel() for parameter in network.parameters())
        == best.space.cost(best.architecture, num_classes=7, channels=4, cells_per_stage=1).params
    )


def test_pareto_and_anytime_agree(result: SearchResult) -> None:
    front = result.pareto()
    macs = [found.metrics["macs"] for found in front]
    scores = [found.score for found in front]
    assert macs == sorted(macs) and scores == sorted(scores)
    assert scores[-1] == result.best.score
    for found in front:
        assert result.anytime.at(found.metrics["macs"]) == pytest.approx(found.score)
    with pytest.raises(ConfigurationError, match="expected a metric of the search; got 'watts'"):
        result.pareto("watts")


def test_the_report_and_the_run_folder(result: SearchResult) -> None:
    assert result.report.is_file()
    assert pq.read_table(result.folder / "report/evaluations.parquet").num_rows == 60
    assert {path.name for path in (result.folder / "report/figures").iterdir()} >= {"trade_off.png", "best_architecture.svg"}


def test_mlflow_has_the_run(result: SearchResult, storage: Path) -> None:
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    assert result.run_id is not None
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["searcher"] == "evolution" and run.data.tags["study"] == "tests"
    assert run.data.metrics["best_score"] == pytest.approx(result.best.score)
    curve = client.get_metric_history(result.run_id, "search/best_score")
    assert max(point.step for point in curve) == 60
    assert {artifact.path for artifact in client.list_artifacts(result.run_id)} >= {"report.html", "evaluations.parquet"}


def test_a_second_search_pays_nothing_twice(result: SearchResult, storage: Path, table: Path) -> None:
    again = run_search(
        evaluator=f"table:{table}#valid_accuracy", num_candidates=60, seed=1, name="again", storage=storage, tracking="off",
        batch_size=20, deterministic=True, progress=False,
    )  # fmt: skip
    known = set(result.evaluations["key"].to_pylist())
    for row in again.evaluations.to_pylist():
        assert row["reused"] == (row["key"] in known)
    assert any(again.evaluations["reused"].to_pylist())
    paid = pq.read_table(storage / "ledger")["key"].to_pylist()
    assert len(paid) == len(set(paid))


# Surrogates that learn little and fast.
SMALL: dict[str, dict[str, Any]] = {
    "darts": {"steps": 2, "scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}},
    "enas": {"steps": 2, "scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}},
    "gates": {"initial": 10, "population": 20, "generations": 2, "enumerable": 0, "epochs": 5},
    "ghn": {
        "rank_candidates": 20,
        "steps": 2,
        "scale": {"channels": 2, "cells_per_stage": 1},
        "model": {"hidden": 8, "width": 16, "tile": 2, "batch_size": 16, "evaluation_images": 50},
    },
    "gp": {"initial": 10, "population": 20, "generations": 2, "enumerable": 0},
    "nao": {"initial": 10, "unlabelled": 20, "model": {"hidden": 8, "steps": 5, "warm_steps": 5}},
    "nao-ws": {
        "steps": 2,
        "population": 20,
        "rounds": 2,
        "scale": {"channels": 2, "cells_per_stage": 1},
        "model": {"batch_size": 8, "score_batch": 20, "encoder": {"hidden": 8, "steps": 5}},
    },
    "nasnet": {"update_size": 5, "model": {"hidden": 8, "epochs": 2}},
    "pnas": {"initial": 10, "model": {"members": 2, "recurrent": 8, "epochs": 5}},
    "ngae": {"initial": 10, "unlabelled": 30, "epochs": 1, "warm_epochs": 1, "starts": 30, "steps": 5},
    "smash": {
        "rank_candidates": 20,
        "steps": 2,
        "scale": {"channels": 2, "cells_per_stage": 1},
        "model": {"hidden": 8, "width": 16, "tile": 2, "batch_size": 16, "evaluation_images": 50},
    },
    "proxies": {
        "dataset": "digits",
        "rank_candidates": 20,
        "images": 8,
        "scale": {"channels": 2, "cells_per_stage": 1},
    },
}


# That a surrogate's search repeats itself is seen in the usual run too, in test_surrogate_search.py.
CACHED = ("darts", "enas", "ghn", "nao-ws", "smash")
COSTLY = {
    "darts": pytest.mark.long,
    "enas": pytest.mark.long,
    "smash": pytest.mark.long,
    "gates": pytest.mark.long,
    "ghn": pytest.mark.long,
    "ngae": pytest.mark.long,
    "nao": pytest.mark.long,
    "nao-ws": pytest.mark.long,
    "nasnet": pytest.mark.slow,
    "pnas": pytest.mark.long,
    "gp": pytest.mark.slow,
    "evolution": pytest.mark.slow,
    "optuna": pytest.mark.slow,
    "proxies": pytest.mark.long,
}


@pytest.mark.parametrize("searcher", [pytest.param(name, marks=COSTLY.get(name, ())) for name in searchers.names()])
def test_a_seed_gives_the_same_table_search_again(searcher: str, tmp_path: Path, table: Path) -> None:
    found = [
        run_search(
            searcher=searcher,
            evaluator=f"table:{table}#valid_accuracy",
            num_candidates=30,
            seed=7,
            searcher_options={**SMALL.get(searcher, {}), **({"cache": str(tmp_path / "cache")} if searcher in CACHED else {})},
            storage=tmp_path / name,
            tracking="off",
            report=False,
            progress=False,
        )
        .evaluations["architecture"]
        .to_pylist()
        for name in ("one", "two")
    ]
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_search_that_the_ledger_answers_whole_starts_no_trial(storage: Path, table: Path) -> None:
    settings: dict[str, Any] = {
        "evaluator": f"table:{table}#valid_accuracy", "searcher": "random", "num_candidates": 20, "seed": 5, "batch_size": 20,
        "storage": storage, "tracking": "off", "progress": False,
    }  # fmt: skip
    first = run_search(name="whole", **settings)
    second = run_search(name="whole-again", **settings)
    assert second.evaluations["key"].to_pylist() == first.evaluations["key"].to_pylist()
    assert all(second.evaluations["reused"].to_pylist())
    assert not (second.folder / "tune").exists()


@pytest.mark.parametrize("searcher", ["random", "evolution", "optuna", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_table_of_a_part_of_the_space_is_searched_to_its_end(searcher: str, tmp_path: Path, table: Path) -> None:
    part = tmp_path / "part.parquet"
    pq.write_table(pq.read_table(table).slice(100, 40), part)
    found = run_search(
        "nasbench201",
        searcher,
        f"table:{part}#valid_accuracy",
        num_candidates=30,
        storage=tmp_path,
        progress=False,
        tracking="off",
        report=False,
    )
    listed = set(pq.read_table(part)["architecture"].to_pylist())
    assert found.evaluations["error"].null_count == len(found.evaluations) == 30
    assert set(found.evaluations["architecture"].to_pylist()) <= listed


def test_resume_of_a_finished_run_changes_nothing(result: SearchResult, storage: Path) -> None:
    before = pq.read_table(storage / "ledger").num_rows
    again = resume_search(result.folder, progress=False)
    assert sorted(again.evaluations["key"].to_pylist()) == sorted(result.evaluations["key"].to_pylist())
    assert pq.read_table(storage / "ledger").num_rows == before
    assert again.run_id == result.run_id


def test_the_same_name_is_refused(result: SearchResult, storage: Path, table: Path) -> None:
    with pytest.raises(RunError, match="first exists already.*archsearch resume"):
        run_search(evaluator=f"table:{table}#valid_accuracy", name="first", storage=storage, tracking="off", progress=False)


def test_a_dry_search_tells_the_first_reason(storage: Path, table: Path) -> None:
    class Broken(TabularEvaluator):
        def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
            return [self.failed(architecture, "the scales are broken") for architecture in architectures]

    evaluator = Broken(spaces.get("nasbench201"), pq.read_table(table), "valid_accuracy", name="broken")
    result = run_search(evaluator=evaluator, num_candidates=6, name="broken", storage=storage, tracking="off", progress=False)
    assert len(result.evaluations) == 6
    assert all(math.isnan(score) for score in result.evaluations["score"].to_pylist())
    with pytest.raises(RunError, match="none of the 6 candidates .* the scales are broken"):
        _ = result.best


class Counting(Evaluator):
    """Scores by the number of 3x3 convolutions, and takes its time."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__(spaces.get("nasbench201"))
        self.pause = pause

    @property
    def task(self) -> str:
        return "counting"

    def settings(self) -> Mapping[str, Any]:
        return {"pause": self.pause}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        time.sleep(self.pause * len(architectures))
        counts = [str(architecture).count("nor_conv_3x3") for architecture in architectures]
        keys = [self.space.key(architecture) for architecture in architectures]
        return [Evaluation(*row, seconds=self.pause) for row in zip(architectures, keys, counts, strict=True)]


@pytest.mark.slow
def test_objects_instead_of_names(storage: Path) -> None:
    space = spaces.get("nasbench201")
    # Deterministic: what evolution breeds from would otherwise depend on the order in which answers come.
    settings: dict[str, Any] = {"population_size": 20, "tournament_size": 10, "batch_size": 10, "deterministic": True}
    searcher, twin = (searchers.RegularizedEvolution(space, 0, num_candidates=60, **settings) for _ in range(2))
    result = run_search(space, searcher, Counting(), 60, name="objects", storage=storage, tracking="off", progress=False)
    alone = Loop(twin, lambda architecture: str(architecture).count("nor_conv_3x3")).run()
    assert sorted(result.evaluations["architecture"].to_pylist()) == sorted(alone.candidates)
    assert result.best.score == max(text.count("nor_conv_3x3") for text in alone.candidates)


@pytest.mark.slow
def test_a_time_budget_ends_the_search_in_good_order(storage: Path) -> None:
    for budget in (5, 20, 80):  # the worker of a busy machine takes its time to start
        result = run_search(
            "nasbench201",
            "random",
            Counting(0.4),
            5000,
            name=f"budget{budget}",
            storage=storage,
            tracking="off",
            progress=False,
            time_budget=budget,
        )
        if len(result.evaluations):
            break
    assert 0 < len(result.evaluations) < 5000
    assert result.best.score == max(result.evaluations["score"].to_pylist())


@pytest.mark.parametrize(
    "searcher", ["evolution", pytest.param("random", marks=pytest.mark.slow), pytest.param("optuna", marks=pytest.mark.slow)]
)
def test_every_searcher_weighs_objectives_and_keeps_constraints(searcher: str, storage: Path, table: Path) -> None:
    result = run_search(
        searcher=searcher,
        evaluator=f"table:{table}#valid_accuracy",
        num_candidates=30,
        name=f"weighed-{searcher}",
        storage=storage,
        tracking=f"sqlite:///{storage}/mlflow.db",
        progress=False,
        objectives=["accuracy", "-macs"],
        constraints={"params": "<= 4e5"},
    )
    rows = result.evaluations.to_pylist()
    assert len(rows) == 30
    assert all(row["params"] <= 4e5 for row in rows)
    expected = {
        (row["score"], row["macs"])
        for row in rows
        if not any(
            other["score"] >= row["score"]
            and other["macs"] <= row["macs"]
            and other["key"] != row["key"]
            and (other["score"], other["macs"]) != (row["score"], row["macs"])
            for other in rows
        )
    }
    assert {(found.score, found.metrics["macs"]) for found in result.pareto()} == expected
    metrics = MlflowClient(f"sqlite:///{storage}/mlflow.db").get_run(str(result.run_id)).data.metrics
    assert metrics["hypervolume"] == pytest.approx(result.hypervolume())
    assert metrics["pareto_size"] == len(result.pareto())
    assert "Pareto front of the objectives" in result.report.read_text()


def test_goals_that_cannot_be_met_stop_before_anything_is_made(storage: Path, table: Path) -> None:
    folder = storage / "impossible"
    settings: dict[str, Any] = {"evaluator": f"table:{table}#valid_accuracy", "storage": folder, "progress": False}
    with pytest.raises(
        ConfigurationError, match="constraints: none of 20,000 random architectures .* keeps macs <= 1; the nearest"
    ):
        run_search(constraints={"macs": "<= 1"}, **settings)
    with pytest.raises(ConfigurationError, match="objectives: figure: expected one of .* got 'latency'"):
        run_search(objectives=["accuracy", "-latency"], **settings)
    assert not folder.exists()


class Careless(Evaluator):
    """Returns what careless evaluators return: for some candidates no number as the score or as a metric."""

    odd: Sequence[Any] = (None, "0.9", [0.9], {"top1": 0.9}, float("inf"), True)

    @property
    def task(self) -> str:
        return "careless"

    def settings(self) -> Mapping[str, Any]:
        return {"kind": "careless"}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._evaluate(architecture) for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        key = self.space.key(architecture)
        good = int(key[:4], 16) / 65536
        odd = self.odd[int(key[4:8], 16) % len(self.odd)]
        score, size = {0: (odd, 1.0), 1: (good, odd)}.get(int(key[8:12], 16) % 4, (np.float32(good), np.int64(1)))
        return Evaluation(architecture, key, score, {"size": size}, 0.01)


@pytest.mark.slow
def test_scores_and_metrics_that_are_no_numbers_fail_their_candidates(tmp_path: Path) -> None:
    """Of an evaluator that is careless in a batch of 12, the good candidates count, and no process dies."""
    evaluator = Careless(spaces.get("nasbench201"))
    result = run_search(
        "nasbench201", "random", evaluator, num_candidates=36, batch_size=12, storage=tmp_path, tracking="off", workers=1,
        progress=False, report=False,
    )  # fmt: skip
    rows = result.evaluations.to_pylist()
    for row in rows:
        kind = int(row["key"][8:12], 16) % 4
        inf_as_metric = kind == 1 and int(row["key"][4:8], 16) % 6 == 4  # infinity is a number
        if kind > 1 or inf_as_metric:
            assert (row["error"], row["score"]) == (None, pytest.approx(int(row["key"][:4], 16) / 65536))
        else:
            assert row["error"].startswith("score: expected a" if kind == 0 else "metric 'size': expected a number")
            assert math.isnan(row["score"])
    assert {row["error"] is None for row in rows} == {True, False}
    assert len(result.top(100)) == sum(row["error"] is None for row in rows)


# What is known before


@pytest.fixture(scope="module")
def earlier(storage: Path, table: Path) -> SearchResult:
    return run_search(
        "nasbench201", "random", f"table:{table}#valid_accuracy", num_candidates=30, seed=5, name="earlier", storage=storage,
        tracking="off", progress=False, report=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(
    "searcher", ["evolution", pytest.param("random", marks=pytest.mark.long), pytest.param("optuna", marks=pytest.mark.long)]
)
def test_known_good_starts_are_evaluated_first_and_counted(
    searcher: str, deterministic: bool, earlier: SearchResult, table: Path, tmp_path: Path
) -> None:
    starts = [found.architecture for found in earlier.top(3)]
    result = run_search(
        "nasbench201", searcher, f"table:{table}#valid_accuracy", num_candidates=12, storage=tmp_path, tracking="off",
        progress=False, report=False, start=[*starts, starts[0]], deterministic=deterministic, name="started",
    )  # fmt: skip
    assert result.evaluations["architecture"].to_pylist()[:3] == [str(each) for each in starts]
    assert len(result.evaluations) == 12
    assert result.best.score >= earlier.best.score
    assert result.summary.known_before == ("Started with 3 given architectures, counted as candidates.",)
    again = resume_search(result.folder, progress=False)
    assert again.evaluations["architecture"].to_pylist() == result.evaluations["architecture"].to_pylist()


@pytest.mark.slow
def test_outcomes_of_an_earlier_run_are_learned_and_not_paid(earlier: SearchResult, table: Path, tmp_path: Path) -> None:
    result = run_search(
        "nasbench201", "evolution", f"table:{table}#valid_accuracy", num_candidates=10, storage=tmp_path, tracking="off",
        progress=False, start=f"{earlier.folder}#2", learn_from=earlier, name="learned",
    )  # fmt: skip
    texts = result.evaluations["architecture"].to_pylist()
    assert texts[:2] == [str(found) for found in earlier.top(2)]
    keys = set(result.evaluations["key"].to_pylist()[2:])
    assert not keys & set(earlier.evaluations["key"].to_pylist()), "what is known is not proposed"
    sentence = f"Learned from 28 of the 30 outcomes of {earlier.folder}; they are no candidates."
    assert result.summary.known_before == ("Started with 2 given architectures, counted as candidates.", sentence)
    assert sentence in result.report.read_text()
    space, known = spaces.get("nasbench201"), {str(found) for found in earlier.top(30)}
    for text in texts[2:]:
        genes = space.genotype(space.parse(text))
        others = [space.genotype(space.parse(other)) for other in (*known, *texts) if other != text]
        assert min(sum(a != b for a, b in zip(genes, other, strict=True)) for other in others) <= 2, "it is a mutation"
    again = resume_search(result.folder, progress=False)
    assert again.evaluations["architecture"].to_pylist() == texts
    assert again.summary.known_before[1] == sentence


def candidates(searcher: str, storage: Path, name: str, seed: int = 0, **settings: Any) -> SearchResult:
    quiet = {"tracking": "off", "report": False, "progress": False}
    return run_search("nasbench201", searcher, "table:digits201", 30, seed, name, storage, **{**quiet, **settings})


@pytest.mark.slow
@pytest.mark.parametrize(("searcher", "deterministic"), [("random", False), ("evolution", True), ("optuna", True)])
def test_what_the_ledger_holds_changes_no_candidate(searcher: str, deterministic: bool, tmp_path: Path) -> None:
    first = candidates(searcher, tmp_path / "empty", "first", deterministic=deterministic)
    again = candidates(searcher, tmp_path / "empty", "again", deterministic=deterministic)
    quiet: dict[str, Any] = {"tracking": "off", "report": False, "progress": False}
    run_search("nasbench201", "random", "table:digits201", 400, 9, "other", tmp_path / "full", **quiet)
    full = candidates(searcher, tmp_path / "full", "full", deterministic=deterministic)
    assert any(full.evaluations["reused"].to_pylist())
    assert not all(full.evaluations["reused"].to_pylist())
    expected = set(first.evaluations["key"].to_pylist())
    assert set(again.evaluations["key"].to_pylist()) == set(full.evaluations["key"].to_pylist()) == expected


@pytest.mark.slow
def test_a_finished_run_gets_more_candidates_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    run = candidates("gp", tmp_path, "run").folder
    more = resume_search(run, progress=False, num_candidates=42)
    assert (len(more.evaluations), more.ending and more.ending.reason) == (42, "complete")
    settings = yaml.safe_load((run / "run.yaml").read_text())
    assert settings["num_candidates"] == 42
    assert settings["searcher_options"] == {"initial": 10}  # the first stage stays what it was
    written = (run / "report" / "report.html").stat().st_mtime_ns
    idle = resume_search(run, progress=False)
    assert idle.ending is not None
    assert idle.ending.idle
    assert len(idle.evaluations) == 42
    assert (run / "report" / "report.html").stat().st_mtime_ns == written
    with pytest.raises(ConfigurationError, match="num_candidates: the run run has 42 candidates already; got 12"):
        resume_search(run, progress=False, num_candidates=12)
    with pytest.raises(ConfigurationError, match="seed: decides what the run searches, so it cannot change"):
        resume_search(run, progress=False, seed=4)
    with pytest.raises(ConfigurationError, match="a run has no option 'candidates'. Did you mean 'num_candidates'"):
        resume_search(run, progress=False, candidates=4)


@pytest.mark.slow
def test_random_search_of_more_candidates_is_that_of_a_longer_run(tmp_path: Path) -> None:
    short = candidates("random", tmp_path / "a", "run", batch_size=7)
    longer = resume_search(short.folder, progress=False, num_candidates=50)
    whole = run_search(
        "nasbench201", "random", "table:digits201", 50, 0, "run", tmp_path / "b", tracking="off", report=False, progress=False
    )
    assert set(longer.evaluations["key"].to_pylist()) == set(whole.evaluations["key"].to_pylist())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpus_per_worker": 1.0}, "gpus_per_worker: a trial asks for 1 CPU and 1 GPU, but the only node"),
        ({"cpus_per_worker": 4096.0}, "cpus_per_worker: a trial asks for 4096 CPUs"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPUs")
@pytest.mark.slow
def test_a_request_that_can_never_be_met_leaves_no_folder(settings: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        candidates("random", tmp_path, "run", **settings)
    assert not (tmp_path / "run").exists()
    finished = candidates("random", tmp_path, "run")  # the same name is free
    with pytest.raises(ConfigurationError, match=message):
        resume_search(finished.folder, progress=False, num_candidates=40, **settings)
    assert (finished.folder / "run.yaml").is_file()
    with pytest.raises(ConfigurationError, match=message):
        compare(["random"], 1, "study", evaluator="table:digits201", storage=str(tmp_path), tracking="off", **settings)


@pytest.mark.slow
def test_a_search_that_finishes_nothing_in_time_ends_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    slow = [
        "run",
        "--dataset",
        "digits",
        "--searcher",
        "random",
        "--candidates",
        "3",
        "--tracking",
        "off",
        "--name",
        "b",
        "--quiet",
    ]
    assert main([*slow, "--quiet", "--train", "epochs=2000", "--time-budget", "1"]) == 1
    said = capsys.readouterr().out
    assert "The time budget of 1 s ended the search after" in said
    assert "0 of 3 candidates are evaluated" in said
    assert f"archsearch resume {tmp_path}/runs/b --time-budget none" in said
    found = resume_search(tmp_path / "runs" / "b", progress=False, time_budget=1.0)
    with pytest.raises(RunError, match="best: b has none. The time budget of 1 s ended the search"):
        found.best  # noqa: B018


@pytest.mark.slow
def test_a_preset_is_model_and_search(tmp_path: Path) -> None:
    """The smallest search in the way of a paper, with a fit and a stage; the slow tests run both papers with trainings."""
    small = {"initial": 3, "stage_size": 2, "model": {"epochs": 2, "width": 6, "hidden": 5, "head": [4]}}
    inner = {"kind": "evolution", "population": 4, "tournament": 2, "steps": 3}
    found = run_search(
        "nasbench201",
        "gates",
        "table:digits201",
        preset="paper",
        num_candidates=5,
        searcher_options={**small, "inner": inner},
        deterministic=True,
        storage=tmp_path,
        tracking="off",
        report=False,
        progress=False,
    )
    assert len(found.evaluations) == 5
    assert found.summary.settings["searcher_options"] == {**small, "inner": inner, "preset": "paper"}
    with pytest.raises(ConfigurationError, match="searcher_options: evolution has no option 'preset'"):
        run_search("nasbench201", "evolution", "table:digits201", preset="paper", storage=tmp_path, tracking="off")
    with pytest.raises(ConfigurationError, match="preset: expected one of authors, default, gates, paper; got 'papers'"):
        run_search("nasbench201", "gates", "table:digits201", preset="papers", storage=tmp_path, tracking="off")

"""Callbacks of Ray Tune see one trial for each candidate, with its metrics; one that fails costs no evaluation."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback

from archsearch import platform
from archsearch.errors import ConfigurationError
from archsearch.platform.result import SearchResult

OPTIONS: dict[str, Any] = {"tracking": "off", "report": False, "progress": False}


class Recorder(tune.Callback):
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.setups: list[dict[str, Any]] = []
        self.ended = 0

    def setup(self, *arguments: Any, **info: Any) -> None:
        self.setups.append(info)

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.events.append(("start", trial.trial_id))
        self.configs[trial.trial_id] = trial.config

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.events.append(("result", trial.trial_id))
        self.results[trial.trial_id] = result

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.events.append(("complete", trial.trial_id))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.events.append(("error", trial.trial_id))

    def on_experiment_end(self, trials: Any, **info: Any) -> None:
        self.ended += 1


class Failing(Recorder):
    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        super().on_trial_complete(iteration, trials, trial)
        if len([name for name, _ in self.events if name == "complete"]) == 3:
            raise OSError("no space left on the disk of the logger")


def search(folder: Path, callbacks: Any, candidates: int = 12, **settings: Any) -> SearchResult:
    return platform.run_search(
        "nasbench201", "random", "table:digits201", candidates, storage=folder, callbacks=callbacks, **{**OPTIONS, **settings}
    )


@pytest.mark.usefixtures("shared_ray")
def test_one_trial_a_candidate_in_the_right_order(tmp_path: Path) -> None:
    seen = Recorder()
    result = search(tmp_path, [seen], batch_size=4)
    table = result.evaluations.to_pylist()
    assert Counter(name for name, _ in seen.events) == {"start": 12, "result": 12, "complete": 12}
    for trial in seen.configs:
        assert [name for name, each in seen.events if each == trial] == ["start", "result", "complete"]
    assert [seen.results[trial]["score"] for trial in sorted(seen.results)] == [row["score"] for row in table]
    assert [seen.configs[trial]["architecture"] for trial in sorted(seen.configs)] == [row["architecture"] for row in table]
    first = sorted(seen.results)[0]
    genes = result.space.params(result.space.parse(table[0]["architecture"]))
    assert seen.configs[first] == {"architecture": table[0]["architecture"], **genes}
    assert seen.results[first]["test_accuracy"] == table[0]["test_accuracy"], "all metrics, not only those of the searcher"
    assert not (result.folder / "candidates").exists(), "no callback asked for a folder"
    assert (len(seen.setups), seen.ended) == (1, 1) and seen.setups[0]["num_samples"] == 12


@pytest.mark.usefixtures("shared_ray")
def test_the_loggers_of_tune(tmp_path: Path) -> None:
    result = search(tmp_path, [JsonLoggerCallback(), CSVLoggerCallback(), TBXLoggerCallback()], candidates=3)
    folders = sorted((result.folder / "candidates").iterdir())
    rows = result.evaluations.to_pylist()
    assert len(folders) == 3
    for folder, row in zip(folders, rows, strict=True):
        [line] = (folder / "result.json").read_text().splitlines()
        assert json.loads(line)["score"] == row["score"]
        assert json.loads((folder / "params.json").read_text())["architecture"] == row["architecture"]
        with (folder / "progress.csv").open() as file:
            [written] = csv.DictReader(file)
        assert float(written["score"]) == pytest.approx(row["score"])
        assert list(folder.glob("events.out.tfevents.*"))
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folders[1]))
    events.Reload()
    assert events.Scalars("ray/tune/score")[0].value == pytest.approx(rows[1]["score"])


@pytest.mark.usefixtures("shared_ray")
def test_a_callback_that_fails_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing, other = Failing(), Recorder()
    result = search(tmp_path, [failing, other], batch_size=2)
    assert len(result.evaluations) == 12 and Counter(name for name, _ in other.events)["complete"] == 12
    assert Counter(name for name, _ in failing.events)["complete"] == 3 and failing.ended == 0
    assert "callbacks: Failing raised OSError in on_trial_complete (no space left" in caplog.text


@pytest.mark.usefixtures("shared_ray")
def test_what_the_ledger_answers_is_seen_and_a_resumed_search_goes_on(tmp_path: Path) -> None:
    search(tmp_path, [], name="first", batch_size=4)
    again = Recorder()
    search(tmp_path, [again], name="second", batch_size=4)
    assert Counter(name for name, _ in again.events) == {"start": 12, "result": 12, "complete": 12}
    assert all(result["reused"] for result in again.results.values())
    resumed = Recorder()
    platform.resume_search(tmp_path / "second", progress=False, callbacks=[resumed])
    assert not resumed.events and resumed.ended == 1, "they were finished before"


@pytest.mark.usefixtures("shared_ray")
def test_searches_of_a_comparison_are_seen(tmp_path: Path) -> None:
    seen = Recorder()
    settings = {"evaluator": "table:digits201", "num_candidates": 4, "storage": str(tmp_path), "tracking": "off"}
    platform.compare(["random", "evolution"], seeds=1, callbacks=[seen], progress=False, **settings)
    assert len(seen.setups) == 2 and Counter(name for name, _ in seen.events)["complete"] == 8
    assert len({trial for _, trial in seen.events}) == 8, "identities differ between searches"


@pytest.mark.parametrize("given", [Recorder(), [Recorder], ["tensorboard"], [print], {"a": 1}, None, [None]])
def test_what_is_no_list_of_callbacks_is_refused(given: Any, tmp_path: Path) -> None:
    for call in (
        lambda: search(tmp_path, given),
        lambda: platform.resume_search(tmp_path, callbacks=given),
        lambda: platform.compare(["random"], callbacks=given),
    ):
        with pytest.raises(ConfigurationError, match="callbacks: expected"):
            call()

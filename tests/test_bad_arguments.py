"""Wrong kinds of objects at each public entry point: one typed error that names the argument."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ray.tune.search.optuna import OptunaSearch

from archsearch import cluster, evaluators, platform, searchers, spaces
from archsearch.cluster.schedulers import registry as schedulers
from archsearch.errors import ArchSearchError, ConfigurationError, wrong_kind
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.result import Found, SearchResult
from archsearch.platform.summary import SearchSummary

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
SPACE = spaces.get("nasbench201")
ARCHITECTURE = SPACE.parse(CELL)

WRONG: dict[str, object] = {
    "None": None,
    "a number": 5,
    "a function": print,
    "a class": spaces.GeneSpace,
    "an object of another package": operator.attrgetter("name"),
}


@dataclass
class Entry:
    """A public function, the argument under test, and the wrong kinds that it has a use for."""

    argument: str
    call: Callable[[Any], object]
    takes: tuple[str, ...] = field(default=())


@cache
def table() -> evaluators.TabularEvaluator:
    return evaluators.TabularEvaluator.embedded("digits201")


def found() -> Found:
    return Found(ARCHITECTURE, 0.5, {}, SPACE, {"input_shape": (1, 8, 8), "num_classes": 10, "channels": 2})


def result() -> SearchResult:
    columns = {
        "candidate": [0],
        "architecture": [CELL],
        "key": [SPACE.key(ARCHITECTURE)],
        "score": [0.5],
        "macs": [1e6],
        "error": [None],
        "seconds": [1.0],
    }
    summary = SearchSummary(
        name="run",
        space="nasbench201",
        task="digits",
        searcher="random",
        evaluator="table:digits201",
        seed=0,
        num_candidates=1,
        score_name="valid_accuracy",
        percent=True,
        evaluations=pa.table(columns),
        settings=SearchConfiguration().as_dict(),
        costs={},
        version="0",
        command="",
        chance=0.1,
    )
    return SearchResult(summary, SPACE, Path("run"), None, {"input_shape": (1, 8, 8), "num_classes": 10})


def trials(searcher: Any, evaluator: Any) -> None:
    resources = cluster.TrialResources()
    cluster.run_trials(searcher, evaluator, ledger="l", run="r", folder=Path("f"), workers=1, resources=resources)


def steps(searcher: Any, evaluator: Any, scheduler: Any = None, workers: Any = 1) -> None:
    given = schedulers.get("asha", max_fidelity=9) if scheduler is None else scheduler
    resources = cluster.TrialResources()
    settings = {"ledger": "l", "run": "r", "folder": Path("f"), "workers": workers, "resources": resources}
    cluster.run_stepwise(searcher, evaluator, scheduler=given, **settings)


ENTRIES: dict[str, Entry] = {
    # platform
    "run_search space": Entry("space", lambda bad: platform.run_search(bad, "random", "table:digits201"), ("None",)),
    "run_search searcher": Entry(
        # A function is a factory of Ray Tune searchers.
        "searcher",
        lambda bad: platform.run_search("nasbench201", bad, "table:digits201"),
        ("None", "a function", "an object of another package"),
    ),
    "run_search evaluator": Entry("evaluator", lambda bad: platform.run_search("nasbench201", "random", bad), ("None",)),
    "run_search storage": Entry(
        "storage", lambda bad: platform.run_search("nasbench201", "random", "table:digits201", storage=bad)
    ),
    "resume_search": Entry("run", platform.resume_search),
    "finished_run": Entry("run", platform.finished_run),
    "compare searchers": Entry("searchers", lambda bad: platform.compare(bad, tracking="off"), ("None",)),
    "compare space": Entry("space", lambda bad: platform.compare(["random"], space=bad, tracking="off")),
    "compare evaluator": Entry("evaluator", lambda bad: platform.compare(["random"], evaluator=bad, tracking="off")),
    "retrain space": Entry("space", lambda bad: platform.retrain(bad, ARCHITECTURE, "digits")),
    "retrain architecture": Entry("architecture", lambda bad: platform.retrain(SPACE, bad, "digits")),
    "retrain dataset": Entry("dataset", lambda bad: platform.retrain(SPACE, ARCHITECTURE, bad)),
    "retrain recipe": Entry("recipe", lambda bad: platform.retrain(SPACE, ARCHITECTURE, "digits", recipe=bad)),
    "register_model": Entry("model", lambda bad: platform.register_model(bad, "name")),
    "register_model name": Entry("name", lambda bad: platform.register_model("folder", bad)),
    "SearchConfiguration space": Entry("space", lambda bad: platform.SearchConfiguration(space=bad)),
    "SearchConfiguration searcher": Entry("searcher", lambda bad: platform.SearchConfiguration(searcher=bad)),
    "SearchConfiguration evaluator": Entry("evaluator", lambda bad: platform.SearchConfiguration(evaluator=bad)),
    "Found.retrain": Entry("dataset", lambda bad: found().retrain(bad)),
    "Found.retrain scale": Entry("scale", lambda bad: found().retrain("digits", scale=bad), ("None",)),
    "Found.export": Entry("directory", lambda bad: found().export(bad)),
    "Found.build": Entry("num_classes", lambda bad: found().build(num_classes=bad), ("a number",)),
    "SearchResult.top": Entry("count", lambda bad: result().top(bad), ("a number",)),
    "SearchResult.pareto": Entry("cost", lambda bad: result().pareto(bad), ("None",)),
    "SearchResult.hypervolume": Entry("reference", lambda bad: result().hypervolume(bad), ("None",)),
    "SearchResult.export": Entry("directory", lambda bad: result().export(bad)),
    # searchers
    "searchers.get": Entry("searcher", searchers.get),
    "searchers.register": Entry("searcher", lambda bad: searchers.register("mine", bad)),
    "goals_for": Entry("evaluator", searchers.goals_for),
    "tune_domains": Entry("space", searchers.tune_domains),
    "RandomSearch": Entry("space", searchers.RandomSearch),
    "RegularizedEvolution": Entry("space", searchers.RegularizedEvolution),
    "GATESEvolution": Entry("space", searchers.GATESEvolution),
    "GATESEvolution pool": Entry("pool", lambda bad: searchers.GATESEvolution(SPACE, pool=bad), ("None",)),
    "GaussianProcessSearch": Entry("space", searchers.GaussianProcessSearch),
    "GHNRandomSearch": Entry("space", searchers.GHNRandomSearch),
    "GHNRandomSearch dataset": Entry("dataset", lambda bad: searchers.GHNRandomSearch(SPACE, dataset=bad)),
    "NGAEAscent": Entry("space", searchers.NGAEAscent),
    "OptunaTPE": Entry("space", searchers.OptunaTPE),
    "TuneAlgorithm": Entry(
        "space",
        lambda bad: searchers.TuneAlgorithm(
            bad, algorithm=lambda domains, seed: OptunaSearch(domains, metric="score", mode="max")
        ),
    ),
    "TuneAlgorithm algorithm": Entry(
        "algorithm",
        lambda bad: searchers.TuneAlgorithm(SPACE, algorithm=bad),
        ("a class", "a function", "an object of another package"),
    ),
    # cluster
    "Ledger": Entry("space", lambda bad: cluster.Ledger("ledger", bad, "fingerprint")),
    "Ledger evaluator": Entry("evaluator", lambda bad: cluster.Ledger("ledger", SPACE, bad)),
    "Records": Entry("space", lambda bad: cluster.Records(bad, pa.table({}))),
    "run_stepwise searcher": Entry("searcher", lambda bad: steps(bad, table())),
    "run_stepwise evaluator": Entry("evaluator", lambda bad: steps(searchers.RandomSearch(SPACE), bad)),
    "run_stepwise scheduler": Entry("scheduler", lambda bad: steps(searchers.RandomSearch(SPACE), table(), bad), ("None",)),
    "run_trials searcher": Entry("searcher", lambda bad: trials(bad, table())),
    "run_trials evaluator": Entry("evaluator", lambda bad: trials(searchers.RandomSearch(SPACE), bad)),
    "evaluate_batch": Entry("evaluator", lambda bad: cluster.evaluate_batch(bad, None, "run", 0, [])),  # type: ignore[arg-type]
    "evaluate_batch ledger": Entry("ledger", lambda bad: cluster.evaluate_batch(table(), bad, "run", 0, [])),
    "train_ghn": Entry("space", lambda bad: cluster.train_ghn(bad, "digits", 1, "ghn.pt")),
    "train_ghn dataset": Entry("dataset", lambda bad: cluster.train_ghn(SPACE, bad, 1, "ghn.pt")),
    "ModelPool.start": Entry(
        "model", lambda bad: cluster.ModelPool.start(bad), ("a class", "a function", "an object of another package")
    ),
    "ModelPool.attach": Entry("name", cluster.ModelPool.attach),
    # evaluators
    "from_text": Entry("text", lambda bad: evaluators.from_text(bad, SPACE)),
    "from_text space": Entry("space", lambda bad: evaluators.from_text("table:digits201", bad)),
    "from_text training space": Entry("space", lambda bad: evaluators.from_text("train:digits", bad)),
    "TabularEvaluator": Entry("space", lambda bad: evaluators.TabularEvaluator(bad, pa.table({}), "score")),
    "TabularEvaluator table": Entry("table", lambda bad: evaluators.TabularEvaluator(SPACE, bad, "score")),
    "TabularEvaluator.embedded": Entry(
        "space", lambda bad: evaluators.TabularEvaluator.embedded("digits201", space=bad), ("None",)
    ),
    "TabularEvaluator.embedded name": Entry("table", evaluators.TabularEvaluator.embedded),
    "TabularEvaluator.installed": Entry("table", evaluators.TabularEvaluator.installed),
    "TabularEvaluator.from_parquet": Entry("space", lambda bad: evaluators.TabularEvaluator.from_parquet(bad, "t.parquet")),
    "TabularEvaluator.from_parquet path": Entry("path", lambda bad: evaluators.TabularEvaluator.from_parquet(SPACE, bad)),
    "TrainingEvaluator": Entry("space", lambda bad: evaluators.TrainingEvaluator(bad, "digits")),
    "TrainingEvaluator dataset": Entry("dataset", lambda bad: evaluators.TrainingEvaluator(SPACE, bad)),
    "GHN": Entry("space", lambda bad: evaluators.GHN(bad, "digits")),
    "GHN dataset": Entry("dataset", lambda bad: evaluators.GHN(SPACE, bad)),
    "OneShot": Entry("space", lambda bad: evaluators.OneShot(bad, "digits")),
    "OneShot dataset": Entry("dataset", lambda bad: evaluators.OneShot(SPACE, bad)),
    "SGDSteps": Entry("space", lambda bad: evaluators.SGDSteps(bad, "digits")),
    "SGDSteps dataset": Entry("dataset", lambda bad: evaluators.SGDSteps(SPACE, bad)),
    "Predictor": Entry("space", evaluators.Predictor),
    "NGAE": Entry("space", evaluators.NGAE),
    "datasets.load": Entry("dataset", evaluators.datasets.load),
    # spaces
    "spaces.get": Entry("space", spaces.get),
    "spaces.register": Entry(
        "factory", lambda bad: spaces.register("mine", bad), ("a class", "a function", "an object of another package")
    ),
    "SearchSpace.key": Entry("architecture", SPACE.key),
    "SearchSpace.cost": Entry("architecture", SPACE.cost),
    "SearchSpace.build": Entry("architecture", SPACE.build),
    "SearchSpace.encode": Entry("architecture", lambda bad: SPACE.encode([bad])),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ENTRIES)
def test_the_error_names_the_argument(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ENTRIES[name]
    if kind in entry.takes:
        return
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchSearchError) as caught:
        entry.call(WRONG[kind])
    message = str(caught.value)
    assert message.startswith(entry.argument) and "\n" not in message
    assert "expected" in message
    assert not list(tmp_path.iterdir()), "nothing is written before the arguments are checked"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "got None."),
        (5, "got 5, of the type int."),
        ("text", "got 'text', of the type str."),
        (print, "got the function print."),
        (Path, "got the class Path: give an instance, Path(...)."),
        (Path(), "got an object of the type PosixPath."),
    ],
)
def test_the_message_says_what_came(given: object, text: str) -> None:
    assert wrong_kind("space", "a search space", given) == f"space: expected a search space; {text}"


def test_a_class_instead_of_an_instance_is_seen() -> None:
    with pytest.raises(ConfigurationError, match=r"evaluator: .* got the class TabularEvaluator: give an instance"):
        platform.run_search("nasbench201", "random", evaluators.TabularEvaluator)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"searcher: .* got the class RandomSearch: give an instance"):
        platform.run_search("nasbench201", searchers.RandomSearch, "table:digits201")


def test_a_factory_that_makes_no_searcher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="algorithm: expected a factory of Ray Tune Searchers; it gave"):
        platform.run_search("nasbench201", lambda domains, seed: None, "table:digits201", storage=tmp_path, tracking="off")

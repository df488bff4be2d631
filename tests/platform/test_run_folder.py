"""What a run keeps for the day when it is resumed; and that a resume which cannot go on says so, instead of starting over."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from archsearch import spaces
from archsearch.cluster import Ledger, evaluate_batch
from archsearch.errors import ArchSearchError, LedgerError, RunError
from archsearch.evaluators import Evaluator, from_text
from archsearch.platform import resume_search, run_search
from archsearch.platform.command_line import main
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import ArchitectureSearcher, RandomSearch, RegularizedEvolution

SPACE = spaces.get("nasbench201")


@dataclass
class Run:
    """The parts of a search without Ray: this file is about what they leave on disk."""

    folder: RunFolder
    evaluator: Evaluator
    ledger: Ledger

    def go(self, searcher: ArchitectureSearcher, batches: int, workers: int = 1) -> None:
        """Evaluate some batches; of those that are on their way at a time, any may be the first to arrive."""
        rng, flying = random.Random(0), {}
        searcher.on_outcomes = self.folder.note_outcomes
        for number in range(batches):
            flying[f"trial{number}"] = searcher.suggest(f"trial{number}")
            if len(flying) == workers:
                self.land(searcher, flying, rng.choice(sorted(flying)))
        for trial in sorted(flying, reverse=True):
            self.land(searcher, flying, trial)

    def land(self, searcher: ArchitectureSearcher, flying: dict[str, Any], trial: str) -> None:
        config = flying.pop(trial)
        places = config.get("positions")
        name = self.folder.name
        evaluations = evaluate_batch(self.evaluator, self.ledger, name, config["batch"], config["candidates"], places)
        names = {"scores": "score", "seconds": "seconds", "errors": "error"}
        result = {key: [getattr(evaluation, name) for evaluation in evaluations] for key, name in names.items()}
        searcher.on_trial_complete(trial_id=trial, result=result)


@pytest.fixture
def start(tmp_path: Path, table: Path) -> Callable[..., Run]:
    """Makes a new run in the same storage, as `run_search` does."""

    def make(name: str, **changes: Any) -> Run:
        text = f"table:{table}#valid_accuracy"
        settings = SearchConfiguration(name=name, storage=str(tmp_path), evaluator=text, tracking="off", report=False)
        folder = RunFolder.create(replace(settings, **changes), name)
        evaluator = from_text(text, SPACE)
        folder.bind(folder.configuration(), evaluator.fingerprint())
        return Run(folder, evaluator, Ledger(tmp_path / "ledger", SPACE, evaluator.fingerprint()))

    return make


@pytest.fixture
def stopped(start: Callable[..., Run]) -> Run:
    """A random search that was killed after two of four batches."""
    run = start("stopped", searcher="random", num_candidates=40, batch_size=10)
    run.go(RandomSearch(SPACE, 0, num_candidates=40, batch_size=10), 2)
    return run


# The searcher that is rebuilt


@pytest.mark.parametrize("reuse", [False, True])
def test_searcher_rebuilt_from_the_ledger_is_the_one_that_was_lost(start: Callable[..., Run], reuse: bool) -> None:
    settings: dict[str, Any] = {"num_candidates": 200, "batch_size": 10, "population_size": 30, "tournament_size": 5}
    other, run = start("other"), start("run")
    other.go(RegularizedEvolution(SPACE, 1, **settings), 6)

    lost = RegularizedEvolution(SPACE, 1, **settings)
    lost.ledger = other.ledger.read().known("run") if reuse else {}
    run.go(lost, 12, workers=3)
    assert any(row.reused for row in lost.history) == reuse

    records = run.ledger.read()
    rebuilt = RegularizedEvolution(SPACE, 1, **settings)
    rebuilt.replay(run.folder.outcomes(records.of("run").entries(), records.known("run")))
    assert [outcome(row) for row in rebuilt.history] == [outcome(row) for row in lost.history], "in the order of arrival"
    lost.ledger = {}
    assert [rebuilt.suggest(str(number)) for number in range(3)] == [lost.suggest(f"next{number}") for number in range(3)]


def outcome(row: Any) -> tuple[int, int, str, float, bool]:
    return row.batch, row.position, row.evaluation.key, row.evaluation.score, row.reused


def test_line_that_a_kill_cut_short_is_forgotten(start: Callable[..., Run]) -> None:
    other, run = start("other"), start("run")
    other.go(RandomSearch(SPACE, 0, num_candidates=20, batch_size=10), 2)
    searcher = RandomSearch(SPACE, 0, num_candidates=20, batch_size=10)
    searcher.on_outcomes = run.folder.note_outcomes
    known = searcher.ledger = other.ledger.read().known("run")
    assert not searcher.prepare(), "the ledger answers all"
    path = run.folder.path / "reused.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    assert len(run.folder.outcomes([], known)) == 19
    run.folder.note_outcomes(searcher.history[-1:])
    assert path.read_bytes().count(b"\n") == 20
    assert {row.evaluation.key for row in run.folder.outcomes([], known)} == {row.evaluation.key for row in searcher.history}


def test_what_a_searcher_took_is_kept_once(start: Callable[..., Run]) -> None:
    """A deterministic search that is resumed begins anew: its first count stays, and a line that a kill cut short is dropped."""
    folder = start("run").folder
    assert folder.spent() == []
    for candidates, seconds in ((0, 0.0), (10, 2.5), (20, 1.5)):
        folder.note_spent(candidates, seconds)
    path = folder.path / "spent.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    assert folder.spent() == [(0, 0.0), (10, 2.5)]
    for candidates, seconds in ((0, 0.1), (10, 9.0), (20, 3.0)):
        folder.note_spent(candidates, seconds)
    assert folder.spent() == [(0, 0.0), (10, 2.5), (20, 3.0)]
    path.write_text("[1]\n")
    with pytest.raises(RunError, match=r"run: line 1 of .*spent\.jsonl is corrupt; remove the line"):
        folder.spent()


# Resumes that cannot go on


def damage_settings(run: Run) -> None:
    path = run.folder.path / "run.yaml"
    path.write_text(path.read_text()[:40])


def empty_settings(run: Run) -> None:
    (run.folder.path / "run.yaml").write_text("")


def foreign_settings(run: Run) -> None:
    (run.folder.path / "run.yaml").write_text("searchers: random\n")


def lose_settings(run: Run) -> None:
    (run.folder.path / "run.yaml").unlink()


def lose_ledger(run: Run) -> None:
    shutil.rmtree(run.folder.path.parent / "ledger")


def lose_parts(run: Run) -> None:
    for part in (run.folder.path.parent / "ledger").rglob("*.parquet"):
        part.write_bytes(b"")


def change_data(run: Run) -> None:
    path = run.folder.path / "run.yaml"
    path.write_text(path.read_text().replace("#valid_accuracy", "#test_accuracy"))


def lose_data(run: Run) -> None:
    path = run.folder.path / "run.yaml"
    path.write_text(path.read_text().replace(".parquet#", "-moved.parquet#"))


def damage_reused(run: Run) -> None:
    (run.folder.path / "reused.jsonl").write_text('[1, 2, 3]\n[1, 2, 3, "key"]\n')


def block_ledger(run: Run) -> None:
    lose_ledger(run)
    (run.folder.path.parent / "ledger").write_text("no folder")


@pytest.mark.parametrize(
    ("harm", "kind", "message"),
    [
        (damage_settings, RunError, "run: .*run.yaml .*(corrupt|not valid YAML|unknown key)"),
        (empty_settings, RunError, "run: .*run.yaml is corrupt, it lacks space, searcher, .* or start a new run"),
        (foreign_settings, RunError, "run: cannot read the settings .* unknown key 'searchers'. Did you mean 'searcher'"),
        (lose_settings, RunError, "run: there is no run in .*stopped"),
        (lose_ledger, LedgerError, "the run stopped has evaluated candidates, but the ledger .* none of them. Restore"),
        (lose_parts, LedgerError, "the run stopped has evaluated candidates, but the ledger .* none of them. Restore"),
        (change_data, RunError, "evaluator: the run stopped was scored by .* Its settings or its data have changed"),
        (lose_data, ArchSearchError, "table: expected a Parquet file; there is none at .*-moved.parquet"),
        (damage_reused, RunError, "run: line 1 of .*reused.jsonl is corrupt; remove the line"),
        (block_ledger, LedgerError, "storage: cannot make the ledger"),
    ],
)
def test_resume_that_cannot_go_on_says_so(
    harm: Callable[[Run], None], kind: type[ArchSearchError], message: str, stopped: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(stopped)
    with pytest.raises(kind, match=message) as caught:
        resume_search(stopped.folder.path, progress=False)
    assert "\n" not in str(caught.value), "one line"
    assert main(["resume", str(stopped.folder.path)]) == 2
    assert capsys.readouterr().err == f"archsearch: {caught.value}\n"
    assert not (stopped.folder.path / "tune").exists() and not stopped.folder.report.exists(), "nothing was started"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed: the run stopped was started with 0; got 1"),
        ({"searcher": "evolution"}, "searcher: the run stopped was started with 'random'; got 'evolution'"),
        ({"deterministic": True}, "deterministic: the run stopped was started with False; got True"),
    ],
)
def test_resume_as_another_search_is_refused(changes: dict[str, Any], message: str, stopped: Run) -> None:
    settings: dict[str, Any] = {**stopped.folder.configuration().as_dict(), **changes}
    with pytest.raises(RunError, match=f"{message}.*start a new run under another name"):
        run_search(**settings, resume=True, progress=False)


def test_run_that_had_paid_for_nothing_begins(start: Callable[..., Run]) -> None:
    run = start("early")
    lose_ledger(run)
    run.folder.check_history(run.ledger, recorded=0)


def test_damaged_part_does_not_hinder_the_rest(stopped: Run) -> None:
    part = min((stopped.folder.path.parent / "ledger").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    records = stopped.ledger.read()
    stopped.folder.check_history(stopped.ledger, records.of("stopped").table.num_rows)
    assert len(stopped.folder.outcomes(records.of("stopped").entries(), {})) == 10

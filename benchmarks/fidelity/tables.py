"""What schedulers save on NAS-Bench-101 with learning curves: simulated seconds with 4 asynchronous workers.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.tables                        # 20 seeds of all; hours on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.tables --only random --seeds 5
    python -m benchmarks.fidelity.tables --print                                       # the tables of what is there

The folder holds nasbench101.parquet, of which 30,001 cells have one training each of 4, 12, 36 and 108 epochs. A search is scored
by the validation accuracy of these trainings. What it has found is the candidate that came furthest and has the best score there;
reported is its mean test accuracy after 108 epochs. A step costs its share of the seconds of the long training, as if that went
on; but each length was trained on its own, with a learning rate that ended at 0, so that real short trainings may rank worse.

Without a scheduler a search ends after 100 full trainings. With one, the same searcher and seed get the same simulated seconds.
Searchers have their defaults. Schedulers have theirs, a first rung of 12 epochs, chosen on the seeds 100 to 115; "from 4"
means a first rung of 4 epochs.

Syne Tune, in an environment of its own below `--environments`, gets the seconds of our random search. Its genes are the same;
those that are not in the table stand for the nearest cell that is, as for our searchers.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.tune.schedulers import FIFOScheduler

from archsearch import searchers
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.clock import ClockEvent
from archsearch.cluster.trials.simulated_clock import run_simulated_clock
from archsearch.evaluators import CurveTable
from archsearch.searchers import ArchitectureSearcher
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces.nasbench101.space import NASBench101
from benchmarks.cluster.pool import InProcess
from benchmarks.comparisons.peers import DRIVERS, Peer, python_of, version
from benchmarks.frame import FOLDER, Row, Rows, Script, data, table
from benchmarks.tables.install import nasbench101_curves

WORKERS, TRAININGS = 4, 100
# By name: options beside the defaults. The fused ranking, the default of gates, takes longer and learns rungs as GATES alone.
SEARCHERS: Mapping[str, Mapping[str, Any]] = {"random": {}, "evolution": {}, "optuna": {}, "gates": {"preset": "gates"}}
SCHEDULERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # by name: a scheduler, and its options beside the defaults
    "asha": ("asha", {}),
    "promotion": ("promotion", {}),
    "asha from 4": ("asha", {"grace_period": 4}),
    "promotion from 4": ("promotion", {"grace_period": 4}),
}
VARIED = ("random",)  # searchers that run with other settings of the schedulers too
PEERS: Mapping[str, Peer] = {
    f"syne tune {method}": Peer("syne-tune", ("syne-tune",), "syne_tune_asha_driver.py", method)
    for method in ("asha", "asha bore")
}
AIMS = {"random": 1 / 3, "evolution": 1 / 3, "gates": 1 / 2}
RESAMPLES = 2000


class Table:
    """The cells with learning curves, and what is reported of them."""

    def __init__(self, folder: Path) -> None:
        draft = nasbench101_curves(folder)
        whole = CurveTable(NASBench101(), draft.rows, draft.score, name="nasbench101-curves", epochs=108)
        self.evaluator = whole.confined()
        self.space = self.evaluator.space
        self._reported = 100.0 * whole.column("test_accuracy")

    def reported(self, event: ClockEvent) -> float:
        """Return the mean test accuracy (%) of a candidate after 108 epochs."""
        assert event.evaluation is not None
        return float(self._reported[self.evaluator.row_of(event.evaluation.architecture)])


def searcher_of(name: str, known: Table, seed: int, count: int) -> ArchitectureSearcher:
    """Return a searcher with the options of `SEARCHERS`, which proposes one candidate at a time."""
    made = searchers.get(name)(known.space, seed, num_candidates=count, batch_size=1, **SEARCHERS[name])
    if isinstance(made, SurrogateSearcher):
        made._pool = InProcess(made.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
    return made


def figures(course: Sequence[ClockEvent], known: Table, end: float) -> dict[str, Any]:
    """Return the reported accuracy with the second of each improvement, and counts."""
    best, improvements = (-1.0, -math.inf), list[tuple[float, float]]()
    for event in course:
        reached = (math.inf if event.action == "COMPLETE" else float(event.fidelity), event.score)
        if event.action not in ("FAIL", "RESUME") and reached > best:
            best = reached
            improvements.append((round(event.second, 1), round(known.reported(event), 4)))
    return {
        "end": end,
        "improvements": improvements,
        "started": len({event.number for event in course}),
        "complete": sum(event.action == "COMPLETE" for event in course),
    }


def run(known: Table, searcher: str, scheduler: str, seed: int, seconds: float) -> dict[str, Any]:
    """Return the figures of a search: of 100 full trainings, or of as many seconds with a scheduler."""
    started = time.process_time()
    made = None
    if scheduler != "none":
        name, options = SCHEDULERS[scheduler]
        made = registry.get(name, options, max_fidelity=known.evaluator.max_fidelity)
    asked = searcher_of(searcher, known, seed, TRAININGS if made is None else len(known.evaluator))
    course = run_simulated_clock(asked, known.evaluator, workers=WORKERS, scheduler=made, seconds=seconds)
    end = course[-1].second if made is None else seconds
    return {**figures(course, known, end), "cpu": time.process_time() - started}


class Conversation:
    """The conversation with a program of another platform."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **event: Any) -> Any:
        """Return the answer to an event.

        Raises:
            RuntimeError: The program has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(event), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"it ended at {event}")
        return json.loads(answer)


class PeerSearcher:
    """The candidates that another platform proposes."""

    def __init__(self, peer: Conversation, known: Table) -> None:
        self._peer, self._known, self._count = peer, known, 0

    def simulate(self, workers: int) -> None:
        pass

    def suggest(self, trial_id: str) -> dict[str, Any]:
        number, self._count = self._count, self._count + 1
        return {"batch": number, "candidates": [str(self._known.space.from_params(self._peer.ask(suggest=number)))]}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        pass  # the platform's scheduler is told

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        pass


class PeerScheduler(FIFOScheduler):
    """The decisions of another platform."""

    def __init__(self, peer: Conversation, max_fidelity: int) -> None:
        super().__init__()
        self._peer, self._max_fidelity = peer, max_fidelity

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self._told(trial, result, last=False)

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if result["fidelity"] == self._max_fidelity:
            self._told(trial, result, last=True)

    def _told(self, trial: Any, result: Mapping[str, Any], last: bool) -> str:
        number = int(trial.trial_id.removeprefix("trial"))
        return str(self._peer.ask(trial=number, epochs=result["fidelity"], score=result["score"], last=last))


def run_peer(peer: Peer, environments: Path, known: Table, seed: int, seconds: float) -> dict[str, Any]:
    """Return the figures of a search of another platform.

    Raises:
        RuntimeError: Its program ended before the search did.
    """
    python, started = python_of(peer, environments), time.monotonic()
    choices = {name: list(values) for name, values in known.space.param_space().items()}
    given = {"method": peer.method, "seed": seed, "choices": choices, "max_t": 108, "grace_period": 4, "reduction_factor": 3}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        command, pipe = [python, DRIVERS / peer.driver], subprocess.PIPE
        process = subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=said, text=True)
        assert process.stdin is not None
        try:
            print(json.dumps(given), file=process.stdin, flush=True)
            talk, evaluator = Conversation(process), known.evaluator
            scheduler = PeerScheduler(talk, evaluator.max_fidelity)
            asked = PeerSearcher(talk, known)
            course = run_simulated_clock(asked, evaluator, workers=WORKERS, scheduler=scheduler, seconds=seconds)
        except Exception as error:
            said.seek(0)
            raise RuntimeError(f"{peer.driver}: {error}: {said.read()[-2000:]}") from error
        finally:
            process.kill()
            process.wait()
    return {**figures(course, known, seconds), "wall": time.monotonic() - started, "version": version(python, peer.packages[0])}


def measure(script: Script, rows: Rows) -> None:
    """Run what is not in the file yet: seed by seed, so that all methods have equally many."""
    known = cache(lambda: Table(data("nasbench101.parquet")))
    asked = script.arguments
    if FOLDER.parent in asked.environments.resolve().parents:
        raise SystemExit(f"--environments: expected a folder outside the repository; got {asked.environments}.")

    def row(searcher: str, scheduler: str, seed: int, seconds: float = math.inf) -> Row | None:
        return rows.get(
            lambda: run(known(), searcher, scheduler, seed, seconds),
            **identity(searcher, scheduler, seed),
        )

    for seed in script.seeds:
        for searcher in [each for each in SEARCHERS if each in asked.only]:
            full = row(searcher, "none", seed)
            if full is not None:
                for scheduler in schedulers_of(searcher):
                    row(searcher, scheduler, seed, full["end"])
        for name in [each for each in PEERS if each in asked.only]:
            full = row("random", "none", seed)
            if full is None:
                continue
            try:
                rows.get(
                    lambda name=name, full=full, seed=seed: run_peer(PEERS[name], asked.environments, known(), seed, full["end"]),
                    **identity(name, "its own", seed),
                )
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)


def schedulers_of(searcher: str) -> list[str]:
    return [name for name, (_, options) in SCHEDULERS.items() if not options or searcher in VARIED]


def identity(searcher: str, scheduler: str, seed: int) -> dict[str, Any]:
    return {"bench": "nasbench101", "searcher": searcher, "scheduler": scheduler, "seed": seed}


def at(row: Row, second: float) -> float:
    """Return the reported accuracy (%) at a second; 10, which is chance, before the first score."""
    return float(([10.0] + [accuracy for found, accuracy in row["improvements"] if found <= second])[-1])


def seconds_until(rows: Sequence[Row], accuracy: float) -> float:
    """Return the first second at which the mean reported accuracy of searches is at least `accuracy`; infinity if never."""
    current, mean = [10.0] * len(rows), 10.0
    steps = sorted((second, place, value) for place, row in enumerate(rows) for second, value in row["improvements"])
    for second, place, value in steps:
        mean += (value - current[place]) / len(rows)
        current[place] = value
        if mean >= accuracy - 1e-6:
            return float(second)
    return math.inf


def interval(values: Iterable[float], digits: int) -> str:
    """Return the central 95 % of resampled values."""
    low, high = np.quantile(list(values), [0.025, 0.975], method="nearest")
    return " to ".join("never" if math.isinf(value) else f"{value:.{digits}f}" for value in (low, high))


def report(rows: Rows) -> None:
    """Print a table: seconds until the accuracy of 100 full trainings, and accuracies at the end, with bootstrap intervals."""
    lines, random = list[list[object]](), np.random.default_rng(0)
    for searcher in [*SEARCHERS, *PEERS]:
        schedulers = ["none", *SCHEDULERS] if searcher in SEARCHERS else ["its own"]
        base = "random" if searcher in PEERS else searcher
        found = {each: {row["seed"]: row for row in rows.select(searcher=searcher, scheduler=each)} for each in schedulers}
        found["none"] = {row["seed"]: row for row in rows.select(searcher=base, scheduler="none")}
        for scheduler in schedulers:
            seeds = sorted(set(found[scheduler]) & set(found["none"]))
            if len(seeds) < 2:
                continue
            full, own = ([found[name][seed] for seed in seeds] for name in ("none", scheduler))

            def ratio(chosen: Sequence[int], full: list[Row] = full, own: list[Row] = own) -> float:
                before = [full[each] for each in chosen]
                target = float(np.mean([at(row, row["end"]) for row in before]))
                return seconds_until([own[each] for each in chosen], target) / seconds_until(before, target)

            target = float(np.mean([at(row, row["end"]) for row in full]))
            gaps = np.array([at(mine, mine["end"]) - at(other, other["end"]) for mine, other in zip(own, full, strict=True)])
            drawn = random.integers(len(seeds), size=(RESAMPLES, len(seeds)))
            until, share = seconds_until(own, target), ratio(range(len(seeds)))
            lines.append(
                [
                    searcher,
                    scheduler,
                    len(seeds),
                    f"{np.mean([row['started'] for row in own]):.0f}, {np.mean([row['complete'] for row in own]):.0f}",
                    f"{target:.3f}",
                    "never" if math.isinf(until) else f"{until:,.0f}",
                    None if scheduler == "none" else f"{share:.2f} ({interval(map(ratio, drawn), 2)})",
                    f"{AIMS[searcher]:.2f}" if searcher in AIMS and scheduler != "none" else None,
                    f"{target + gaps.mean():.3f}",
                    None if scheduler == "none" else f"{gaps.mean():+.3f} ({interval(gaps[drawn].mean(axis=1), 3)})",
                    f"{np.median([row['cpu'] for row in own]):.0f}" if "cpu" in own[0] else None,
                ]
            )
    columns = ["searcher", "scheduler", "seeds", "candidates, complete", f"accuracy (%) of {TRAININGS} full trainings"]
    columns += ["simulated seconds until it", "share of those without", "aim", "accuracy (%) at the end", "gain", "CPU s"]
    table(columns, lines)


def main() -> None:
    script = Script(__file__, __doc__, seeds=20)
    everything = [*SEARCHERS, *PEERS]
    script.argument("--only", nargs="+", choices=everything, default=everything, help="searchers, and methods of others")
    where = Path(tempfile.gettempdir()) / "archsearch-peers"
    script.argument(
        "--environments", type=Path, default=where, metavar="FOLDER", help="folder of the environments (default: %(default)s)"
    )
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: measure(script, rows), report)


if __name__ == "__main__":
    main()

"""A search on a cluster of three nodes loses nothing and pays nothing twice, when processes are killed at random moments.

The evaluator writes a line when it begins a candidate and one when it is done; these are compared with the ledger.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from archsearch.cluster import Entry, Ledger
from archsearch.spaces.nasbench201 import NASBench201

pytestmark = pytest.mark.timeout(1800)
PATIENCE = 600  # seconds, on a machine that is busy with other work
CANDIDATES = 40
HELD = 30  # no more than about so many are finished before a test has killed what it wants to kill, however slow it is
Result = TypeVar("Result")
LONG = [pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20)]
# By default Ray takes half a minute until it gives up a node.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 15_000,  # a busy node is not to be taken for a dead one
    "health_check_failure_threshold": 4,
}

# The evaluator is defined in the driver's program, as a user's own would be.
DRIVER = """
import os, sys, time
from archsearch import spaces
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.platform import run_search

class Noting(Evaluator):
    task = "noting"

    def __init__(self, notes):
        super().__init__(spaces.get("nasbench201"))
        self.notes = notes

    def settings(self):
        return {"by": "zeros"}

    def note(self, what, architecture):
        file = os.open(self.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{what} {os.getpid()} {architecture}\\n".encode())
        os.close(file)

    def is_held(self):
        if not os.path.exists(self.notes + ".held"):
            return False
        with open(self.notes) as file:
            return sum(line.startswith("end") for line in file) >= HELD

    def evaluate(self, architectures):
        outcomes = []
        for architecture in architectures:
            self.note("begin", architecture)
            time.sleep(0.15)
            while self.is_held():
                time.sleep(0.05)
            score = float(str(architecture).count("none"))
            outcomes.append(Evaluation(architecture, self.space.key(architecture), score, seconds=0.15))
            self.note("end", architecture)
        return outcomes

address, storage, seed, candidates, resume = sys.argv[1:]
result = run_search(
    "nasbench201", "evolution", Noting(storage + "/notes"), int(candidates), int(seed), "killed", storage, resume == "resume",
    address=address, workers=2, batch_size=4, tracking="off", report=False, progress=False,
    searcher_options={"population_size": 10, "tournament_size": 3},
)
print(len(result.evaluations), "candidates, errors:", [error for error in result.evaluations["error"].to_pylist() if error])
""".replace("HELD", str(HELD))


class Nodes:
    """A cluster on this machine: a head for the driver and two nodes for the workers; a node that is killed is replaced."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        options = {"object_store_memory": 80_000_000, "include_dashboard": False}
        self._options = {**options, "num_cpus": 2}
        self.cluster = Cluster(
            initialize_head=True, connect=False, head_node_args={**options, "num_cpus": 0, "_system_config": HEALTH}
        )
        self.others = [self._added() for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def kill(self, index: int) -> list[int]:
        """Kill the raylet of a node, and replace the node; return the processes that lost their raylet."""
        node = self.others.pop(index)
        processes = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        orphans = [pid for pid in processes if status(pid)[1:2] == [str(raylet(node))]]
        os.kill(raylet(node), signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.others.append(self._added())
        return orphans

    def _added(self, tries: int = 3) -> Any:
        """Return a new node; Ray gives it 30 seconds to start, which a busy machine may exceed."""
        while True:
            try:
                return self.cluster.add_node(**self._options)
            except Exception as error:
                tries -= 1
                if not tries or "timed out during startup" not in str(error):
                    raise

    def node_of(self, pid: int) -> int | None:
        """Return the index of the node that a worker process belongs to; None if the process has gone."""
        raylets = [str(raylet(node)) for node in self.others]
        parent = status(pid)[1:2]
        return raylets.index(parent[0]) if parent and parent[0] in raylets else None


def raylet(node: Any) -> int:
    """Return the process that makes a node."""
    return int(node.all_processes["raylet"][0].process.pid)


def status(pid: int) -> list[str]:
    """Return state, parent and so on of a process; nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Search:
    """A search in a process of its own, and what it leaves in a folder."""

    def __init__(self, nodes: Nodes, folder: Path, seed: int, held: bool) -> None:
        self.nodes, self.folder, self.seed = nodes, folder, seed
        self._held = folder / "notes.held"
        if held:
            self._held.touch()
        self.process = self._start("start")

    def _start(self, how: str) -> subprocess.Popen[bytes]:
        arguments = [self.nodes.address, str(self.folder), str(self.seed), str(CANDIDATES), how]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (self.folder / "output").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-c", DRIVER, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def resume(self) -> None:
        self.process = self._start("resume")

    def end(self) -> None:
        self._held.unlink(missing_ok=True)
        assert self.process.wait(timeout=PATIENCE) == 0, self.output
        assert f"{CANDIDATES} candidates" in self.output

    def notes(self, what: str) -> list[tuple[int, str]]:
        """Return process and candidate of each line."""
        path = self.folder / "notes"
        lines = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(pid), text) for kind, pid, text in lines if kind == what]

    def wait(self, reached: Callable[[], Result | None]) -> Result:
        deadline = time.monotonic() + PATIENCE
        while not (result := reached()):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"only {len(self.notes('end'))} candidates"
            time.sleep(0.01)
        return result

    def wait_for(self, count: int) -> None:
        self.wait(lambda: len(self.notes("end")) >= count)

    def workers(self) -> list[int]:
        """Return the processes that evaluate something at this moment."""
        ended = Counter(self.notes("end"))
        busy = {pid for pid, text in self.notes("begin") if not ended[pid, text]}
        return sorted(pid for pid in busy if status(pid)[:1] not in ([], ["Z"]))

    def pick_worker(self, rng: random.Random) -> int:
        return rng.choice(self.wait(self.workers))

    def pick_node(self, rng: random.Random) -> int:
        """Return the index of a node that evaluates something."""
        [node] = self.wait(lambda: [node for pid in [self.pick_worker(rng)] if (node := self.nodes.node_of(pid)) is not None])
        return node

    def entries(self) -> list[Entry]:
        [folder] = (self.folder / "ledger" / "nasbench201").iterdir()
        return Ledger(self.folder / "ledger", NASBench201(), folder.name).entries()

    def recorded(self) -> set[str]:
        return {str(entry.evaluation.architecture) for entry in self.entries()}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # a token of this machine is not for these nodes
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Nodes()
        yield made
        made.cluster.shutdown()


@pytest.fixture
def start(nodes: Nodes, tmp_path: Path) -> Iterator[Callable[..., Search]]:
    """Starts a search in a process of its own."""
    searches: list[Search] = []

    def make(seed: int, held: bool = False) -> Search:
        searches.append(Search(nodes, tmp_path, seed, held))
        return searches[-1]

    yield make
    for search in searches:
        search.process.kill()
        search.process.wait()


def check(search: Search, killed: dict[int, set[str]], abandoned: bool = False) -> None:
    """Each candidate is recorded once; what was begun twice was unrecorded work of a killed process.

    Args:
        search: It has ended.
        killed: Killed processes, and what had been recorded shortly before.
        abandoned: Whether others may have been proposed in place of those that were on their way.
    """
    entries = search.entries()
    recorded = [str(entry.evaluation.architecture) for entry in entries]
    begun: dict[str, list[int]] = {}
    for pid, text in search.notes("begin"):
        begun.setdefault(text, []).append(pid)
    again = {text: pids for text, pids in begun.items() if len(pids) > 1}
    failed = {str(entry.evaluation.architecture) for entry in entries if entry.evaluation.error}
    counts = f"{len(recorded)} recorded, {sum(map(len, begun.values()))} begun, {len(failed)} failed, {len(killed)} killed"
    print(f"\nseed {search.seed}: {counts}")
    assert len(recorded) == len({entry.evaluation.key for entry in entries}) == CANDIDATES, counts + search.output
    lost = set(begun) - set(recorded)
    assert not lost or (abandoned and all({*begun[text]} <= {*killed} for text in lost)), "nothing is lost"
    for text, pids in again.items():
        assert all(pid in killed and text not in killed[pid] for pid in pids[:-1]), f"{text} was paid again: {pids}, {killed}"
    # Ray may report the loss of a node as the death of a process. A candidate is noted before the evaluator begins it.
    assert all({*begun.get(text, [])} <= {*killed} for text in failed), "it was the work in hand of two processes that died"


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long), *LONG])
@pytest.mark.slow
def test_death_of_a_worker_and_of_a_node(seed: int, nodes: Nodes, start: Callable[..., Search]) -> None:
    rng = random.Random(seed)
    search = start(seed, held=True)
    search.wait_for(rng.randint(1, 10))
    time.sleep(rng.uniform(0, 0.3))
    worker = search.pick_worker(rng)
    killed = {worker: search.recorded()}
    os.kill(worker, signal.SIGKILL)
    search.wait_for(len(search.notes("end")) + rng.randint(1, 10))
    time.sleep(rng.uniform(0, 0.3))
    node = search.pick_node(rng)
    before = search.recorded()
    killed |= dict.fromkeys(nodes.kill(node), before)
    search.end()
    check(search, killed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long), *LONG])
def test_death_of_the_driver(seed: int, start: Callable[..., Search]) -> None:
    rng = random.Random(seed)
    search = start(seed)
    search.wait_for(rng.randint(1, 30))
    time.sleep(rng.uniform(0, 0.3))
    before = search.recorded()
    search.process.kill()
    search.process.wait()
    deadline = time.monotonic() + 60
    while search.workers() and time.monotonic() < deadline:
        time.sleep(0.05)  # Ray ends the workers of a driver that has gone
    killed = dict.fromkeys((pid for pid, _ in search.notes("begin")), before)
    search.resume()
    search.end()
    check(search, killed, abandoned=True)


STEPS = 9
# A step ends before its checkpoint is written: a kill between them loses it, as one in the middle of the step does.
STEP_DRIVER = """
import json, os, sys, time
from pathlib import Path
from archsearch import spaces
from archsearch.cluster import Ledger, RungLog, TrialResources, connect, partial_outcomes, run_stepwise
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.trials.step_queue import StepQueue
from archsearch.cluster.trials.step_trial import StepTask, StepWorker
from archsearch.evaluators import Evaluation, EvaluationSteps, StepwiseEvaluator
from archsearch.evaluators.stepwise import STEP_SCORES
from archsearch.searchers import Observation, RandomSearch

class Steps(EvaluationSteps):
    def __init__(self, architecture, evaluator):
        super().__init__(architecture)
        self.evaluator, self.scores = evaluator, []

    def step(self):
        self.note("begin")
        time.sleep(0.1 if self.evaluator.slow else 0)
        while self.evaluator.is_held():
            time.sleep(0.05)
        genes = self.evaluator.space.genotype(self.architecture)
        number = self.fidelity + 1
        self.scores.append(sum(genes) / 24 * (1 - 0.5**number) + 0.01 * genes[0] * number)
        self.note("end")
        self.fidelity = number
        return Evaluation(
            self.architecture, self.evaluator.space.key(self.architecture), self.scores[-1], seconds=0.1 * number,
            curves={STEP_SCORES: tuple(self.scores)}, fidelity=None if number == STEPS else number,
        )

    def note(self, what):
        file = os.open(self.evaluator.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{what} {os.getpid()} {self.fidelity + 1}@{self.architecture}\\n".encode())
        os.close(file)

    def state(self):
        return {"scores": list(self.scores)}

    def load_state(self, state):
        self.scores, self.fidelity = list(state["scores"]), len(state["scores"])

class Noting(StepwiseEvaluator):
    task = "noting"
    max_fidelity = STEPS

    def __init__(self, notes, slow):
        super().__init__(spaces.get("nasbench201"))
        self.notes, self.slow = notes, slow

    def settings(self):
        return {"by": "steps"}

    def begin(self, architecture):
        return Steps(architecture, self)

    def is_held(self):
        if not os.path.exists(self.notes + ".held"):
            return False
        with open(self.notes) as file:
            return sum(line.startswith("end") for line in file) >= 2 * HELD

address, storage, seed, candidates, how = sys.argv[1:]
deterministic, straight = "deterministic" in how, "straight" in how
evaluator = Noting(storage + "/notes", slow=not straight)
space, root = evaluator.space, storage + "/ledger"
ledger = Ledger(root, space, evaluator.fingerprint())
searcher = RandomSearch(space, int(seed), num_candidates=int(candidates), batch_size=1, deterministic=deterministic)
scheduler = registry.get("promotion", {"grace_period": 2}, max_fidelity=STEPS, fidelity_name="epochs")
if straight:
    task = StepTask(evaluator, root, "killed", milestones(scheduler), 1.0)
    queue, worker, number = StepQueue(searcher, scheduler, task, workers=4, ordered=True), StepWorker(task), 0
    while isinstance(suggestion := queue.suggest(str(number)), dict):
        while not queue.take(worker.advance(suggestion)):
            pass
        queue.on_trial_complete(str(number))
        number += 1
    queue.close()
else:
    if not deterministic:
        entries = [*ledger.entries("killed"), *partial_outcomes(ledger, "killed")]
        searcher.replay([Observation(entry.batch, entry.position, entry.evaluation, False) for entry in entries])
    connect(address)
    run_stepwise(
        searcher, evaluator, scheduler=scheduler, ledger=root, run="killed", folder=Path(storage) / f"tune{os.getpid()}",
        workers=2, resources=TrialResources(), deterministic=deterministic, known=ledger.read().known("killed"),
    )
events = RungLog(ledger, "killed").read()
rows = [(each.order, each.trial, each.key, each.fidelity, each.action) for each in events]
Path(storage, "decisions.json").write_text(json.dumps(rows))
told = sorted((str(row.evaluation.architecture), row.evaluation.fidelity or STEPS) for row in searcher.history)
Path(storage, "told.json").write_text(json.dumps(told))
print(len(searcher.history), "candidates, errors:", [row.evaluation.error for row in searcher.history if row.evaluation.error])
""".replace("HELD", str(HELD)).replace("STEPS", str(STEPS))


class StepSearch(Search):
    """A step-wise search under a scheduler; a line of the notes names a step and its candidate."""

    def __init__(self, nodes: Nodes, folder: Path, seed: int, held: bool, how: str = "") -> None:
        self._how = how
        self.is_free = "deterministic" not in how
        super().__init__(nodes, folder, seed, held)

    def _start(self, how: str) -> subprocess.Popen[bytes]:
        arguments = [self.nodes.address, str(self.folder), str(self.seed), str(CANDIDATES), f"{how} {self._how}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (self.folder / "output").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-c", STEP_DRIVER, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def kill_driver(self) -> set[int]:
        """Kill the driver; return the processes of its workers so far, once Ray has ended them."""
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 60
        while self.workers() and time.monotonic() < deadline:
            time.sleep(0.05)
        return {pid for pid, _ in self.notes("begin")}

    def left(self, name: str) -> Any:
        """Return what the driver wrote at its end."""
        return json.loads((self.folder / f"{name}.json").read_text())


def check_steps(search: StepSearch, killed: set[int]) -> bool:
    """No step is done twice but one of each candidate that a killed process had in hand.

    Returns:
        Whether no candidate was given up. One is whose process died twice, as by its own fault: two of the kills may have met it.
    """
    begun: dict[str, list[int]] = {}
    for pid, name in search.notes("begin"):
        begun.setdefault(name, []).append(pid)
    again = {name: pids for name, pids in begun.items() if len(pids) > 1}
    told: dict[str, int] = dict(search.left("told"))
    counts = f"{len(begun)} steps, {sum(map(len, begun.values()))} begun, {len(again)} again, {len(killed)} killed"
    print(f"\nseed {search.seed}: {counts}")
    met: dict[str, set[int]] = {}
    for name, pids in begun.items():
        met.setdefault(name.partition("@")[2], set()).update(killed.intersection(pids))
    met_twice = [candidate for candidate, pids in met.items() if len(pids) > 1]
    given_up = search.output.count("it killed its process 2 times")
    assert len(told) == CANDIDATES and given_up <= len(met_twice), counts + search.output
    assert given_up or "errors: []" in search.output, counts + search.output
    for name, pids in again.items():
        assert all(pid in killed for pid in pids[:-1]), f"{name} was paid again: {pids}, {killed}"
    if given_up:
        return False
    expected = {f"{step}@{text}" for text, fidelity in told.items() for step in range(1, fidelity + 1)}
    # Decisions of the last second may be lost with the driver; taken again, one may stop a candidate earlier than before.
    assert set(begun) == expected or (search.is_free and set(begun) > expected)
    lost = Counter((pid, name.partition("@")[2]) for name, pids in again.items() for pid in pids[:-1])
    assert max(lost.values(), default=0) <= 1, f"more than one step of a candidate was lost: {lost}"
    return True


STEP_SEEDS = [*(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3)), *LONG[1:]]


@pytest.mark.parametrize("seed", STEP_SEEDS)
def test_deaths_in_the_middle_of_evaluations_lose_one_step(seed: int, nodes: Nodes, tmp_path: Path) -> None:
    rng, how = random.Random(seed), "deterministic" if seed % 2 == 0 else ""
    search = StepSearch(nodes, tmp_path, seed, held=True, how=how)
    try:
        search.wait_for(rng.randint(2, 20))
        time.sleep(rng.uniform(0, 0.3))
        killed = {search.pick_worker(rng)}
        os.kill(next(iter(killed)), signal.SIGKILL)
        search.wait_for(len(search.notes("end")) + rng.randint(2, 10))
        time.sleep(rng.uniform(0, 0.3))
        killed |= set(nodes.kill(search.pick_node(rng)))
        search.wait_for(len(search.notes("end")) + rng.randint(2, 10))
        time.sleep(rng.uniform(0, 0.3))
        killed |= search.kill_driver()
        search.resume()
        search.end()
    finally:
        search.process.kill()
        search.process.wait()
    if check_steps(search, killed) and how:
        (tmp_path / "straight").mkdir()
        straight = StepSearch(nodes, tmp_path / "straight", seed, held=False, how="deterministic straight")
        straight.end()
        assert search.left("decisions") == straight.left("decisions")
        assert search.left("told") == straight.left("told")

"""A search on a cluster of three nodes loses nothing and pays nothing twice, when processes are killed at random moments.

The evaluator writes a line when it begins a candidate and one when it is done; these are compared with the ledger.
"""

from __future__ import annotations

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
        self.others = [self.cluster.add_node(**self._options) for _ in range(2)]

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
        self.others.append(self.cluster.add_node(**self._options))
        return orphans

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

"""Small parts are merged, and nobody loses anything by it: at any moment of a kill, beside any reader, writer or compaction."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.cluster import Entry, Ledger
from archsearch.cluster.ledger.compaction import MOST_PARTS
from archsearch.evaluators import Evaluation
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
# Where a handler's method is called otherwise, or takes other arguments, than on a file system.
METHODS = {"get_file_info_selector": "get_file_info"}
SECOND = {"create_dir": "recursive", "open_output_stream": "metadata", "open_append_stream": "metadata"}


def hooked_files(before: Callable[[], None]) -> pafs.FileSystem:
    """Return a new file system in memory; `before` is called before each operation on it."""
    files, _ = pafs.FileSystem.from_uri("mock:///")

    def delegate(name: str) -> Callable[..., Any]:
        def operation(self: Any, first: Any, *others: Any) -> Any:
            before()
            method = getattr(files, METHODS.get(name, name))
            return method(first, **{SECOND[name]: others[0]}) if name in SECOND else method(first, *others)

        return operation

    methods: dict[str, Any] = {name: delegate(name) for name in pafs.FileSystemHandler.__abstractmethods__}
    methods |= {"get_type_name": lambda self: "hooked", "normalize_path": lambda self, path: path}
    return pafs.PyFileSystem(type("Hooked", (pafs.FileSystemHandler,), methods)())


class Moments:
    """Calls `act` before one operation of a file system, counted from `arm`, and never while it acts."""

    def __init__(self) -> None:
        self.files = hooked_files(self._before)
        self._left, self._act = -1, lambda: None

    def arm(self, moment: int, act: Callable[[], None]) -> None:
        self._left, self._act = moment, act

    def _before(self) -> None:
        self._left -= 1
        if self._left == -1:
            self._act()

    def disarm(self) -> bool:
        """Act no more; return whether it came to that."""
        reached, self._left = self._left < 0, -1
        return reached


class Killed(BaseException):
    """Nothing catches it: what it leaves behind is what a killed process leaves."""


def die() -> None:
    raise Killed


def ledger_in(files: pafs.FileSystem, **options: Any) -> Ledger:
    return Ledger("ledger", SPACE, "abc", filesystem=files, **options)


def append(ledger: Ledger, numbers: range | list[int], run: str = "run") -> None:
    """Record made-up evaluations of one batch; a number stands for an architecture."""
    rows = []
    for place, number in enumerate(numbers):
        architecture = SPACE.from_genotype([number // 5**gene % 5 for gene in range(6)])
        rows.append((place, Evaluation(architecture, f"key{number}", float(number), {"half": number / 2})))
    ledger.append(run, numbers[0], rows)


def scores(entries: list[Entry]) -> list[float]:
    return [entry.evaluation.score for entry in entries]


def three_levels(files: pafs.FileSystem) -> Ledger:
    """Return a ledger that has two merged parts and three small ones; a compaction with `most=2` climbs two levels."""
    ledger = ledger_in(files)
    for start in (0, 10, 20):
        for number in range(start, start + 10, 4):
            append(ledger, range(number, min(number + 4, start + 10)))
        if start < 20:
            assert ledger.compact(most=2) == 3
    return ledger


def names(ledger: Ledger) -> list[str]:
    infos = ledger.files.get_file_info(pafs.FileSelector(ledger.folder, recursive=True))
    return sorted(info.path.removeprefix(ledger.folder + "/") for info in infos if info.path.endswith(".parquet"))


def test_parts_climb_levels_and_rows_stay() -> None:
    ledger = three_levels(hooked_files(lambda: None))
    before = ledger.read()
    assert [name.split("/")[0] for name in names(ledger)[:2]] == ["level1", "level1"] and len(names(ledger)) == 5
    assert ledger.compact() == 0, "so few are left alone"
    assert ledger.compact(most=2) == 6
    assert [name.split("/")[0] for name in names(ledger)] == ["level2"]
    after = ledger.read()
    assert after.table.equals(before.table)
    assert after.entries() == before.entries()
    assert scores(after.entries()) == list(range(30))
    assert ledger.entries("run", 4) == before.of("run", 4).entries()
    assert scores(ledger.entries("run", 4)) == [4, 5, 6, 7]


def test_damaged_part_is_not_merged_but_set_aside(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, SPACE, "abc")
    for number in range(5):
        append(ledger, [number])
    victim = sorted(tmp_path.rglob("*.parquet"))[2]
    victim.write_bytes(victim.read_bytes()[:100])
    assert ledger.compact(most=1) == 4
    assert scores(ledger.entries()) == [0, 1, 3, 4]
    assert [path.name for path in tmp_path.rglob("*.damaged")] == [victim.name + ".damaged"]


def test_parts_of_one_writer_are_merged_as_they_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, SPACE, "abc")
    for number in range(2 * MOST_PARTS + 3):
        append(ledger, [number])
    assert len(list(tmp_path.rglob("*.parquet"))) == 2 + 3
    assert scores(Ledger(tmp_path, SPACE, "abc").entries()) == list(range(2 * MOST_PARTS + 3))


def test_rows_of_other_seeds_and_fidelities_are_kept_apart() -> None:
    files = hooked_files(lambda: None)
    ledgers = [ledger_in(files), ledger_in(files, seed=1), ledger_in(files, fidelity="12 epochs")]
    for start, ledger in zip((0, 10, 20), ledgers, strict=True):
        append(ledger, range(start, start + 4))
    ledgers[0].compact(most=1)
    assert len(names(ledgers[0])) == 1
    assert [scores(ledger.entries()) for ledger in ledgers] == [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]


def test_kill_at_any_moment_loses_nothing() -> None:
    for moment in itertools.count():
        moments = Moments()
        ledger = three_levels(moments.files)
        expected = ledger.entries()
        moments.arm(moment, die)
        with suppress(Killed):
            ledger.compact(most=2)
        killed = moments.disarm()
        assert ledger_in(moments.files).entries() == expected, moment
        ledger.compact(most=2)
        assert ledger.entries() == expected, moment
        if not killed:
            break
    assert moment >= 20, "listing, reading, writing and removing at two levels"


def test_reader_sees_each_row_once_whenever_parts_are_merged() -> None:
    for moment in itertools.count():
        moments = Moments()
        ledger = three_levels(moments.files)
        expected = ledger.entries()
        moments.arm(moment, lambda ledger=ledger: ledger.compact(most=2))  # type: ignore[misc]
        assert ledger_in(moments.files).entries() == expected, moment
        if not moments.disarm():
            break
    assert moment > 8, "listing of three levels and reading of five parts"


def test_two_compactions_at_a_time_are_harmless() -> None:
    for moment in itertools.count():
        moments = Moments()
        ledger = three_levels(moments.files)
        expected = ledger.entries()
        moments.arm(moment, lambda moments=moments: ledger_in(moments.files).compact(most=2))  # type: ignore[misc]
        ledger.compact(most=2)
        acted = moments.disarm()
        assert ledger.entries() == expected, moment
        if not acted:
            break


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["append", "compact", "both"])), max_size=4), st.data())
@pytest.mark.slow
def test_reader_beside_writers_and_compactions(acts: list[tuple[int, str]], data: st.DataObject) -> None:
    moments = Moments()
    ledger = three_levels(moments.files)
    fresh = itertools.count(100)
    left = list(acts)

    def act() -> None:
        _, what = left.pop(0)
        if what != "compact":
            append(ledger, [next(fresh)])
        if what != "append":
            ledger.compact(most=data.draw(st.integers(0, 3)))
        if left:
            moments.arm(left[0][0], act)

    if left:
        moments.arm(left[0][0], act)
    seen = scores(ledger_in(moments.files).entries())
    assert seen[:30] == list(range(30))
    assert len(set(seen)) == len(seen)
    moments.disarm()
    assert scores(ledger.entries()) == [*range(30), *range(100, next(fresh))]


_WRITER = """
import sys, time
from archsearch.cluster import Ledger
from archsearch.evaluators import Evaluation
from archsearch.spaces.nasbench201 import NASBench201
space, root, run = NASBench201(), sys.argv[1], sys.argv[2]
ledger = Ledger(root, space, "abc")
for batch in range(1000):
    rows = []
    for place in range(2):
        number = 2 * batch + place
        architecture = space.from_genotype([number // 5**gene % 5 for gene in range(6)])
        rows.append((place, Evaluation(architecture, f"{run}-{number}", 0.5)))
    ledger.append(run, batch, rows)
    print(batch, flush=True)
"""
_COMPACTOR = """
import sys
from archsearch.cluster import Ledger
from archsearch.spaces.nasbench201 import NASBench201
ledger = Ledger(sys.argv[1], NASBench201(), "abc")
print("ready", flush=True)
while True:
    ledger.compact(most=int(sys.argv[2]))
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))])
def test_processes_that_write_compact_and_read_at_once_and_are_killed(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    processes = [start(_WRITER, str(tmp_path), f"run{number}") for number in range(2)]
    processes += [start(_COMPACTOR, str(tmp_path), most) for most in ("3", "9")]
    try:
        assert all(process.stdout and process.stdout.readline() for process in processes)
        ledger = Ledger(tmp_path, SPACE, "abc")
        sizes = [0]
        until = time.monotonic() + rng.uniform(1.0, 3.0)
        while time.monotonic() < until or sizes[-1] < 60:
            entries = ledger.entries()
            assert len({entry.evaluation.key for entry in entries}) == len(entries)
            sizes.append(len(entries))
    finally:
        rng.shuffle(processes)
        for process in processes:
            process.send_signal(signal.SIGKILL)
    printed = [process.communicate()[0].splitlines() for process in processes]
    # The first line of each writer was read before; a last line may be cut short.
    written = sum(max(0, len([line for line in lines if line.isdigit()])) for lines in printed) + 2
    entries = ledger.entries()
    assert sizes == sorted(sizes), "nothing disappears"
    assert all(size % 2 == 0 for size in sizes), "a part is seen as a whole"
    assert len(entries) >= 2 * written, "what was reported as written is there"
    ledger.compact(most=0)
    assert ledger.entries() == entries
    assert not list(tmp_path.rglob("*.damaged"))

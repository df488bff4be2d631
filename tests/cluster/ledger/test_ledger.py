"""Every evaluation, once; parts whole or not at all."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.cluster import Ledger
from archsearch.errors import LedgerError
from archsearch.evaluators import Evaluation
from archsearch.spaces import Architecture, SearchSpace

# Writes parts of two rows until it is killed.
_WRITER = """
import sys
import numpy
from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.evaluators import Evaluation
space, rng = spaces.get("nasbench201"), numpy.random.default_rng(0)
ledger, seen, batch = Ledger(sys.argv[1], space, "abc"), set(), 0
while True:
    pair = [space.sample(rng), space.sample(rng)]
    keys = [space.key(architecture) for architecture in pair]
    if len({*keys} - seen) < 2:
        continue
    seen.update(keys)
    ledger.append("writer", batch, [(i, Evaluation(a, k, 0.5)) for i, (a, k) in enumerate(zip(pair, keys))])
    batch += 1
    print(batch, flush=True)
"""


def evaluated(space: SearchSpace, architecture: Architecture, score: float = 0.5, error: str | None = None) -> Evaluation:
    return Evaluation(
        architecture,
        space.key(architecture),
        score,
        {"params": 12.0, "valid_loss": 0.25},
        1.5,
        error,
        {"valid_accuracy": (0.1, 0.4, score), "empty": ()},
    )


def rows(space: SearchSpace, architectures: Sequence[Architecture]) -> list[tuple[int, Evaluation]]:
    return [(place, evaluated(space, architecture, 0.01 * place)) for place, architecture in enumerate(architectures)]


def parts(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_what_is_appended_is_read(scheme: str, space: SearchSpace, architectures: list[Architecture], tmp_path: Path) -> None:
    root = f"{scheme}{tmp_path}/ledger"
    written = rows(space, architectures[:3])
    Ledger(root, space, "abc").append("run", 7, written)
    entries = Ledger(root, space, "abc").entries()
    assert [entry.evaluation for entry in entries] == [evaluation for _, evaluation in written]
    assert [(entry.run, entry.batch, entry.position) for entry in entries] == [("run", 7, place) for place in range(3)]
    assert len(parts(tmp_path)) == 1


@pytest.mark.parametrize("kind", ["in memory", "sub-tree", "in memory by its URI"])
def test_other_file_systems_serve(kind: str, space: SearchSpace, architectures: list[Architecture], tmp_path: Path) -> None:
    files: dict[str, pafs.FileSystem | None] = {
        "in memory": pafs.FileSystem.from_uri("mock:///")[0],
        "sub-tree": pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()),
        "in memory by its URI": None,
    }
    ledger = Ledger("ledger" if files[kind] else "mock:///ledger", space, "abc", filesystem=files[kind])
    ledger.append("run", 0, rows(space, architectures[:2]))
    ledger.append("run", 1, rows(space, architectures[2:4]))
    assert [entry.evaluation.architecture for entry in ledger.entries()] == architectures[:4]
    assert ledger.compact(most=1) == 2
    assert [entry.evaluation.architecture for entry in ledger.entries("run", 1)] == architectures[2:4]
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".parquet"] * (kind == "sub-tree")


def test_failed_evaluations_are_kept_but_not_known(space: SearchSpace, architectures: list[Architecture], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    failed, fine = evaluated(space, architectures[0], math.nan, "out of memory"), evaluated(space, architectures[1])
    ledger.append("run", 0, [(0, failed), (1, fine)])
    first = ledger.entries()[0].evaluation
    assert (first.error, math.isnan(first.score)) == ("out of memory", True)
    assert ledger.read().known("other") == {fine.key: fine}


def test_later_success_counts_more_than_an_earlier_failure(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    failed, fine = evaluated(space, architectures[0], math.nan, "the disk was full"), evaluated(space, architectures[0], 0.75)
    ledger.append("first", 0, [(0, failed)])
    ledger.append("second", 0, [(0, fine)])
    ledger.append("third", 0, [(0, failed)])
    assert [entry.evaluation for entry in ledger.entries()] == [fine]
    assert ledger.read().known("other") == {fine.key: fine}


def test_each_identity_is_returned_once_the_first_record_of_it(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    for run, score in (("first", 0.5), ("second", 0.6), ("second", 0.7)):
        ledger.append(run, 0, [(0, evaluated(space, architectures[0], score))])
    assert [entry.evaluation.score for entry in ledger.entries()] == [0.5]
    assert [entry.evaluation.score for entry in ledger.entries("second")] == [0.6]


def test_structures_that_are_equal_are_one_identity(space: SearchSpace, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    one = space.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    same = space.parse("|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")
    ledger.append("run", 0, [(0, evaluated(space, one))])
    ledger.append("run", 1, [(0, evaluated(space, same))])
    assert [entry.evaluation.architecture for entry in ledger.entries()] == [one]


def test_runs_and_batches_are_told_apart(space: SearchSpace, architectures: list[Architecture], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    names = [("run", 1), ("run", 2), ("run~000001", 2), ("run-2", 1)]
    for (run, batch), architecture in zip(names, architectures, strict=False):
        ledger.append(run, batch, [(0, evaluated(space, architecture))])
    for (run, batch), architecture in zip(names, architectures, strict=False):
        assert [entry.evaluation.architecture for entry in ledger.entries(run, batch)] == [architecture]
    assert [entry.evaluation.architecture for entry in ledger.entries("run")] == architectures[:2]
    assert ledger.entries("no such run") == []


def test_seeds_fidelities_and_evaluators_are_told_apart(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledgers = [
        Ledger(tmp_path, space, "abc"),
        Ledger(tmp_path, space, "abc", seed=1),
        Ledger(tmp_path, space, "abc", fidelity="12 epochs"),
        Ledger(tmp_path, space, "def"),
    ]
    for number, ledger in enumerate(ledgers):
        assert ledger.entries() == []
        ledger.append("run", 0, [(0, evaluated(space, architectures[0], 0.1 * number))])
    assert [[entry.evaluation.score for entry in ledger.entries()] for ledger in ledgers] == [[0.1 * n] for n in range(4)]


def test_partial_evaluations_are_kept_apart_one_for_each_fidelity(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    first, second = (evaluated(space, architecture, 0.25) for architecture in architectures[:2])
    ledger.append("one", 0, [(0, replace(first, fidelity=4)), (1, second)])
    ledger.append("one", 0, [(0, replace(first, fidelity=12, score=0.5))])
    ledger.append("two", 3, [(0, replace(first, fidelity=12, score=0.75))])
    assert [entry.evaluation for entry in ledger.entries()] == [second]
    found = [(entry.run, entry.evaluation.fidelity, entry.evaluation.score) for entry in ledger.partial()]
    assert found == [("one", 4, 0.25), ("one", 12, 0.5)]
    assert [entry.evaluation.score for entry in ledger.partial("two", 3)] == [0.75]
    assert Ledger(tmp_path, space, "abc", seed=1).partial() == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_damaged_part_is_set_aside(
    share: float, space: SearchSpace, architectures: list[Architecture], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    for batch in range(3):
        ledger.append("run", batch, rows(space, architectures[4 * batch : 4 * batch + 4]))
    victim = parts(tmp_path)[1]
    content = victim.read_bytes()
    victim.write_bytes(content[: int(share * len(content))])
    with caplog.at_level(logging.WARNING):
        found = [entry.evaluation.architecture for entry in ledger.entries()]
    assert found == architectures[:4] + architectures[8:]
    assert f"the ledger part {victim} is corrupt" in caplog.text
    assert not victim.exists()
    assert victim.with_name(f"{victim.name}.damaged").read_bytes() == content[: int(share * len(content))]
    caplog.clear()
    assert len(ledger.entries()) == 8
    assert "is corrupt" not in caplog.text, "it is reported once"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_is_noticed(
    where: float, bit: int, space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "ledger", ignore_errors=True)
    ledger = Ledger(tmp_path / "ledger", space, "abc")
    ledger.append("run", 0, rows(space, architectures[:2]))
    ledger.append("run", 1, rows(space, architectures[2:4]))
    victim = parts(tmp_path)[0]
    content = bytearray(victim.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    victim.write_bytes(content)
    assert [entry.evaluation.architecture for entry in ledger.entries()] == architectures[2:4]
    assert victim.with_name(f"{victim.name}.damaged").exists()


def test_part_without_a_digest_in_its_name_is_read(space: SearchSpace, architectures: list[Architecture], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    ledger.append("run", 0, rows(space, architectures[:2]))
    [part] = parts(tmp_path)
    part.rename(part.with_name(part.name.rpartition("~")[0] + ".parquet"))
    assert len(ledger.entries("run", 0)) == 2


def test_part_that_may_not_be_renamed_is_left_out(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    for batch in range(2):
        ledger.append("run", batch, rows(space, architectures[2 * batch : 2 * batch + 2]))
    victim = parts(tmp_path)[0]
    victim.write_bytes(b"")
    victim.with_name(f"{victim.name}.damaged").mkdir()  # as if the folder could only be read
    for _ in range(2):
        assert len(ledger.entries()) == 2
    assert caplog.text.count("is corrupt") == 1, "it is reported once"
    assert ledger.compact(most=1) == 0 and victim.exists()


def test_foreign_and_unfinished_files_are_left_alone(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, space, "abc")
    ledger.append("run", 0, rows(space, architectures[:2]))
    whole = parts(tmp_path)[0]
    leftover = whole.with_name(f"{whole.name}.123.tmp")
    leftover.write_bytes(whole.read_bytes()[:50])
    whole.with_name("notes.txt").write_text("mine")
    assert len(ledger.entries()) == 2
    assert leftover.exists()


def test_folder_that_cannot_be_made_is_refused(space: SearchSpace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LedgerError, match="storage: cannot make the ledger in .*file.*choose a folder that can be written"):
        Ledger(tmp_path / "file" / "ledger", space, "abc")
    with pytest.raises(LedgerError, match="storage: cannot make the ledger in no-such-scheme://x"):
        Ledger("no-such-scheme://x", space, "abc")


def test_folder_that_has_gone_is_an_error_of_the_ledger(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger", space, "abc")
    shutil.rmtree(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="storage: cannot write to the ledger"):
        ledger.append("run", 0, rows(space, architectures[:1]))
    with pytest.raises(LedgerError, match="storage: cannot read the ledger"):
        ledger.entries()


def test_reader_beside_a_writer_that_is_killed_sees_whole_parts_only(space: SearchSpace, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    written = [writer.stdout.readline()]
    ledger = Ledger(tmp_path, space, "abc")
    sizes: list[int] = []
    while not sizes or sizes[-1] < 100:
        sizes.append(len(ledger.entries()))
    writer.send_signal(signal.SIGKILL)
    written += writer.stdout.readlines()
    writer.wait()
    sizes.append(len(ledger.entries()))
    assert sizes == sorted(sizes), "nothing disappears"
    assert all(size % 2 == 0 for size in sizes), "a part is seen as a whole"
    assert sizes[-1] >= 2 * len([line for line in written if line.endswith("\n")]), "what was reported as written is there"
    assert not list(tmp_path.rglob("*.damaged"))


def test_a_metric_that_is_no_number_fails_its_evaluation_by_name(
    space: SearchSpace, architectures: list[Architecture], tmp_path: Path
) -> None:
    evaluations = [evaluated(space, architecture) for architecture in architectures[:3]]
    evaluations[1].metrics["device"] = "cpu"  # type: ignore[index]
    ledger = Ledger(tmp_path, space, "abc")
    ledger.append("run", 0, list(enumerate(evaluations)))
    first, second, third = (entry.evaluation for entry in ledger.entries())
    assert (first, third) == (evaluations[0], evaluations[2])
    assert second.error == "metric 'device': expected a number, or an array or tensor of one; got 'cpu', of the type str"

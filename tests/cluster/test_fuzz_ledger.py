"""Parts of a ledger that are cut short, have wrong bits or other columns: they are set aside, and the rest is whole."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.cluster.ledger.records import SCHEMA
from archsearch.errors import LedgerError
from archsearch.evaluators import Evaluation

CASES = [
    100,
    pytest.param(500, marks=pytest.mark.slow),
    pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]
SPACE = spaces.get("nasbench201")
GOOD, BAD, BARE = "good", "bad", "bad~000000~0.parquet"
FOLDER = f"ledger/{SPACE.name}/abc"
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=4) | st.booleans()


def found(count: int) -> list[tuple[int, Evaluation]]:
    """Return evaluations of distinct structure with their places, the last one a failure."""
    rng, drawn = np.random.default_rng(0), {}
    while len(drawn) < count:
        architecture = SPACE.sample(rng)
        drawn.setdefault(SPACE.key(architecture), architecture)
    rows = [Evaluation(each, key, 0.5, {"params": 3.0}, 1.5, None, {"accuracy": (0.1, 0.5)}) for key, each in drawn.items()]
    rows[-1] = Evaluation(rows[-1].architecture, rows[-1].key, math.nan, {}, 0.5, "out of memory")
    return list(enumerate(rows))


ROWS = found(6)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A ledger of two parts of three rows each, by two runs: the content of its files by name."""
    root = tmp_path_factory.mktemp("ledger")
    for run, rows in ((GOOD, ROWS[:3]), (BAD, ROWS[3:])):
        Ledger(root, SPACE, "abc").append(run, 0, rows)
    return {path.name.split("~")[0]: path.read_bytes() for path in root.rglob("*.parquet")} | {
        f"name of {path.name.split('~')[0]}": path.name.encode() for path in root.rglob("*.parquet")
    }


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the thousands of warnings out of the report of a failure."""
    monkeypatch.setattr(logging.getLogger("archsearch.cluster.ledger.part_files"), "disabled", True)


def repeated(cases: int, law: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Run a property on so many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=cases, deadline=None, database=None, suppress_health_check=checks)(given(*strategies)(law))()


def examined(original: Mapping[str, bytes], name: str, wrong: bytes) -> int:
    """Return how many rows of a damaged part are read, after the good ones were found whole, also after a compaction."""
    files = pafs.FileSystem.from_uri("mock:///")[0]  # in memory: waiting for a disk would take most of the time
    files.create_dir(FOLDER, recursive=True)
    for path, content in ((original[f"name of {GOOD}"].decode(), original[GOOD]), (name, wrong)):
        with files.open_output_stream(f"{FOLDER}/{path}") as stream:
            stream.write(content)
    ledger = Ledger("ledger", SPACE, "abc", filesystem=files)
    good = [evaluation for _, evaluation in ROWS[:3]]
    assert [entry.evaluation for entry in ledger.entries(GOOD)] == good
    try:
        rows = len(ledger.entries(BAD))
    except LedgerError as error:
        assert "no architecture of the space" in str(error) and "\n" not in str(error)
        rows = -1
    ledger.compact(most=0)
    assert [entry.evaluation for entry in ledger.entries(GOOD)] == good, "compaction loses nothing"
    if files.get_file_info(f"{FOLDER}/{name}.damaged").type == pafs.FileType.File:
        with files.open_input_stream(f"{FOLDER}/{name}.damaged") as stream:
            assert rows == 0 and stream.read() == wrong, "what is damaged is kept as it was found"
    return rows


def damaged(content: bytes, flips: list[tuple[float, int]], keep: float, noise: bytes) -> bytes:
    """Return a file with wrong bits, cut short, with something behind it."""
    wrong = bytearray(content)
    for where, bit in flips:
        wrong[int(where * len(wrong))] ^= 1 << bit
    return bytes(wrong[: math.ceil(keep * len(wrong))]) + noise


SHARES = st.floats(0, 1, exclude_max=True)
FLIPS = st.lists(st.tuples(SHARES, st.integers(0, 7)), max_size=3)
CUTS = st.just(1.0) | SHARES


@pytest.mark.parametrize("cases", CASES)
def test_wrong_and_missing_bytes(cases: int, original: dict[str, bytes]) -> None:
    content, name = original[BAD], original[f"name of {BAD}"].decode()

    def law(flips: list[tuple[float, int]], keep: float, noise: bytes) -> None:
        wrong = damaged(content, flips, keep, noise)
        rows = examined(original, name, wrong)
        assert rows == (3 if wrong == content else 0)

    repeated(cases, law, FLIPS, CUTS, st.binary(max_size=3))


@pytest.mark.parametrize("cases", [100, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_wrong_bytes_that_no_digest_betrays(cases: int, original: dict[str, bytes]) -> None:
    """A part under a name without a digest is read as far as it can be; good parts are not touched."""

    def law(flips: list[tuple[float, int]], keep: float) -> None:
        examined(original, BARE, damaged(original[BAD], flips, keep, b""))

    repeated(cases, law, FLIPS, CUTS)


@pytest.mark.parametrize("cases", CASES)
def test_other_columns(cases: int, original: dict[str, bytes]) -> None:
    rows = pq.read_table(pa.BufferReader(original[BAD]), schema=SCHEMA).to_pylist()

    def law(changes: dict[str, Any], without: set[str], extra: dict[str, Any]) -> None:
        kinds = {name: pa.scalar(value).type for name, value in changes.items()}
        fields = [pa.field(each.name, kinds.get(each.name, each.type)) for each in SCHEMA if each.name not in without]
        table = pa.Table.from_pylist([{**row, **changes} for row in rows], schema=pa.schema(fields))
        for name, value in extra.items():
            table = table.append_column(name, pa.array([value] * 3))

        stream = pa.BufferOutputStream()
        pq.write_table(table, stream)
        found = examined(original, BARE, stream.getvalue().to_pybytes())
        if not changes and not without and not set(extra) & set(SCHEMA.names):
            assert found == 3, "further columns do no harm"
        if without - set(extra):
            assert found == 0

    names = st.sampled_from(SCHEMA.names)
    few = st.sets(names, max_size=1)
    repeated(
        cases,
        law,
        st.dictionaries(names, VALUES, max_size=2),
        few,
        st.dictionaries(names | st.text(max_size=3), VALUES, max_size=1),
    )


def test_clock_that_jumps_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, now = np.random.default_rng(0), [10**18]
    monkeypatch.setattr("archsearch.cluster.ledger.ledger.time.time_ns", lambda: now[0])
    ledger, keys = Ledger(tmp_path, SPACE, "abc"), []
    for batch in range(80):  # more than are left unmerged
        architecture = SPACE.sample(rng)
        now[0] += int(rng.integers(-(10**15), 10**15)) * (batch % 3 == 0)  # else the clock stands
        ledger.append("run", batch, [(0, Evaluation(architecture, SPACE.key(architecture), 0.5))])
        keys.append(SPACE.key(architecture))
    assert {entry.evaluation.key for entry in Ledger(tmp_path, SPACE, "abc").entries("run")} == set(keys)
    ledger.compact(most=1)
    found = Ledger(tmp_path, SPACE, "abc").read()
    assert {entry.evaluation.key for entry in found.entries()} == set(keys) == set(found.known("another"))

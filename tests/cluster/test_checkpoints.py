"""Checkpoints of candidates: what is written comes back; what cannot be read or written is told and costs nothing else."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import time
import zlib
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
import torch

from archsearch.cluster.checkpoints import CheckpointStore
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.spaces.nasbench201 import NASBench201

EVALUATOR = "0123456789abcdef"


def store_in(root: str | Path, **changes: Any) -> CheckpointStore:
    return CheckpointStore(root, **{"evaluator": EVALUATOR, "seed": 0, "limit_gb": 1.0, **changes})


def state(fidelity: int, floats: int = 100) -> dict[str, Any]:
    weights = torch.full((floats,), float(fidelity))
    return {"epoch": fidelity, "weights": weights, "curve": [0.1] * fidelity, "nothing": None}


def files_of(store: CheckpointStore) -> list[Path]:
    return sorted(path for path in Path(store.folder).rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return store_in(tmp_path / "checkpoints")


def check_goes_on(store: CheckpointStore) -> None:
    assert store.load("a") is None
    assert store.save("a", 1, state(1), 0.5)
    assert store.save("a", 3, state(3), 0.6, durable=True)
    assert store.save("b/ü ~*", 2, state(2), 0.1), "keys may hold any characters"
    loaded = store.load("a")
    assert loaded is not None
    assert loaded[0] == loaded[1]["epoch"] == 3
    assert torch.equal(loaded[1]["weights"], state(3)["weights"])
    assert loaded[1]["curve"] == [0.1] * 3
    assert store.size() > 0
    other = store.load("b/ü ~*", expected=2)
    assert other is not None and other[0] == 2
    store.delete("a")
    store.delete("never saved")
    assert store.load("a") is None
    assert store.save("a", 4, state(4), 0.7), "after a deletion too"


def test_the_newest_checkpoint_comes_back(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    check_goes_on(store)
    assert len(files_of(store)) == 2, "former ones are deleted"
    assert not caplog.records


def test_in_a_bucket(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    store = store_in(bucket)
    check_goes_on(store)
    store.limit_gb = 1e-9
    assert store.trim() == 2
    assert store.size() == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("inner", [pafs._MockFileSystem(), None])
def test_in_another_file_system(inner: pafs.FileSystem | None, tmp_path: Path) -> None:
    files = pafs.SubTreeFileSystem("base" if inner else str(tmp_path), inner or pafs.LocalFileSystem())
    check_goes_on(store_in("checkpoints", filesystem=files))


def test_a_pickled_store_is_the_same(store: CheckpointStore) -> None:
    store.save("a", 1, state(1), 0.5)
    copied = pickle.loads(pickle.dumps(store))
    assert copied.load("a")[0] == 1
    assert copied.save("a", 2, state(2), 0.5)
    assert store.load("a", expected=2)[0] == 2  # type: ignore[index]


def test_one_wrong_bit_is_found_and_the_older_checkpoint_serves(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    store.save("a", 1, state(1), 0.5)
    [old] = files_of(store)
    kept = old.read_bytes()
    store.save("a", 2, state(2), 0.5)
    [new] = files_of(store)
    content = bytearray(new.read_bytes())
    content[len(content) // 2] ^= 4
    new.write_bytes(content)
    assert store.load("a", expected=2) is None
    assert "its content does not match the checksum in its name" in caplog.text
    assert "there is none of a in" in caplog.text and "all its 2 steps are paid again" in caplog.text
    old.write_bytes(kept)
    caplog.clear()
    loaded = store.load("a", expected=2)
    assert loaded is not None and loaded[0] == 1
    assert "the newest of a is after 1 of 2 steps; the others are paid again" in caplog.text


def test_a_missing_checkpoint_is_told_where_one_is_expected(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    assert store.load("new candidate") is None
    assert not caplog.records
    assert store.load("known candidate", expected=12) is None
    assert "there is none of known candidate in" in caplog.text and "all its 12 steps are paid again" in caplog.text


def foreign(store: CheckpointStore, folder: str, other: CheckpointStore, key: str) -> None:
    """Move the checkpoint of `key` in `other` into the folder of the candidate `a` in `store`."""
    assert other.save(key, 7, state(7), 0.9)
    [path] = [path for path in files_of(other) if path.name.startswith("00000007")]
    target = Path(folder) / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"evaluator": "f" * 16}, "a", "expected the evaluator '0123456789abcdef'; got 'ffffffffffffffff'"),
        ({"seed": 1}, "a", "expected the seed 0; got 1"),
        ({}, "b", "expected the key 'a'; got 'b'"),
    ],
)
def test_a_foreign_checkpoint_is_told_and_not_used(
    changes: dict[str, Any], key: str, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_in(tmp_path / "own")
    store.save("a", 1, state(1), 0.5)
    foreign(store, str(files_of(store)[0].parent), store_in(tmp_path / "others", **changes), key)
    loaded = store.load("a")
    assert loaded is not None and loaded[0] == 1
    assert why in caplog.text and "it is foreign" in caplog.text


RAN: list[str] = []


def _run(text: str) -> None:
    RAN.append(text)


class Harmful:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _run, ("code of a file",)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "code", "a list", "a dictionary"])
def test_other_files_under_the_name_of_a_checkpoint_are_not_used(
    content: bytes | str, store: CheckpointStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.save("a", 1, state(1), 0.5)
    folder = files_of(store)[0].parent
    written = tmp_path / "written"
    if isinstance(content, bytes):
        written.write_bytes(content)
    else:
        torch.save({"code": Harmful(), "a list": [1], "a dictionary": {"state": {"epoch": 2}}}[content], written)
        written.write_bytes(written.stat().st_size.to_bytes(8, "little") + written.read_bytes())
    written.rename(folder / f"00000002~0.5~{zlib.crc32(written.read_bytes()):08x}.pt")
    loaded = store.load("a")
    assert loaded is not None and loaded[0] == 1
    assert "cannot be used" in caplog.text
    assert not RAN


def test_a_state_of_other_objects_is_told_and_not_written(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    assert not store.save("a", 1, {"steps": Harmful()}, 0.5)
    assert not store.save("a", 1, {"steps": lambda: 0}, 0.5)
    assert not files_of(store)
    [record] = caplog.records
    assert "the state is not one of tensors and plain data alone" in record.getMessage()


def test_a_training_goes_on_from_its_checkpoint_to_the_same_bit(store: CheckpointStore) -> None:
    digits = datasets.load("digits")
    few = Splits(*(part.take(range(64), f"few/{name}") for part, name in zip(digits, ("train", "valid", "test"), strict=True)))
    space = NASBench201()
    cell = space.from_genotype([3, 0, 1, 0, 0, 2])
    scale = {"channels": 2, "cells_per_stage": 1}
    maker = TrainingEvaluator(space, few, epochs=3, batch_size=32, channels_last=True, weight_average=0.9, scale=scale)
    [whole] = maker.evaluate([cell])
    steps = maker.begin(cell)
    for _ in range(2):
        evaluation = steps.step()
        assert store.save(evaluation.key, steps.fidelity, steps.state(), evaluation.score)
    others = maker.begin(cell)
    loaded = store.load(space.key(cell), expected=2)
    assert loaded is not None
    others.load_state(loaded[1])
    last = others.step()
    assert (last.score, last.metrics) == (whole.score, whole.metrics)
    assert last.curves["step_score"] == whole.curves["step_score"]


# Limit


def test_the_worst_and_oldest_go_first_and_protected_ones_stay(store: CheckpointStore) -> None:
    scores = {"old bad": 0.1, "old good": 0.9, "middle": 0.5, "new bad": 0.2, "new good": 0.8}
    for place, (key, score) in enumerate(scores.items()):
        store.save(key, 2, state(2, floats=10_000), score)
        for path in files_of(store):
            if f"~{score!r}~" in path.name:
                os.utime(path, (1e9 + place, 1e9 + place))
    one = store.size() / 5

    def trimmed(room: float, *protected: str) -> list[str]:
        store.limit_gb = room * one / 1e9
        store.trim(protected)
        return [key for key in scores if store.load(key)]

    assert trimmed(5.5) == list(scores)
    assert trimmed(4.5, "old good") == ["old good", "middle", "new bad", "new good"]
    assert trimmed(3.5, "new bad") == ["old good", "new bad", "new good"], "it is the oldest of the worst that are left"
    assert trimmed(1.5, "new bad", "old good") == ["old good", "new bad"]


def test_protected_checkpoints_beyond_the_limit_are_told(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    store.save("best", 1, state(1), 0.9)
    store.limit_gb = 1e-9
    assert store.trim({"best"}) == 0
    assert store.load("best") is not None
    assert "more than checkpoint_gb" in caplog.text


def test_a_score_that_is_no_number_is_the_worst(store: CheckpointStore) -> None:
    store.save("fine", 1, state(1), 0.0)
    store.save("nan", 1, state(1), float("nan"))
    store.limit_gb = 0.75 * store.size() / 1e9
    assert store.trim() == 1
    assert store.load("fine") is not None


def test_trimming_a_folder_that_is_not_there_does_nothing(store: CheckpointStore) -> None:
    assert store.trim() == store.size() == 0


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), "10", True])
def test_a_limit_that_is_no_amount_is_refused(limit: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint_gb: expected gigabytes above 0"):
        store_in(tmp_path, limit_gb=limit)


# Disks and deaths


def test_a_full_disk_is_told_once_and_the_former_checkpoint_stays(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = store_in(disk)
    assert store.save("a", 1, state(1), 0.5)
    for fidelity in (2, 3):
        assert not store.save("a", fidelity, state(fidelity, floats=100_000), 0.5)
    [record] = caplog.records
    assert "No space left on device" in record.getMessage()
    assert "the evaluation goes on without a checkpoint" in record.getMessage()
    loaded = store.load("a")
    assert loaded is not None and loaded[0] == 1
    assert len(files_of(store)) == 1, "nothing unfinished takes the room"
    assert store.save("a", 4, state(4), 0.5)
    assert not store.save("a", 5, state(5, floats=100_000), 0.5)
    assert len(caplog.records) == 2, "told again after one was written"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("taken")
    store = store_in(tmp_path / "file")
    assert not store.save("a", 1, state(1), 0.5)
    assert "checkpoint: cannot write to" in caplog.text
    assert store.load("a") is None
    assert store.trim() == 0


def save_for_ever(store: CheckpointStore, started: Any) -> None:
    for fidelity in range(1, 100_000):
        store.save("a", fidelity, state(fidelity, floats=1_000_000), 0.5)
        started.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_a_kill_while_one_is_written_leaves_a_whole_one(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    context = multiprocessing.get_context("fork")
    for moment in range(5):
        started = context.Event()
        writer = context.Process(target=save_for_ever, args=(store, started))
        writer.start()
        assert started.wait(60)
        time.sleep(0.003 * moment)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        loaded = store.load("a", expected=1)
        assert loaded is not None
        assert loaded[0] == loaded[1]["epoch"]
        assert bool((loaded[1]["weights"] == loaded[0]).all())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    left = Path(store.folder) / "x" / ".left.tmp"
    left.parent.mkdir()
    left.write_text("unfinished")
    os.utime(left, (1e9, 1e9))
    store.trim()
    assert not left.exists(), "what a killed process left long ago goes"
    assert store.load("a") is not None

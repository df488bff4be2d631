"""Pixels that processes share: the same dataset, read once until its files change, and its own where one writes to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from archsearch.evaluators.datasets import load, registry, shared_pixels
from archsearch.evaluators.datasets.shared_pixels import files_identity
from archsearch.evaluators.datasets.streamed import Loading
from tests.evaluators.datasets.photographs import write_photographs


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The datasets that were read from their files; all are large enough to be shared."""
    found, loaded = list[str](), registry._loaded

    def counted(parsed: object, *arguments: object) -> object:
        found.append(str(parsed))
        return loaded(parsed, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "_loaded", counted)
    monkeypatch.setattr(shared_pixels, "LEAST", 1)
    return found


def test_a_folder_is_decoded_once_for_all_processes(tmp_path: Path, cache: Path, reads: list[str]) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    expected = load(name, loading=Loading(0.0, 0))  # streamed, so not shared
    first, second = load(name), load(name)
    assert len(reads) == 2
    for part, other, plain in zip(first, second, expected, strict=True):
        assert torch.equal(part.images[:], plain.images[:]) and torch.equal(part.images[:], other.images[:])
        assert (part.digest, part.classes, part.name, part.task) == (plain.digest, plain.classes, plain.name, plain.task)
        assert torch.equal(part.labels, plain.labels) and part.remarks == other.remarks
        assert part.take([1, 0], "two").digest == plain.take([1, 0], "two").digest
    assert len(list((cache / "pixels").glob("*.bin"))) == 3


def test_a_changed_file_or_option_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    first = load(name)
    file = tmp_path / "class0" / "000.png"
    (tmp_path / "class0" / "001.png").replace(file)
    assert load(name).train.digest != first.train.digest
    load(f"imagefolder:{tmp_path}?size=17")
    assert len(reads) == 3


def test_writing_to_shared_pixels_changes_those_of_this_process_alone(tmp_path: Path, reads: list[str]) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    load(name)
    first, second = load(name).train.images, load(name).train.images
    assert isinstance(first, torch.Tensor)
    before = second[:].clone()
    first.zero_()
    assert torch.equal(second[:], before) and torch.equal(load(name).train.images[:], before)


@pytest.mark.parametrize("damage", ["cut", "index", "gone"])
def test_damaged_files_of_the_cache_are_made_again(tmp_path: Path, cache: Path, reads: list[str], damage: str) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    first = load(name)
    digest = first.train.digest
    [index], pixels = (cache / "pixels").glob("*.npz"), cache / "pixels" / f"{digest}.bin"
    if damage == "index":
        index.write_bytes(b"no index")
    elif damage == "gone":
        pixels.unlink()
    else:
        pixels.write_bytes(pixels.read_bytes()[:-1])
    assert torch.equal(load(name).train.images[:], load(name, loading=Loading(0.0, 0)).train.images[:])


def test_a_cache_that_cannot_be_written_costs_memory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_photographs(tmp_path / "photos")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load(f"imagefolder:{tmp_path / 'photos'}?size=16").train) == 24
    assert "each process holds its images" in caplog.text


def test_small_datasets_are_not_shared(tmp_path: Path, cache: Path) -> None:
    write_photographs(tmp_path)
    load(f"imagefolder:{tmp_path}?size=16")
    assert not (cache / "pixels").exists()


def test_identities_name_what_changes_with_the_files(tmp_path: Path) -> None:
    write_photographs(tmp_path / "a")
    first = files_identity(tmp_path / "a")
    assert first == files_identity(tmp_path / "a")
    os.utime(tmp_path / "a" / "class0" / "000.png", ns=(1, 1))
    assert files_identity(tmp_path / "a") != first
    assert files_identity(tmp_path / "a" / "class0" / "000.png") != files_identity(tmp_path / "a" / "class1" / "000.png")

"""Datasets that are streamed against the same ones in memory: parts, identities, figures, batches, trainings, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from archsearch import spaces
from archsearch.errors import DatasetError
from archsearch.evaluators import Recipe
from archsearch.evaluators.datasets import Splits, inspection, load, resident
from archsearch.evaluators.datasets.copies import copies
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.evaluators.training.loop import Training
from tests.evaluators.datasets.photographs import write_photographs

SPACE = spaces.get("nasbench201")
CELL = SPACE.parse("|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
HELD, STREAMED = Loading(), Loading(memory_gb=0.0, workers=0)


def csv_of(folder: Path) -> str:
    """Write a CSV file that names the photographs of a folder, with numbers, and return the dataset's name."""
    files = sorted(folder.rglob("*.png"))
    lines = [f"{file.relative_to(folder)},{number / 7}" for number, file in enumerate(files)]
    (folder / "labels.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    return f"csv:{folder / 'labels.csv'}?size=16"


def both(name: str) -> tuple[Splits, Splits]:
    return load(name, loading=HELD), load(name, loading=STREAMED)


@pytest.mark.parametrize("layout", ["classes", "parts", "csv"])
def test_a_streamed_dataset_is_the_same_one(tmp_path: Path, layout: str) -> None:
    if layout == "parts":
        write_photographs(tmp_path / "train")
        write_photographs(tmp_path / "test", images=3, seed=1)
    else:
        write_photographs(tmp_path)
    name = csv_of(tmp_path) if layout == "csv" else f"imagefolder:{tmp_path}?size=16x24"
    held, streamed = both(name)
    for part, other in zip(held, streamed, strict=True):
        assert isinstance(other.images, EncodedImages) and isinstance(part.images, torch.Tensor)
        assert other.images.shape == part.images.shape and other.shape == part.shape
        assert torch.equal(other.images[:], part.images) and torch.equal(other.images[1], part.images[1])
        assert torch.equal(other.labels, part.labels)
        assert (other.digest, other.classes, other.mirrored) == (part.digest, part.classes, part.mirrored)
        assert all(map(torch.equal, other.statistics(), part.statistics()))
        assert other.hashes().tolist() == part.hashes().tolist()
    assert copies(held) == copies(streamed)
    said = [remark for remark in streamed.train.remarks if remark not in held.train.remarks]
    assert len(said) == 1 and "more than the 0 GB for images (memory_gb)" in said[0]


def test_shares_and_unions_of_streamed_images_are_those_of_held_ones(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    held, streamed = both(f"imagefolder:{tmp_path}?size=16")
    for part, other in (
        (held.train.take([5, 1, 9], "some"), streamed.train.take([5, 1, 9], "some")),
        (held.train.joined(held.test, "both"), streamed.train.joined(streamed.test, "both")),
    ):
        assert isinstance(other.images, EncodedImages)
        assert torch.equal(other.images[:], part.images)
        assert other.digest == part.digest and all(map(torch.equal, other.statistics(), part.statistics()))


def test_images_are_looked_at_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photographs(tmp_path)
    name, looks = f"imagefolder:{tmp_path}?size=16", list[str]()
    passed = inspection._passed

    def counted(*arguments: object) -> object:
        looks.append("once")
        return passed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(inspection, "_passed", counted)
    first, second = (load(name, loading=STREAMED) for _ in range(2))
    assert len(looks) == 1
    assert first.train.digest == second.train.digest and first.train.remarks == second.train.remarks
    Image.new("RGB", (40, 40), (9, 9, 9)).save(tmp_path / "class0" / "000.png")
    assert load(name, loading=STREAMED).train.digest != first.train.digest
    assert len(looks) == 2


@pytest.mark.parametrize("skip", [True, False])
def test_unreadable_files_are_found_before_a_training(tmp_path: Path, skip: bool) -> None:
    write_photographs(tmp_path)
    (tmp_path / "class0" / "007.png").write_bytes(b"no image")
    name = f"imagefolder:{tmp_path}?size=16{'&on_error=skip' if skip else ''}"
    if not skip:
        with pytest.raises(DatasetError, match=r"007\.png.*With on_error=skip such images are left out"):
            load(name, loading=STREAMED)
        return
    held, streamed = both(name)
    assert [part.digest for part in held] == [part.digest for part in streamed]
    assert [remark for remark in streamed.train.remarks if "1 of 30 images cannot be read" in remark]


def test_what_the_decoder_noted_is_said_by_each_process(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    frames = [Image.new("L", (40, 40), level) for level in (0, 255)]
    frames[0].save(tmp_path / "class0" / "moving.gif", save_all=True, append_images=frames[1:])
    for _ in range(2):
        remarks = load(f"imagefolder:{tmp_path}?size=16", loading=STREAMED).train.remarks
        assert any("an animation; its first frame is used" in remark for remark in remarks)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_processes_reads_the_same_batches_in_the_same_order(tmp_path: Path, workers: int) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    held, streamed = load(name), load(name, loading=Loading(0.0, workers))
    mean, std = held.train.statistics()
    part, other = (resident(each.train, mean, std).images for each in (held, streamed))
    before = torch.random.get_rng_state()
    batches = list(torch.randperm(24, generator=torch.Generator().manual_seed(3)).split(5))
    for found, expected in zip(other.read(batches), part.read(batches), strict=True):
        assert torch.equal(found, expected)
    for found, expected in zip(other.split(7), part.split(7), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    images = load(f"imagefolder:{tmp_path}?size=16", loading=Loading(0.0, 1)).train.images
    assert isinstance(images, EncodedImages)
    (tmp_path / "class0" / "004.png").unlink()
    with pytest.raises(DatasetError, match=r"004\.png: expected an image"):
        list(images.read(torch.arange(24).split(6)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_on_streamed_images_goes_on_within_an_epoch(tmp_path: Path, workers: int) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}?size=16"
    recipe = Recipe(epochs=1, batch_size=5, crop=2, flip=True, resized_crop=0.5)

    def begun() -> Training:
        network = SPACE.build(CELL, 2, 3, torch.Generator().manual_seed(1), channels=2, cells_per_stage=1)
        return Training(network, recipe, [torch.Generator().manual_seed(2)])

    def weights(loading: Loading, stop: int | None = None) -> list[torch.Tensor]:
        splits = load(name, loading=loading)
        images = resident(splits.train, *splits.train.statistics()).images
        training, states = begun(), list[Mapping[str, object]]()

        def stopped() -> None:
            states.append(training.state())
            if len(states) == stop:
                raise KeyboardInterrupt

        try:
            training.run_epoch(images, splits.train.labels, stopped)
        except KeyboardInterrupt:
            training = begun()
            training.load_state(states[-1])
            training.run_epoch(images, splits.train.labels)
        return list(training.network.state_dict().values())

    expected = weights(HELD)
    assert all(map(torch.equal, weights(Loading(0.0, workers)), expected))
    assert all(map(torch.equal, weights(Loading(0.0, workers), stop=2), expected))


def test_fast_decoding_of_jpeg_files_keeps_colours_and_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            levels = rng.integers(60, 200, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(levels).resize((400, 300), Image.Resampling.BICUBIC).save(
                tmp_path / name / f"{number}.jpg", quality=95
            )
    exact, fast = (load(f"imagefolder:{tmp_path}?size=32{more}") for more in ("", "&jpeg=fast"))
    assert exact.train.digest != fast.train.digest
    for part, other in zip(exact, fast, strict=True):
        assert part.images.shape == other.images.shape
        difference = (part.images[:].int() - other.images[:].int()).abs().float()
        assert 0.0 < float(difference.mean()) < 2.0, "in levels of 255"

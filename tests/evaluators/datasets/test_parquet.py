from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.datasets.registry import task_of


def _png(shape: tuple[int, ...], seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _pngs(number: int, shape: tuple[int, ...] = (6, 5, 3), seed: int = 0) -> list[bytes]:
    return [_png(shape, 1000 * seed + index) for index in range(number)]


def _write(path: Path, images: Any, labels: Any, names: tuple[str, str] = ("image", "label")) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(zip(names, (images, labels), strict=True))), path)


def _all_labels(splits: tuple[Any, ...]) -> list[int]:
    return sorted(torch.cat([part.labels for part in splits]).tolist())


def test_a_file_gives_its_pixels_and_labels(tmp_path: Path) -> None:
    images, labels = _pngs(20), [7, 3] * 10
    _write(tmp_path / "toy.parquet", images, labels)
    splits = load("parquet:toy.parquet", tmp_path)
    assert [part.name for part in splits] == ["toy/train", "toy/validation", "toy/test"]
    assert [len(part) for part in splits] == [16, 2, 2]
    assert splits.train.classes == ("3", "7")
    expected = {bytes(np.asarray(Image.open(io.BytesIO(image)))): label for image, label in zip(images, labels, strict=True)}
    for part in splits:
        assert part.shape == (3, 6, 5)
        for image, label in zip(part.images, part.labels, strict=True):
            pixels = bytes(image.permute(1, 2, 0).contiguous().numpy())
            assert expected[pixels] == int(part.classes[int(label)])


def test_images_in_structs_and_labels_in_dictionaries(tmp_path: Path) -> None:
    images = [{"bytes": image, "path": f"{index}.png"} for index, image in enumerate(_pngs(9, (4, 4)))]
    _write(tmp_path / "toy.parquet", images, pa.array(["b", "a", "c"] * 3).dictionary_encode())
    splits = load(f"parquet:{tmp_path / 'toy.parquet'}")
    assert splits.train.classes == ("a", "b", "c")
    assert splits.train.shape == (1, 4, 4)
    assert _all_labels(splits) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_sibling_with_test_in_its_name_is_the_test_part(tmp_path: Path) -> None:
    _write(tmp_path / "toy_train.parquet", _pngs(20), [0, 1] * 10)
    _write(tmp_path / "toy_test.parquet", _pngs(4, seed=1), [1, 1, 0, 1])
    splits = load(f"parquet:{tmp_path / 'toy_train.parquet'}")
    assert [len(part) for part in splits] == [18, 2, 4]
    assert splits.test.labels.tolist() == [1, 1, 0, 1]


def test_a_folder_of_shards(tmp_path: Path) -> None:
    for shard in range(2):
        _write(tmp_path / "toy" / f"train-0000{shard}-of-00002.parquet", _pngs(6, seed=shard), [0, 1, 2] * 2)
    _write(tmp_path / "toy" / "validation-00000-of-00001.parquet", _pngs(3, seed=2), [2, 1, 0])
    _write(tmp_path / "toy" / "test-00000-of-00001.parquet", _pngs(2, seed=3), [2, 2])
    splits = load(f"parquet:{tmp_path / 'toy'}")
    assert [part.labels.tolist() for part in splits] == [[0, 1, 2] * 4, [2, 1, 0], [2, 2]]
    assert splits.train.name == "toy/train"


def test_columns_of_other_names(tmp_path: Path) -> None:
    _write(tmp_path / "toy.parquet", _pngs(6), [0, 1] * 3, ("img", "fine_label"))
    assert _all_labels(load(f"parquet:{tmp_path / 'toy.parquet'}?image=img&label=fine_label")) == [0, 0, 0, 1, 1, 1]


def test_missing_columns_are_named_with_those_present(tmp_path: Path) -> None:
    _write(tmp_path / "toy.parquet", _pngs(6), [0, 1] * 3, ("img", "label"))
    with pytest.raises(DatasetError, match=r"image not among those present: img, label\. .*image=img"):
        load(f"parquet:{tmp_path / 'toy.parquet'}")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_an_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "toy.parquet"
    _write(path, _pngs(6), [0, 1] * 3)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DatasetError, match=r"toy\.parquet: expected a complete Parquet file") as caught:
        load(f"parquet:{path}")
    assert "\n" not in str(caught.value)


def test_a_damaged_page_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "toy.parquet"
    _write(path, _pngs(6), [0, 1] * 3)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"toy\.parquet"):
        load(f"parquet:{path}")


@pytest.mark.parametrize("other", [(5, 6, 3), (6, 5)])
def test_the_first_row_of_another_shape_is_named(tmp_path: Path, other: tuple[int, ...]) -> None:
    images = _pngs(8)
    images[5], images[7] = _png(other, 90), _png(other, 91)
    _write(tmp_path / "toy.parquet", images, [0, 1] * 4)
    with pytest.raises(DatasetError, match=r"toy\.parquet, row 5: expected an image of \[3, 6, 5\]"):
        load(f"parquet:{tmp_path / 'toy.parquet'}")


def test_rows_count_through_all_batches_of_a_file(tmp_path: Path) -> None:
    images = [_png((2, 2), 0)] * 2500
    images[2400] = _png((3, 2), 0)
    _write(tmp_path / "toy.parquet", images, [0, 1] * 1250)
    with pytest.raises(DatasetError, match="row 2400"):
        load(f"parquet:{tmp_path / 'toy.parquet'}")


def test_test_images_have_the_shape_of_training_images(tmp_path: Path) -> None:
    _write(tmp_path / "toy_train.parquet", _pngs(6), [0, 1] * 3)
    _write(tmp_path / "toy_test.parquet", _pngs(2, (8, 8, 3)), [0, 1])
    with pytest.raises(DatasetError, match=r"toy_test\.parquet, row 0"):
        load(f"parquet:{tmp_path / 'toy_train.parquet'}")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([*_pngs(5), b"no image"], [0, 1] * 3, "row 5: expected an image"),
        ([*_pngs(5), None], [0, 1] * 3, "row 5: expected the bytes"),
        (["a.png"] * 6, [0, 1] * 3, "column image: expected image files as bytes"),
        (_pngs(6), [0, 1, None] * 2, "expected a label in each row; got none in row 2, row 5"),
        (_pngs(6), [b"a", b"b"] * 3, "numbers, strings, or lists of these; got binary"),
        (_pngs(6), [4] * 6, "at least 2 classes"),
        (_pngs(6), [0, 0, 0, 0, 1, 1], "class '1' has 2"),
        (pa.array([], pa.binary()), pa.array([], pa.int64()), "expected rows"),
    ],
)
def test_unsuitable_rows_are_an_error(tmp_path: Path, images: Any, labels: Any, message: str) -> None:
    _write(tmp_path / "toy.parquet", images, labels)
    with pytest.raises(DatasetError, match=message):
        load(f"parquet:{tmp_path / 'toy.parquet'}")


def test_a_test_label_that_training_lacks_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "toy_train.parquet", _pngs(6), [0, 1] * 3)
    _write(tmp_path / "toy_test.parquet", _pngs(2), [0, -1])
    with pytest.raises(DatasetError, match=r"labels of toy_test\.parquet"):
        load(f"parquet:{tmp_path / 'toy_train.parquet'}")


def test_shards_with_labels_of_two_types_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "train-0.parquet", _pngs(6), [0, 1] * 3)
    _write(tmp_path / "train-1.parquet", _pngs(6), ["0", "1"] * 3)
    with pytest.raises(DatasetError, match="one type of label"):
        load(f"parquet:{tmp_path}")


def test_a_folder_without_training_files_names_what_is_there(tmp_path: Path) -> None:
    _write(tmp_path / "part-0.parquet", _pngs(6), [0, 1] * 3)
    with pytest.raises(DatasetError, match=r"got part-0\.parquet"):
        load(f"parquet:{tmp_path}")


@pytest.mark.slow
def test_real_images_with_their_real_test_set(data: Path, cache: Path) -> None:
    path = data / "cifar10_train.parquet"
    splits = load(f"parquet:{path}")
    assert [len(part) for part in splits] == [14_400, 1_600, 3_000]
    assert splits.train.shape == (3, 32, 32)
    assert torch.bincount(splits.validation.labels).tolist() == [160] * 10
    first = pq.read_table(data / "cifar10_test.parquet").slice(0, 50).to_pylist()
    assert splits.test.labels[:50].tolist() == [row["label"] for row in first]
    for image, row in zip(splits.test.images[:50], first, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(io.BytesIO(row["image"]))))
    mean, _ = splits.train.statistics()
    # Channel means of all of CIFAR-10, as commonly used for normalisation.
    torch.testing.assert_close(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.01, rtol=0.0)
    assert len(list((cache / "splits").iterdir())) == 1


def test_options_reach_the_decoder_of_each_row(tmp_path: Path) -> None:
    """The same reading as of folders: transparency, orientation and 12 bits in 16 are not lost in a Parquet file either."""

    def encoded(image: Image.Image, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", **options)
        return buffer.getvalue()

    clear = encoded(Image.new("RGBA", (4, 4), (10, 20, 30, 0)))
    _write(tmp_path / "clear.parquet", [clear] * 6, [0, 1] * 3)
    for option, level in (("", 255), ("?background=black", 0)):
        assert all(bool((part.images == level).all()) for part in load(f"parquet:{tmp_path / 'clear.parquet'}{option}"))
    exif = Image.Exif()
    exif[0x0112] = 6
    _write(tmp_path / "turned.parquet", [encoded(Image.new("RGB", (8, 4)), exif=exif)] * 6, [0, 1] * 3)
    assert load(f"parquet:{tmp_path / 'turned.parquet'}").train.shape == (3, 8, 4)
    dark = encoded(Image.fromarray(np.full((4, 4), 2000, dtype=np.uint16)))
    _write(tmp_path / "dark.parquet", [dark] * 6, [0, 1] * 3)
    with pytest.raises(DatasetError, match="8 of 256 levels would remain"):
        load(f"parquet:{tmp_path / 'dark.parquet'}")
    assert int(load(f"parquet:{tmp_path / 'dark.parquet'}?white=4000").train.images.max()) == 128


def test_lists_numbers_and_several_columns(tmp_path: Path) -> None:
    columns = {
        "tags": [["a", "b"], [], ["b"]] * 4,
        "value": [0.5 * number for number in range(12)],
        "box": [[float(number), 1.0 - number] for number in range(12)],
        "x": [number % 2 for number in range(12)],
        "y": [1 - number % 2 for number in range(12)],
    }
    path = tmp_path / "toy.parquet"
    pq.write_table(pa.table({"image": _pngs(12), **columns}), path)
    for label, task, classes in (
        ("tags", "multilabel", ("a", "b")),
        ("value", "regression", ("value",)),
        ("box", "regression", ("box[0]", "box[1]")),
        ("x,y", "multilabel", ("x", "y")),
        ("value,x", "regression", ("value", "x")),
        ("x", "classification", ("0", "1")),
    ):
        splits = load(f"parquet:{path}?label={label}")
        assert (splits.train.task, splits.train.classes) == (task, classes)
        assert task_of(f"parquet:{path}?label={label}") == task
    assert sorted(value for part in splits for value in part.labels.tolist()) == [0] * 6 + [1] * 6
    boxes = torch.cat([part.labels for part in load(f"parquet:{path}?label=box")])
    assert boxes.sum(1).tolist() == [1.0] * 12
    assert load(f"parquet:{path}?label=x&task=regression").train.task == "regression"


def test_vectors_of_several_lengths_are_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": _pngs(6), "label": [[1.0], [2.0, 3.0]] * 3}), tmp_path / "toy.parquet")
    with pytest.raises(DatasetError, match="a list of as many numbers in each row; got 1 and 2"):
        load(f"parquet:{tmp_path / 'toy.parquet'}")

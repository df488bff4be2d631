"""Images that cannot be read: one error for all, or left out, alike in folders, CSV and Parquet files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.datasets.unreadable import Unreadable


def contents(number: int, broken: tuple[int, ...]) -> list[bytes]:
    found = []
    for place in range(number):
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), 5 * place, dtype=np.uint8)).save(buffer, "PNG")
        content = buffer.getvalue()
        found.append(content[: len(content) // 2] if place in broken else content)
    return found


def write(folder: Path, broken: tuple[int, ...]) -> list[str]:
    """Write 40 images of two classes as a folder, with a CSV file, and as a Parquet file; return the names of the datasets."""
    files, labels = contents(40, broken), [place % 2 for place in range(40)]
    for place, (content, label) in enumerate(zip(files, labels, strict=True)):
        (folder / "images" / "ab"[label]).mkdir(parents=True, exist_ok=True)
        (folder / "images" / "ab"[label] / f"{place}.png").write_bytes(content)
    rows = [f"{'ab'[label]}/{place}.png,{label}" for place, label in enumerate(labels)]
    (folder / "labels.csv").write_text("\n".join(["image,label", *rows]))
    pq.write_table(pa.table({"image": files, "label": labels}), folder / "toy.parquet")
    return [f"imagefolder:{folder}/images?size=8", f"csv:{folder}/labels.csv?size=8", f"parquet:{folder}/toy.parquet?label=label"]


def test_all_are_named_in_one_error(tmp_path: Path) -> None:
    for name in write(tmp_path, (1, 4, 9, 16, 25, 36, 39)):
        with pytest.raises(
            DatasetError, match=r"^7 of 40 images cannot be read: .* and 2 others\. The first: .*on_error=skip"
        ) as caught:
            load(name)
        assert "\n" not in str(caught.value)


def test_one_is_named_with_its_reason(tmp_path: Path) -> None:
    for name in write(tmp_path, (4,)):
        with pytest.raises(DatasetError, match=r"expected an image, such as PNG or JPEG; got .* With on_error=skip such images"):
            load(name)


def test_they_are_left_out_if_the_user_asks_for_it(tmp_path: Path) -> None:
    digests = set()
    for name in write(tmp_path, (4, 7)):
        splits = load(f"{name}&on_error=skip")
        assert sum(map(len, splits)) == 38
        remark = next(text for text in splits.train.remarks if "cannot be read" in text)
        assert remark.startswith("2 of 40 images cannot be read and are left out: ")
        for part in splits:
            assert [int(image[0, 0, 0]) // 5 % 2 for image in part.images] == part.labels.tolist(), (
                "labels stay with their images"
            )
        digests.add(tuple(sorted(int(image[0, 0, 0]) for part in splits for image in part.images)))
    assert len(digests) == 1, "all readers leave out the same"


def test_where_none_is_left_it_is_an_error() -> None:
    unreadable = Unreadable(skip=True)
    for name in "ab":
        unreadable.add(name, DatasetError(f"{name} is broken."))
    with pytest.raises(DatasetError, match=r"2 of 2 images cannot be read: a, b\. The first: a is broken\. None is left"):
        unreadable.check(2, 0)
    assert unreadable.check(5, 5) == ()


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(DatasetError, match="option on_error: expected one of skip, stop; got 'ignore'"):
        load("imagefolder:a?on_error=ignore")

"""Folders and Parquet files at addresses of pyarrow, against the same ones as paths."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.streamed import Loading
from tests.evaluators.datasets.photographs import write_photographs

STREAMED = Loading(0.0, 1)


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("loading", [Loading(), STREAMED])
def test_a_folder_at_an_address_is_the_folder(tmp_path: Path, parts: bool, loading: Loading) -> None:
    write_photographs(tmp_path / "photos" / ("train" if parts else ""))
    if parts:
        write_photographs(tmp_path / "photos" / "val", images=4, seed=1)
        write_photographs(tmp_path / "photos" / "test", images=3, seed=2)
    (tmp_path / "photos" / ".hidden").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    here, there = (
        load(f"imagefolder:{tmp_path}/photos?size=16"),
        load(f"imagefolder:file://{tmp_path}/photos?size=16", None, loading),
    )
    for part, other in zip(here, there, strict=True):
        assert (part.digest, part.classes, part.name) == (other.digest, other.classes, other.name)
        assert torch.equal(part.labels, other.labels)
        if isinstance(other.images, EncodedImages):
            [found] = pickle.loads(pickle.dumps(other.images)).read([torch.arange(2)])
            assert torch.equal(found, part.images[:2])


@pytest.mark.parametrize("loading", [Loading(), STREAMED])
def test_a_parquet_file_at_an_address_is_the_file(tmp_path: Path, loading: Loading) -> None:
    write_photographs(tmp_path / "photos")
    files = sorted((tmp_path / "photos").rglob("*.png"))
    rows = pa.table({"image": [file.read_bytes() for file in files], "label": [file.parent.name for file in files]})
    pq.write_table(rows, tmp_path / "train-0.parquet")
    for name in ("", "/train-0.parquet"):
        here, there = load(f"parquet:{tmp_path}{name}?size=16"), load(f"parquet:file://{tmp_path}{name}?size=16", None, loading)
        assert [part.digest for part in here] == [part.digest for part in there]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="imagefolder: expected a folder at file://"):
        load(f"imagefolder:file://{tmp_path}/none")
    with pytest.raises(DatasetError, match="imagefolder: expected one sub-folder of images a class in file://.*; got no such"):
        load(f"imagefolder:file://{tmp_path}")
    with pytest.raises(DatasetError, match="parquet: expected a file, or train"):
        load(f"parquet:file://{tmp_path}/none.parquet")
    with pytest.raises(DatasetError, match="expected an address that pyarrow reads, such as s3://BUCKET/FOLDER; got nothing://x"):
        load("imagefolder:nothing://x/y")

"""Grey, 16-bit, palette, CMYK, transparent and turned images: the same, right pixels from folders, CSV and Parquet files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from archsearch.evaluators.datasets import ImageDataset, load
from archsearch.evaluators.datasets.streamed import Loading

SIDE = 8


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def odd_files() -> dict[str, tuple[bytes, tuple[list[int], list[int]]]]:
    """Return files by name, each with the colours of its left and right half as they should be read."""
    halves = np.zeros((SIDE, SIDE), dtype=np.uint8)
    halves[:, SIDE // 2 :] = 200
    grey, sides = Image.fromarray(halves), ([0] * 3, [200] * 3)
    palette = Image.fromarray((halves > 0).astype(np.uint8), mode="P")
    palette.putpalette([10, 20, 30, 250, 0, 90])
    clear = Image.merge("RGBA", [*grey.convert("RGB").split(), Image.fromarray(np.where(halves > 0, 0, 255).astype(np.uint8))])
    turned, exif = Image.fromarray(halves.T.copy()), Image.Exif()
    exif[0x0112] = 8  # the picture is upright when it is turned by 90 degrees to the left
    none = Image.new("L", (SIDE, SIDE))
    cmyk = Image.merge("CMYK", [Image.fromarray(np.where(halves > 0, 255, 0).astype(np.uint8)), none, none, none])
    return {
        "grey.png": (encoded(grey, "PNG"), sides),
        "wide.png": (encoded(Image.fromarray(halves.astype(np.uint16) * 257), "PNG"), sides),
        "bits.png": (encoded(grey.convert("1", dither=Image.Dither.NONE), "PNG"), ([0] * 3, [255] * 3)),
        "palette.png": (encoded(palette, "PNG"), ([10, 20, 30], [250, 0, 90])),
        "clear.png": (encoded(clear, "PNG"), ([0] * 3, [255] * 3)),
        "turned.png": (encoded(turned, "PNG", exif=exif), sides),
        "cmyk.tiff": (encoded(cmyk, "TIFF"), ([255] * 3, [0, 255, 255])),
    }


def dataset(folder: Path, reader: str) -> str:
    """Write each file six times, once a class and copy, for a reader, and return the dataset's name."""
    rows = []
    for name, (content, _) in odd_files().items():
        for copy in range(6):
            file = folder / "images" / name.partition(".")[0] / f"{copy}-{name}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            rows.append((f"images/{file.parent.name}/{file.name}", file.parent.name, content))
    if reader == "imagefolder":
        return f"imagefolder:{folder / 'images'}?size={SIDE}"
    if reader == "csv":
        lines = [f"{path},{label}" for path, label, _ in rows]
        (folder / "labels.csv").write_text("\n".join(["image,label", *lines]))
        return f"csv:{folder / 'labels.csv'}?size={SIDE}"
    table = pa.table({"image": [content for *_, content in rows], "label": [label for _, label, _ in rows]})
    pq.write_table(table, folder / "all.parquet", row_group_size=5)
    return f"parquet:{folder / 'all.parquet'}?size={SIDE}"


@pytest.mark.parametrize("loading", [Loading(), Loading(0.0, 0)], ids=["held", "streamed"])
@pytest.mark.parametrize("reader", ["imagefolder", "csv", "parquet"])
def test_all_readers_give_the_right_pixels(tmp_path: Path, reader: str, loading: Loading) -> None:
    expected = {name.partition(".")[0]: halves for name, (_, halves) in odd_files().items()}
    splits = load(dataset(tmp_path, reader), loading=loading)
    seen = set()
    for part in splits:
        assert isinstance(part, ImageDataset)
        for image, label in zip(part.images[:], part.labels.tolist(), strict=True):
            name = part.classes[label]
            left, right = (torch.tensor(colour, dtype=torch.uint8)[:, None, None] for colour in expected[name])
            half = SIDE // 2
            assert bool((image[:, :, :half] == left).all()), f"{name}, {image[:, 0].tolist()}"
            assert bool((image[:, :, half:] == right).all()), f"{name}, {image[:, 0].tolist()}"
            seen.add(name)
    assert seen == set(expected)

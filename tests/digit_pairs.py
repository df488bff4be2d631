"""Images of two digits side by side, for several labels or for numbers: their digits, their sum, or both and their brightness."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from archsearch.evaluators.datasets import ImageDataset, Splits


def digit_pairs(number: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images `[number, 8, 16]` and the two digits of each, `[number, 2]`."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    chosen = rng.integers(len(digits.images), size=(number, 2))
    pixels = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return np.concatenate([pixels[chosen[:, 0]], pixels[chosen[:, 1]]], axis=2), digits.target[chosen].astype(np.int64)


def pair_splits(task: str, train: int = 300, held: int = 80) -> Splits:
    """Return images in memory with the labels of a task: the digits that are there, or their sum and half of it."""
    images, digits = digit_pairs(train + 2 * held)
    pixels = torch.from_numpy(images)[:, None]
    labels = torch.zeros(len(images), 10, dtype=torch.bool).scatter_(1, torch.from_numpy(digits), True)
    classes = tuple("0123456789")
    if task == "regression":
        total = torch.from_numpy(digits.sum(1)).double()
        labels, classes = torch.stack([total, 50.0 * total], dim=1), ("sum", "cents")
    whole = ImageDataset("pairs", pixels, labels, classes)
    cuts = {"train": (0, train), "validation": (train, train + held), "test": (train + held, train + 2 * held)}
    return Splits(*(whole.take(range(*rows), f"pairs/{part}") for part, rows in cuts.items()))


def write_pairs(folder: Path, number: int = 300) -> Path:
    """Write images and `labels.csv` with the columns file, digits (such as `3|5`) and total; return the path of the latter."""
    images, digits = digit_pairs(number)
    (folder / "images").mkdir(parents=True)
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "digits", "total"])
        for place, (image, pair) in enumerate(zip(images, digits, strict=True)):
            Image.fromarray(image).save(folder / "images" / f"{place}.png")
            writer.writerow([f"{place}.png", "|".join(map(str, sorted(set(pair.tolist())))), int(pair.sum())])
    return path


def write_parquet(path: Path, number: int = 300) -> Path:
    """Write the same as a Parquet file with the columns image, digits (lists) and total (floating)."""
    images, digits = digit_pairs(number)
    encoded = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    columns = {"image": encoded, "digits": [sorted(set(pair)) for pair in digits.tolist()], "total": digits.sum(1).astype(float)}
    pq.write_table(pa.table(columns), path)
    return path

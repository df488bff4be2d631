"""Search for a network that predicts a number: the sum of two handwritten digits, from a CSV file beside a folder of images.

python examples/csv_regression.py [FILE.csv IMAGE_COLUMN NUMBER_COLUMN]
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from archsearch import platform


def write_data(folder: Path, number: int = 800) -> Path:
    """Write images of two digits side by side, and a CSV file with the sum of each; return the path of the file."""
    digits, rng = load_digits(), np.random.default_rng(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    path = folder / "sums.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "sum"])
        for place, (left, right) in enumerate(rng.integers(len(digits.images), size=(number, 2))):
            pixels = np.concatenate([digits.images[left], digits.images[right]], axis=1) * (255 / 16)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{place}.png")
            writer.writerow([f"{place}.png", digits.target[left] + digits.target[right]])
    return path


def main(file: str, image: str, number: str, storage: str = "runs", candidates: int = 6, epochs: int = 8) -> None:
    training = {
        "epochs": epochs,
        "batch_size": 32,
        "learning_rate": 0.05,
        "crop": 0,
        "scale": {"channels": 8, "cells_per_stage": 1},
    }
    result = platform.run_search(
        "nasbench201",
        "evolution",
        f"train:csv:{file}?image={image}&label={number}&size=8x16",
        num_candidates=candidates,
        storage=storage,
        evaluator_options={"task": "regression", **training},
        objectives=["mae"],  # the mean absolute error; without it the search is for the highest R2
    )
    print(f"validation error {-result.best.score:.2f}: {result.best}")
    model = result.best.retrain(progress=False)
    print(f"test error {model.metrics['test_mae']:.2f}, R2 {model.metrics['test_r2']:.2f}")
    model.export("csv-regression")  # it answers in the units of the file


if __name__ == "__main__":
    main(*(sys.argv[1:] or [str(write_data(Path("digit-sums"))), "file", "sum"]))

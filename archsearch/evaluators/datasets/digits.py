"""The handwritten digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, which need no download.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998 (its test part).
"""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import torch

from archsearch.evaluators.datasets.dataset import ImageDataset, Splits


def load_digits() -> Splits:
    """Return 901 training, 449 validation and 447 test images, by the split stored in the package."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    pixels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)[:, None]
    digits = ImageDataset(
        "digits", torch.from_numpy(pixels), torch.from_numpy(bunch.target.astype(np.int64)), tuple("0123456789")
    )
    stored = json.loads(resources.files(__package__).joinpath("digits_split.json").read_text())
    return Splits(*(digits.take(stored[part], f"digits/{part}") for part in Splits._fields))

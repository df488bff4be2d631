"""Images that stand in two parts of a dataset: a network that has learned them by heart scores too high."""

from __future__ import annotations

import numpy as np

from archsearch.evaluators.datasets.dataset import Splits


def copies(splits: Splits) -> dict[str, int]:
    """Return the number of validation images, and of test images, whose pixels are those of a training image."""
    known = splits.train.hashes()
    return {part: int(np.isin(getattr(splits, part).hashes(), known).sum()) for part in ("validation", "test")}

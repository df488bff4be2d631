"""Greedy selection of an ensemble from trained networks.

R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, "Ensemble Selection from Libraries of Models", ICML 2004, section 2. With the
class probabilities p_m of model m on the validation images:

1. Begin with an empty ensemble, s = 0.
2. For n = 1, ..., N: add the model m for which the mean (s + p_m) / n is best on the validation images, s <- s + p_m. A model may
   be added again (selection with replacement, section 2.1), which gives it a larger weight.
3. Of the N nested ensembles, return the best one.

"Best" is the highest accuracy; among equal ones the smallest cross-entropy; then the model that comes first, or the smaller
ensemble. Balanced, both are means over the classes of the means over their images, so that all classes count the same. `select`
takes any other quality, and predictions of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, check_whole_number

_LEAST = 1e-12
"""Smallest probability in a cross-entropy."""
Quality = Callable[[NDArray[np.float64]], tuple[float, float]]


@dataclass(frozen=True)
class Selection:
    """An ensemble as a choice of models.

    Args:
        counts: How often each selected model counts, by its position among the candidates, in the order of selection.
        accuracies: Validation accuracy, or other quality, after each selection, those beyond the best ensemble included.
        accuracy: Validation accuracy, a fraction, or other quality of the ensemble.
        loss: Its mean cross-entropy on the validation images, in nats, or what else decides between equal ones.
        balanced: Whether accuracies and loss count all classes the same.
    """

    counts: dict[int, int]
    accuracies: tuple[float, ...]
    accuracy: float
    loss: float
    balanced: bool = False


def select_ensemble(
    probabilities: Sequence[NDArray[np.floating]], labels: NDArray[np.integer], size: int = 5, *, balanced: bool = False
) -> Selection:
    """Return the ensemble that the algorithm above selects.

    Args:
        probabilities: For each model, `[images, classes]`, rows that add up to 1.
        labels: `[images]`, the class of each image.
        size: Number N of selections, the same model several times included.
        balanced: Whether all classes count the same.

    Raises:
        ConfigurationError: There is no model, the shapes do not fit, a probability is no number, or `size` is below 1.

    Example:
        >>> import numpy as np
        >>> right, wrong = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
        >>> select_ensemble([wrong, right], np.array([0]), size=3).counts
        {1: 1}
    """
    check_whole_number("size", size)
    labels = np.asarray(labels)
    tables = [np.asarray(each, dtype=np.float64) for each in probabilities]
    if not tables or any(each.ndim != 2 or each.shape != tables[0].shape or len(each) != len(labels) for each in tables):
        raise ConfigurationError(
            f"probabilities: expected a table of [{len(labels)} images, classes] for each of at least one model; "
            f"got {[each.shape for each in tables]}."
        )
    if not len(labels) or not all(np.isfinite(each).all() for each in tables):
        raise ConfigurationError("probabilities: expected finite numbers for at least one image; got NaN, infinity or no image.")
    weights = _weights(labels) if balanced else np.ones(len(labels))
    return replace(select(tables, lambda mean: _quality(mean, labels, weights), size), balanced=balanced)


def select(tables: Sequence[NDArray[np.float64]], quality: Quality, size: int) -> Selection:
    """Return the ensemble that the algorithm above selects by a quality.

    Args:
        tables: For each model its predictions, `[images, outputs]`.
        quality: Function from mean predictions to their quality, and the negative loss that decides between equal ones; larger is
            better.
        size: Number N of selections.
    """
    total = np.zeros_like(tables[0])
    chosen: list[int] = []
    course: list[tuple[float, float]] = []
    for number in range(1, size + 1):
        qualities = [quality((total + each) / number) for each in tables]
        best = max(range(len(tables)), key=lambda model: (*qualities[model], -model))
        total += tables[best]
        chosen.append(best)
        course.append(qualities[best])
    length = max(range(1, size + 1), key=lambda count: (*course[count - 1], -count))
    counts: dict[int, int] = {}
    for model in chosen[:length]:
        counts[model] = counts.get(model, 0) + 1
    accuracy, negative_loss = course[length - 1]
    return Selection(counts, tuple(each for each, _ in course), accuracy, -negative_loss)


def _weights(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return n / (k n_c) for each of n images, where its class c has n_c of them and k classes have some."""
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(len(labels) / (len(counts) * counts[classes]), dtype=np.float64)


def _quality(mean: NDArray[np.float64], labels: NDArray[np.integer], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return accuracy and negative cross-entropy, weighted means over the images; larger is better."""
    accuracy = float(((mean.argmax(1) == labels) * weights).mean())
    return accuracy, float((np.log(np.maximum(mean[np.arange(len(labels)), labels], _LEAST)) * weights).mean())

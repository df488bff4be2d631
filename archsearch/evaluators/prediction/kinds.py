"""The task of labels, by their type."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.multilabel import Multilabel
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.score_names import CLASSIFICATION, MULTILABEL, REGRESSION


def kind_of(labels: Tensor) -> str:
    """Return the name of the task whose labels have this type: int64 classes, bool labels or float64 numbers."""
    return {torch.bool: MULTILABEL, torch.float64: REGRESSION}.get(labels.dtype, CLASSIFICATION)


def fitted_task(labels: Tensor) -> PredictionTask:
    """Return the task of a dataset, with what it takes from the labels of the training images, which are given."""
    kind = kind_of(labels)
    if kind == REGRESSION:
        return Regression.fitted(labels)
    return Multilabel() if kind == MULTILABEL else Classification()

from __future__ import annotations

import torch

from archsearch.evaluators.prediction.kinds import fitted_task, kind_of
from archsearch.evaluators.prediction.regression import Regression


def test_the_type_of_labels_says_the_task() -> None:
    numbers = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    assert [kind_of(labels) for labels in (torch.tensor([0, 1]), torch.tensor([[True], [False]]), numbers)] == [
        "classification",
        "multilabel",
        "regression",
    ]
    assert fitted_task(torch.tensor([0, 1])).name == "classification"
    assert fitted_task(torch.tensor([[True], [False]])).name == "multilabel"
    assert fitted_task(numbers) == Regression((2.0,), (1.0,))

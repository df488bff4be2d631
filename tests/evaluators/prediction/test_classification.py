"""One class an image: figures of batches against those of all images at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score

from archsearch.evaluators.prediction.classification import Classification

TASK = Classification()
LOGITS = torch.randn(50, 2, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(50) % 7 % 3  # the last class has no image


def test_figures_of_batches_are_those_of_all_images() -> None:
    meter = TASK.meter()
    for part, truth in zip(LOGITS.split(16), LABELS.split(16), strict=True):
        meter.add(part, truth)
    figures = meter.figures()
    for replica in range(2):
        logits = LOGITS[:, replica]
        answers = logits.argmax(1)
        assert float(figures["accuracy"][replica]) == pytest.approx(float((answers == LABELS).double().mean()))
        assert float(figures["loss"][replica]) == pytest.approx(float(F.cross_entropy(logits, LABELS)), rel=1e-6)
        with pytest.warns(UserWarning, match="y_pred contains classes"):
            expected = balanced_accuracy_score(LABELS, answers)
        assert float(figures["balanced_accuracy"][replica]) == pytest.approx(expected)


def test_outputs_of_predictions_give_the_predictions() -> None:
    shares = TASK.predictions(LOGITS[:, 0])
    torch.testing.assert_close(TASK.predictions(TASK.outputs(shares)), shares)
    assert torch.isfinite(TASK.outputs(torch.tensor([[1.0, 0.0]]))).all()
    assert TASK.targets(LABELS) is LABELS

"""Sets of labels: mean average precision against scikit-learn, loss, weights of positives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from archsearch.evaluators.prediction.multilabel import Multilabel

TASK = Multilabel()
LOGITS = torch.randn(90, 2, 5, generator=torch.Generator().manual_seed(0))
TRUTH = torch.rand(90, 5, generator=torch.Generator().manual_seed(1)) < torch.tensor([0.1, 0.3, 0.5, 0.9, 0.0])


def test_the_mean_is_over_the_labels_that_images_have() -> None:
    meter = TASK.meter()
    for part, truth in zip(LOGITS.split(40), TASK.targets(TRUTH).split(40), strict=True):
        meter.add(part, truth)
    figures = meter.figures()
    for replica in range(2):
        each = average_precision_score(TRUTH[:, :4].numpy(), LOGITS[:, replica, :4].numpy(), average=None)
        assert float(figures["mean_average_precision"][replica]) == pytest.approx(float(np.mean(each)))
        expected = float(TASK.loss(LOGITS[:, replica], TASK.targets(TRUTH)))
        assert float(figures["loss"][replica]) == pytest.approx(expected, rel=1e-6)


def test_the_loss_is_the_sum_over_labels_with_weights_of_positives() -> None:
    logits, truth = LOGITS[:, 0].double(), TRUTH.double()
    shares = logits.sigmoid()
    weights = TASK.weights(TASK.targets(TRUTH))
    assert weights.tolist() == pytest.approx([float((1 - has).sum() / has.sum()) for has in truth.t()[:4]] + [1.0])
    terms = -(weights * truth * shares.log() + (1 - truth) * (1 - shares).log())
    assert float(TASK.loss(LOGITS[:, 0], TRUTH.float(), weights)) == pytest.approx(float(terms.sum(1).mean()), rel=1e-5)
    smooth = truth * 0.8 + 0.1
    terms = -(smooth * shares.log() + (1 - smooth) * (1 - shares).log())
    assert float(TASK.loss(LOGITS[:, 0], TRUTH.float(), label_smoothing=0.2)) == pytest.approx(
        float(terms.sum(1).mean()), rel=1e-5
    )


def test_hundreds_of_labels_count_as_fifty() -> None:
    logits, truth = LOGITS[:, 0].repeat(1, 40), TRUTH.float().repeat(1, 40)
    assert float(TASK.loss(logits, truth)) == pytest.approx(10 * float(TASK.loss(LOGITS[:, 0], TRUTH.float())), rel=1e-5)


def test_outputs_of_predictions_give_the_predictions() -> None:
    shares = TASK.predictions(LOGITS[:, 0])
    torch.testing.assert_close(TASK.predictions(TASK.outputs(shares)), shares)
    assert torch.isfinite(TASK.outputs(torch.tensor([[1.0, 0.0]]))).all()

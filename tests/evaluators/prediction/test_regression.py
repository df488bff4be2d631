"""Numbers: R2 and mean absolute error against scikit-learn, normalised targets, user's units."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score

from archsearch.errors import ConfigurationError
from archsearch.evaluators.prediction.regression import Regression

LABELS = torch.randn(80, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor([3.0, 500.0]) + 40.0
TASK = Regression.fitted(LABELS)
OUTPUTS = TASK.targets(LABELS)[:, None] + 0.5 * torch.randn(80, 3, 2, generator=torch.Generator().manual_seed(1))


def test_figures_are_those_of_scikit_learn_in_the_users_units() -> None:
    held = LABELS[:30]  # other numbers than those that the task was fitted to
    meter = TASK.meter()
    for part, truth in zip(OUTPUTS[:30].split(8), TASK.targets(held).split(8), strict=True):
        meter.add(part, truth)
    figures = meter.figures()
    for replica in range(3):
        found = TASK.predictions(OUTPUTS[:30, replica])
        assert float(figures["r2"][replica]) == pytest.approx(r2_score(held, found), rel=1e-5)
        assert float(figures["mae"][replica]) == pytest.approx(mean_absolute_error(held, found), rel=1e-5)


@pytest.mark.parametrize(("answers", "expected"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_numbers_that_are_all_equal(answers: list[float], expected: float) -> None:
    meter = Regression((0.0,), (1.0,)).meter()
    meter.add(torch.tensor(answers)[:, None, None], torch.tensor([[2.0], [2.0]]))
    assert float(meter.figures()["r2"]) == expected == r2_score([2.0, 2.0], answers)


def test_targets_have_mean_0_and_deviation_1() -> None:
    targets = TASK.targets(LABELS)
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.mean(0), torch.zeros(2), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(targets.std(0, correction=0), torch.ones(2))
    torch.testing.assert_close(TASK.predictions(targets), LABELS, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(TASK.outputs(LABELS), targets)
    assert float(TASK.loss(targets + 0.5, targets)) == pytest.approx(0.25)


def test_what_numbers_do_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="class_weights: expected false"):
        TASK.weights(TASK.targets(LABELS))
    with pytest.raises(ConfigurationError, match="label_smoothing: expected 0"):
        TASK.loss(OUTPUTS[:, 0], TASK.targets(LABELS), label_smoothing=0.1)

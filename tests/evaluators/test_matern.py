from __future__ import annotations

import numpy as np
import pytest

from archsearch.evaluators.matern import matern_kernel, most_likely


def test_the_kernel_is_the_written_out_one() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0]])
    kernel = matern_kernel(2.0, noise=(1e-3, 1.0))
    distance = np.sqrt(5) * 5.0 / 2.0
    expected = (1 + distance + distance**2 / 3) * np.exp(-distance)
    assert kernel(points) == pytest.approx(np.array([[1.1, expected], [expected, 1.1]]))


def test_a_fit_follows_smooth_targets_and_repeats() -> None:
    points = np.linspace(0, 3, 20)[:, None]
    targets = 5.0 + np.sin(points[:, 0])
    kernel = matern_kernel(1.0, noise=(1e-6, 1.0))
    first, second = (most_likely(kernel, points, targets, seed=3, restarts=1, normalised=True) for _ in range(2))
    assert first.predict(points) == pytest.approx(targets, abs=0.05)
    assert np.array_equal(first.kernel_.theta, second.kernel_.theta)

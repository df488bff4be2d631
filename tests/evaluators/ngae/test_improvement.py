from __future__ import annotations

import numpy as np
import pytest

from archsearch.evaluators.ngae.improvement import expected_improvement


@pytest.mark.filterwarnings("error")
def test_it_is_highest_where_a_better_value_is_likely() -> None:
    rng = np.random.default_rng(0)
    latents = rng.uniform(-3, 3, (60, 1))
    values = -((latents[:, 0] - 1.0) ** 2)
    grid = np.linspace(-3, 3, 121)[:, None]
    gains = expected_improvement(latents, values, grid, seed=0)
    assert gains.shape == (121,)
    assert (gains >= -1e-12).all()
    assert abs(grid[gains.argmax(), 0] - 1.0) < 0.5
    assert gains[0] < gains.max() / 10


def test_a_direction_without_variance_does_no_harm() -> None:
    rng = np.random.default_rng(1)
    latents = np.concatenate([rng.normal(size=(30, 2)), np.zeros((30, 1))], axis=1)
    gains = expected_improvement(
        latents, latents[:, 0], np.concatenate([rng.normal(size=(9, 2)), np.ones((9, 1))], axis=1), seed=0
    )
    assert np.isfinite(gains).all()

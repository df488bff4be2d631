from __future__ import annotations

import numpy as np
import pytest
import torch

from archsearch.evaluators.ngae.targets import Scale, checked, joined

FIGURES = np.array([1.0, np.nan, 3.0, 5.0])


def test_a_scale_and_back() -> None:
    scale = Scale.of(FIGURES, True)
    learned = scale.learned(FIGURES)
    assert (np.nanmean(learned), np.nanstd(learned)) == (pytest.approx(0.0), pytest.approx(1.0))
    assert scale.figures(torch.from_numpy(learned)) == pytest.approx(FIGURES, nan_ok=True)
    assert Scale.of(FIGURES, False) == Scale(0.0, 5.0)
    assert Scale.of(FIGURES / 10, False) == Scale(0.0, 1.0)


def test_equal_figures_are_not_learned() -> None:
    scale = Scale.of(np.array([2.0, 2.0]), True)
    assert scale == Scale(2.0, 0.0)
    assert np.isnan(scale.learned(np.array([2.0, 2.0]))).all()
    assert Scale.of(np.array([np.nan]), True) == Scale(0.0, 0.0)


def test_figures_that_are_not_given_are_unknown() -> None:
    assert np.isnan(checked("accuracy", None, 3, 1.0)).all()
    pair = joined(np.array([0.5, np.nan]), np.array([1.0, 2.0]))
    assert pair.dtype == torch.float32
    assert pair.shape == (2, 2)

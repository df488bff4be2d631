"""Jacobian covariance: how differently the images change the outputs."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject

_K = 1e-5


def jacov(subject: Subject) -> float:
    """Return `-sum_i (log(v_i + k) + 1 / (v_i + k))` over the eigenvalues v of the images' correlations, with `k = 1e-5`.

    The correlations are those of the rows of the Jacobian: the gradient of the sum of the logits with respect to each image.
    J. Mellor, J. Turner, A. Storkey, E. Crowley, "Neural Architecture Search without Training", arXiv 2006.04647, version 1.
    It is NaN where the outputs do not depend on an image.
    """
    jacobian = subject.input_gradients().double()
    correlations = torch.corrcoef(jacobian)
    if not torch.isfinite(correlations).all():
        return float("nan")
    values = torch.linalg.eigvalsh(correlations)
    return float(-(torch.log(values + _K) + 1.0 / (values + _K)).sum())

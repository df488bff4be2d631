"""NASWOT: how many rectified units tell two images apart."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.call_recorder import RECTIFIERS, CallRecorder
from archsearch.evaluators.proxies.subject import Subject


def nwot(subject: Subject) -> float:
    """Return `log |det K|`, where `K[i, j]` is the number of rectified units that are both on or both off for images i and j.

    J. Mellor, J. Turner, A. Storkey, E. Crowley, "Neural Architecture Search without Training", ICML 2021, arXiv 2006.04647,
    equation 2. It is NaN where K is singular, as for a network without rectified units.
    """
    with torch.no_grad(), CallRecorder(RECTIFIERS) as recorded:
        subject.logits()
    kernel = torch.zeros(len(subject.images), len(subject.images), dtype=torch.float64, device=subject.images.device)
    for call in recorded.calls:
        on = (call.output.flatten(1) > 0).float()
        off = 1.0 - on
        kernel += (on @ on.T + off @ off.T).double()
    sign, logarithm = torch.linalg.slogdet(kernel)
    return float(logarithm) if sign != 0 and torch.isfinite(logarithm) else float("nan")

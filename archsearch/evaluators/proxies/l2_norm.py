"""Sum of the norms of the initial weights."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject


def l2_norm(subject: Subject) -> float:
    """Return the sum over weights W of `||W||_2`, a baseline of M. Abdelfattah et al., ICLR 2021, arXiv 2101.08134."""
    with torch.no_grad():
        return float(sum(float(weight.norm()) for weight in subject.weights()))

"""ZiCo: gradients that are large and vary little from batch to batch."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject

_BATCHES = 2


def zico(subject: Subject) -> float:
    """Return the sum over weights W of `log sum_{w in W} mean |g_w| / deviation of |g_w|`, over the gradients g of two batches.

    G. Li, Y. Yang, K. Bhardwaj, R. Marculescu, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR
    2023, arXiv 2301.11300, equation 9. The batches are the halves of the subject's images; weights whose gradient does not vary
    are left out, and so are layers that are left with none.
    """
    parts = zip(subject.images.chunk(_BATCHES), subject.labels.chunk(_BATCHES), strict=True)
    found = [
        [gradient.abs().double() for gradient in subject.gradients(subject.loss_of(images, labels))] for images, labels in parts
    ]
    total = 0.0
    for gradients in zip(*found, strict=True):
        stacked = torch.stack(gradients)
        deviation = stacked.std(dim=0, unbiased=False)
        varies = deviation > 0
        if varies.any():
            total += float(torch.log((stacked.mean(dim=0)[varies] / deviation[varies]).sum()))
    return total

"""SNIP: the change of the loss where single weights are removed."""

from __future__ import annotations

from archsearch.evaluators.proxies.subject import Subject


def snip(subject: Subject) -> float:
    """Return the sum over all weights w of `|dL/dw * w|`.

    N. Lee, T. Ajanthan, P. Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019,
    arXiv 1810.02340; summed over the network by M. Abdelfattah et al., ICLR 2021, arXiv 2101.08134.
    """
    pairs = zip(subject.weights(), subject.gradients(subject.loss()), strict=True)
    return float(sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in pairs))

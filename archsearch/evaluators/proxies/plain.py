"""The signed twin of SNIP."""

from __future__ import annotations

from archsearch.evaluators.proxies.subject import Subject


def plain(subject: Subject) -> float:
    """Return the sum over all weights w of `dL/dw * w`.

    M. Mozer, P. Smolensky, "Skeletonization", NeurIPS 1988; as used by M. Abdelfattah et al., ICLR 2021, arXiv 2101.08134.
    """
    pairs = zip(subject.weights(), subject.gradients(subject.loss()), strict=True)
    return float(sum(float((weight.detach() * gradient).sum()) for weight, gradient in pairs))

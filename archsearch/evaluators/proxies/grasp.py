"""GraSP: the change of the gradient's norm where weights are removed."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject


def grasp(subject: Subject) -> float:
    """Return the sum over all weights w of `-(H g)_w * w`, with the gradient g and the Hessian H of the loss.

    C. Wang, G. Zhang, R. Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020,
    arXiv 2002.07376, equation 8; summed over the network by M. Abdelfattah et al., ICLR 2021, arXiv 2101.08134.
    """
    gradients = subject.gradients(subject.loss(), create_graph=True)
    product = sum(((gradient * gradient.detach()).sum() for gradient in gradients), torch.zeros(()))  # its gradient is H g
    found = zip(subject.weights(), subject.gradients(product), strict=True)
    return float(sum(float(-(weight.detach() * curvature).sum()) for weight, curvature in found))

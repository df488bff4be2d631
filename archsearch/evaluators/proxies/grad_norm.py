"""Sum of the norms of gradients at the initial weights."""

from __future__ import annotations

from archsearch.evaluators.proxies.subject import Subject


def grad_norm(subject: Subject) -> float:
    """Return the sum over weights W of `||dL/dW||_2` with the loss L of the batch.

    M. Abdelfattah, A. Mehrotra, L. Dudziak, N. Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv 2101.08134.
    """
    return float(sum(float(gradient.norm()) for gradient in subject.gradients(subject.loss())))

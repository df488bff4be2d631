"""Number of multiply-accumulates, as a training-free score."""

from __future__ import annotations

from archsearch.evaluators.proxies.subject import Subject


def macs(subject: Subject) -> float:
    """Return the number of multiply-accumulates of one input."""
    return float(subject.cost.macs)

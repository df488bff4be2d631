"""Number of parameters, as a training-free score."""

from __future__ import annotations

from archsearch.evaluators.proxies.subject import Subject


def params(subject: Subject) -> float:
    """Return the number of parameters, on which published comparisons report a rank correlation near that of better scores."""
    return float(subject.cost.params)

"""Checks of the evaluations that an evaluator returned for a batch against the architectures that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.plain_number import shown
from archsearch.spaces import Architecture


def checked_batch(evaluator: Evaluator, architectures: Sequence[Architecture], returned: Any) -> list[Evaluation]:
    """Return one evaluation for each architecture, in order, whatever the evaluator returned.

    A candidate without a valid evaluation gets a failed one, whose error says what was expected and what came; the others keep
    theirs. If their number is not that of the architectures, or their order is another, evaluations are found by their
    architecture.

    Args:
        evaluator: The evaluator, which knows the keys of its space.
        architectures: What it was asked for, each once.
        returned: What its `evaluate` returned.
    """
    if isinstance(returned, str | bytes | Mapping | Evaluation) or not isinstance(returned, Iterable):
        why = f"evaluate: expected a list of {len(architectures)} evaluations; got {shown(returned)}"
        return [evaluator.failed(architecture, why) for architecture in architectures]
    items = list(returned)
    by_position = items if len(items) == len(architectures) else [None] * len(architectures)
    by_architecture = {item.architecture: item for item in reversed(items) if _is_evaluation(item)}
    checked = []
    for architecture, item in zip(architectures, by_position, strict=True):
        key = evaluator.space.key(architecture)
        found = item
        if not (_is_evaluation(item) and (item.architecture == architecture or item.key == key)):
            found = by_architecture.get(architecture)
        if found is None:
            checked.append(evaluator.failed(architecture, _why_missing(items, len(architectures), item)))
        elif found.key != key:
            checked.append(
                evaluator.failed(architecture, f"key: expected {key}, that of the architecture; got {shown(found.key)}")
            )
        else:
            checked.append(replace(found, architecture=architecture))  # checks metrics that were added since it was made
    return checked


def _is_evaluation(item: Any) -> bool:
    return isinstance(item, Evaluation) and isinstance(item.architecture, Architecture)


def _why_missing(items: Sequence[Any], expected: int, item: Any) -> str:
    if len(items) != expected:
        return f"evaluate: expected {expected} evaluations; got {len(items)}, none of this architecture"
    if not isinstance(item, Evaluation):
        return f"evaluate: expected an Evaluation; got {shown(item)}"
    return f"evaluate: expected an evaluation of this architecture; got one of {shown(item.architecture)}"

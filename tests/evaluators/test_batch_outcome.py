"""Whatever an evaluator returns, each candidate gets one evaluation, and the valid ones count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from archsearch.evaluators import Evaluation, Evaluator
from archsearch.evaluators.batch_outcome import checked_batch
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELLS = [SPACE.from_genotype([first, 2, 1, 0, 4, 3]) for first in range(5)]


class Genes(Evaluator):
    @property
    def task(self) -> str:
        return "genes"

    def settings(self) -> Mapping[str, Any]:
        return {"kind": "genes"}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [Evaluation(each, SPACE.key(each), float(SPACE.genotype(each)[0])) for each in architectures]


EVALUATOR = Genes(SPACE)
GOOD = EVALUATOR.evaluate(CELLS)


def outcome(returned: Any) -> list[float | str]:
    """Return the score or the error of each candidate."""
    checked = checked_batch(EVALUATOR, CELLS, returned)
    assert [each.architecture for each in checked] == CELLS
    assert [each.key for each in checked] == [SPACE.key(cell) for cell in CELLS]
    return [each.score if each.ok else str(each.error) for each in checked]


@pytest.mark.parametrize(
    "kind", [list, tuple, iter, lambda good: (each for each in good), lambda good: dict(enumerate(good)).values()]
)
def test_valid_evaluations_are_passed_on(kind: Callable[[Any], Any]) -> None:
    assert outcome(kind(GOOD)) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [1, 0, 2, 3, 4]])
def test_evaluations_in_another_order_are_found_by_their_architecture(order: list[int]) -> None:
    assert outcome([GOOD[place] for place in order]) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_list_that_is_too_short_fails_only_what_it_lacks() -> None:
    why = "evaluate: expected 5 evaluations; got 3, none of this architecture"
    assert outcome([GOOD[0], GOOD[2], GOOD[3]]) == [0.0, why, 2.0, 3.0, why]


def test_a_list_that_is_too_long_counts_what_was_asked_for() -> None:
    other = SPACE.from_genotype([0] * 6)
    assert outcome([*GOOD[:2], Evaluation(other, SPACE.key(other), 9.0), *GOOD[2:], None]) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (None, "evaluate: expected an Evaluation; got None"),
        (0.5, "evaluate: expected an Evaluation; got 0.5"),
        ({"score": 0.5}, "evaluate: expected an Evaluation; got {'score': 0.5}, of the type dict"),
        (Evaluation(None, GOOD[1].key + "0", 0.5), "evaluate: expected an evaluation of this architecture; got one of None"),  # type: ignore[arg-type]
        (GOOD[2], "evaluate: expected an evaluation of this architecture; got one of Architecture("),
        (replace(GOOD[1], key=GOOD[2].key), f"key: expected {GOOD[1].key}, that of the architecture; got '{GOOD[2].key}'"),
        (replace(GOOD[1], key=None), f"key: expected {GOOD[1].key}, that of the architecture; got None"),  # type: ignore[arg-type]
        (Evaluation(CELLS[1], GOOD[1].key, "high"), "score: expected a number"),  # type: ignore[arg-type]
    ],
    ids=range(8),
)
def test_an_item_that_is_no_evaluation_of_its_candidate_fails_alone(item: Any, why: str) -> None:
    first, second, *others = outcome([GOOD[0], item, *GOOD[2:]])
    assert str(second).startswith(why)
    assert [first, *others] == [0.0, 2.0, 3.0, 4.0]


def test_an_equivalent_architecture_counts_for_the_one_that_was_asked_for() -> None:
    asked, equal = SPACE.from_genotype([3, 0, 0, 1, 0, 0]), SPACE.from_genotype([0, 0, 0, 1, 0, 0])
    assert SPACE.key(asked) == SPACE.key(equal), "the convolution does not reach the output"
    [checked] = checked_batch(EVALUATOR, [asked], [Evaluation(equal, SPACE.key(equal), 0.5)])
    assert (checked.architecture, checked.score) == (asked, 0.5)


@pytest.mark.parametrize("returned", [None, 0.5, "five", {"scores": [1]}, GOOD[0]], ids=str)
def test_what_is_no_list_fails_the_batch_in_words(returned: Any) -> None:
    assert all(str(why).startswith("evaluate: expected a list of 5 evaluations; got ") for why in outcome(returned))


def test_a_metric_that_was_added_later_is_checked_too() -> None:
    evaluations: Any = EVALUATOR.evaluate(CELLS)
    evaluations[3].metrics["device"] = "cpu"
    assert [str(each)[:16] for each in outcome(evaluations)] == ["0.0", "1.0", "2.0", "metric 'device':", "4.0"]

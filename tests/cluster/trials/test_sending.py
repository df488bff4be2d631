"""Evaluators on their way to the workers: what cannot be pickled is named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import ray

from archsearch import spaces
from archsearch.cluster.trials.sending import sent
from archsearch.errors import ConfigurationError
from archsearch.evaluators import FunctionEvaluator

pytestmark = pytest.mark.usefixtures("shared_ray")

SPACE = spaces.get("nasbench201")


def scoring(held: Any) -> Callable[..., float]:
    def train(model: Any, context: Any) -> float:
        return float(len(str(held)))

    return train


def test_functions_of_scripts_are_sent_with_what_they_hold() -> None:
    made = FunctionEvaluator(SPACE, scoring("abc"))
    evaluator, further = ray.get(sent((made, 7), made))
    assert (evaluator.evaluate([SPACE.from_genotype([0] * 5 + [1])])[0].score, further) == (3.0, 7)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (threading.Lock(), "because 'held' of 'function' cannot be pickled: it is a lock"),
        (
            {"deep": {"file": threading.Lock()}},
            "because 'file' of 'deep' of 'held' of 'function' cannot be pickled: it is a lock",
        ),
        ((number for number in range(3)), "because 'held' of 'function' cannot be pickled: it is a generator"),
    ],
)
def test_what_cannot_be_pickled_is_named(held: Any, message: str) -> None:
    evaluator = FunctionEvaluator(SPACE, scoring(held))
    with pytest.raises(ConfigurationError, match=f"evaluator: it cannot be sent to the workers, {message} .*Make it inside"):
        sent(evaluator, evaluator)

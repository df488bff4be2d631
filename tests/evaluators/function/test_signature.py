"""Functions that can score candidates, and what cannot."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.function.signature import check_function


def one(model: Any) -> float: ...
def three(model: Any, context: Any, more: Any) -> float: ...
def named(*, model: Any, context: Any) -> float: ...
def generator(model: Any, context: Any) -> Iterator[float]:
    yield 1.0


async def coroutine(model: Any, context: Any) -> float: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (one, r"one takes \(model: .*too many positional arguments.*Write def one\(model, context\)"),
        (three, "three takes .*missing a required argument: 'more'"),
        (named, "named takes"),
        (generator, "generator is a generator or a coroutine. Write it with return"),
        (coroutine, "coroutine is a generator or a coroutine"),
        (3, "expected a function of .* got 3, of the type int"),
        (None, "got None"),
        (dict, "got the class dict"),
        (print, "got the function print"),
        (operator.attrgetter("score"), "got an object of the type attrgetter"),
    ],
)
def test_what_cannot_score(function: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"function: .*{message}"):
        check_function(function)


def test_what_can() -> None:
    class Called:
        def __call__(self, model: Any, context: Any) -> float: ...

        def method(self, model: Any, context: Any, more: int = 3) -> float: ...

    for function in (lambda model, context: 1.0, lambda *all: 1.0, Called(), Called().method, functools.partial(three, more=1)):
        check_function(function)

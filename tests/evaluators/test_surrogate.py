"""A surrogate needs only the methods that are called."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch.evaluators.surrogate import Surrogate


class Doubler(Surrogate):
    def score(self, batch: Any) -> Any:
        return [2 * value for value in batch]


def test_method_that_is_there_works_without_the_others() -> None:
    assert Doubler().score([1, 2]) == [2, 4]


@pytest.mark.parametrize("method", ["load", "evaluate", "fit", "propose"])
def test_method_that_is_not_there_says_so(method: str) -> None:
    with pytest.raises(NotImplementedError, match=f"{method}: Doubler has no such method"):
        getattr(Doubler(), method)(1)

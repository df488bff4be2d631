"""Arguments are compared with their annotations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest

from archsearch.declarations import AtLeast, Between, MoreThan, check_arguments, check_bound
from archsearch.errors import ConfigurationError

if TYPE_CHECKING:
    from decimal import Decimal


class Sample:
    def __init__(
        self,
        place: Annotated[int, AtLeast(0)] = 0,
        *,
        size: Annotated[int, AtLeast(1)] | None = None,
        share: Annotated[float, Between(0.25, 0.75)] = 0.5,
        rate: float = 0.1,
        rule: Literal["ball", "free"] = "ball",
        name: str | None = None,
        sure: bool = False,
        model: Mapping[str, Any] | None = None,
        unknown: Decimal | None = None,
        **more: Any,
    ) -> None:
        pass


def check(*args: Any, **kwargs: Any) -> None:
    check_arguments(Sample.__init__, (None, *args), kwargs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, "size: expected a whole number of at least 1; got 0."),
        ({"size": True}, "size: expected a whole number of at least 1; got True."),
        ({"size": 2.0}, "size: expected a whole number of at least 1; got 2.0."),
        ({"share": math.nan}, "share: expected a finite number; got nan."),
        ({"share": 1.5}, "share: expected a number from 0.25 to 0.75; got 1.5."),
        ({"rate": math.inf}, "rate: expected a finite number; got inf."),
        ({"rate": "x"}, "rate: expected a number; got 'x'."),
        ({"rate": None}, "rate: expected a number; got None."),
        ({"rule": "bal"}, "rule: expected one of ball, free; got 'bal'. Did you mean 'ball'?"),
        ({"rule": ["free"]}, "rule: expected one of ball, free; got ['free']. Did you mean 'free'?"),
        ({"name": 3}, "name: expected a string; got 3."),
        ({"sure": 1}, "sure: expected True or False; got 1."),
        ({"model": [1]}, "model: expected a mapping; got [1]."),
    ],
)
def test_wrong_arguments_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check(**given)
    assert str(raised.value) == message


def test_arguments_by_position_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="place: expected a whole number of at least 0; got -1"):
        check(-1)


def test_what_is_allowed_passes() -> None:
    check(
        0, size=None, share=0.75, rate=np.float32(0.1), rule="free", name=None, sure=True, model={}, unknown=object(), other="x"
    )
    check(np.int64(3), size=np.int64(1), share=np.float64(0.5))


def test_bounds_of_numbers() -> None:
    check_bound("step", None, MoreThan(0))
    check_bound("step", 0.1, MoreThan(0))
    with pytest.raises(ConfigurationError, match="step: expected a number above 0; got 0"):
        check_bound("step", 0, MoreThan(0))

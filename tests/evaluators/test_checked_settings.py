from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.checked_settings import check_ranges, check_widths, with_changes


@dataclass(frozen=True)
class Some:
    layers: int = 3
    rate: float = 0.5

    def __post_init__(self) -> None:
        check_ranges(self, {"layers": (1, 10), "rate": (0.0, 1.0)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers: expected a whole number from 1 to 10; got 0."),
        ({"layers": 2.0}, "layers: expected a whole number from 1 to 10; got 2.0."),
        ({"layers": True}, "layers: expected a whole number from 1 to 10; got True."),
        ({"rate": 1.5}, "rate: expected a number from 0.0 to 1.0; got 1.5."),
        ({"rate": "x"}, "rate: expected a number from 0.0 to 1.0; got 'x'."),
        ({"rat": 0.1}, "some: no setting 'rat'. Did you mean 'rate'? Settings: layers, rate."),
    ],
)
def test_wrong_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        with_changes(Some(), "some", changes)
    assert str(error.value) == message


def test_changes_leave_the_rest() -> None:
    assert with_changes(Some(layers=5), "some", {"rate": 1}) == Some(5, 1)


@pytest.mark.parametrize("widths", [[3], (3, 0), (True,), (2.0,), 3])
def test_widths_are_a_tuple_of_positive_whole_numbers(widths: object) -> None:
    check_widths("head", (3, 1))
    with pytest.raises(ConfigurationError, match="head: expected a tuple of positive whole numbers"):
        check_widths("head", widths)

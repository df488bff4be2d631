from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.settings import AtLeast, Between, MoreThan, check_settings, declarations, with_changes


@dataclass(frozen=True)
class Some:
    layers: Annotated[int, Between(1, 10)] = 3
    rate: Annotated[float, Between(0.0, 1.0)] = 0.5
    head: Annotated[tuple[int, ...], AtLeast(1)] = (4,)
    schedule: Literal["cosine", "constant"] = "cosine"
    flip: bool = False
    name: str = ""
    budget: Annotated[float | None, MoreThan(0)] = None

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers: expected a whole number from 1 to 10; got 0."),
        ({"layers": 2.0}, "layers: expected a whole number from 1 to 10; got 2.0."),
        ({"layers": True}, "layers: expected a whole number from 1 to 10; got True."),
        ({"layers": None}, "layers: expected a whole number from 1 to 10; got None."),
        ({"layers": np.int64(3)}, "layers: expected a whole number from 1 to 10; got np.int64(3)."),
        ({"rate": 1.5}, "rate: expected a number from 0.0 to 1.0; got 1.5."),
        ({"rate": float("nan")}, "rate: expected a number from 0.0 to 1.0; got nan."),
        ({"rate": "x"}, "rate: expected a number from 0.0 to 1.0; got 'x'."),
        ({"head": [0]}, "head: expected a tuple of whole numbers of at least 1; got (0,)."),
        ({"head": (3, 0)}, "head: expected a tuple of whole numbers of at least 1; got (3, 0)."),
        ({"head": (True,)}, "head: expected a tuple of whole numbers of at least 1; got (True,)."),
        ({"head": (2.0,)}, "head: expected a tuple of whole numbers of at least 1; got (2.0,)."),
        ({"schedule": "cosin"}, "schedule: expected one of constant, cosine; got 'cosin'. Did you mean 'cosine'?"),
        ({"schedule": [1]}, "schedule: expected one of constant, cosine; got [1]."),
        ({"flip": 1}, "flip: expected True or False; got 1."),
        ({"name": b"a"}, "name: expected a string; got b'a'."),
        ({"budget": 0}, "budget: expected a number above 0, or None; got 0."),
        ({"budget": float("inf")}, "budget: expected a number above 0, or None; got inf."),
        ({"rat": 0.1}, "some: no setting 'rat'. Did you mean 'rate'? Settings: "),
    ],
)
def test_wrong_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        with_changes(Some(), "some", changes)
    assert str(error.value).startswith(message)


def test_a_list_stands_for_a_tuple() -> None:
    assert with_changes(Some(), "some", {"head": [3, 4]}).head == (3, 4)
    with pytest.raises(ConfigurationError, match=r"layers: expected .*; got \[3\]"):
        with_changes(Some(), "some", {"layers": [3]})


def test_changes_leave_the_rest() -> None:
    assert with_changes(Some(layers=5), "some", {"rate": 1, "head": (), "budget": 2}) == Some(5, 1, (), budget=2)


def test_an_annotation_that_cannot_be_checked_is_an_error_of_the_program() -> None:
    @dataclass
    class Odd:
        value: complex = 1j

    with pytest.raises(TypeError, match="no check for the annotation <class 'complex'>"):
        declarations(Odd)

"""Which genes of a space choose operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.places import Places
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201


class OneOperator(NASBench201):
    operators: ClassVar = ("nor_conv_3x3",)

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


@pytest.mark.parametrize(
    ("space", "operators", "wiring"),
    [
        (spaces.get("nasbench201"), 6, 0),
        (spaces.get("nasnet"), 16, 16),
        (Cells(7), 5, 5),
        (spaces.get("enas"), 6, 15),
        (Anytime((2, 1)), 3, 9),
    ],
)
def test_places_are_the_genes_that_choose_an_operator(space: spaces.SearchSpace, operators: int, wiring: int) -> None:
    places = Places.of(space)
    assert (len(places.operators), len(places.wiring)) == (operators, wiring)
    values = list(range(sum(places.sizes)))
    assert [len(part) for part in places.split(values)] == list(places.sizes)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.get("nasbench101"), "in which each gene can be chosen alone; in NASBench101.*gates, gp, ngae"),
        (OneOperator(), "at least two of its operators .nor_conv_3x3.; in OneOperator.. there is only one"),
    ],
)
def test_spaces_without_places_are_refused(space: spaces.SearchSpace, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Places.of(space)

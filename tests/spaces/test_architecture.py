from __future__ import annotations

import dataclasses
import pickle

import pytest

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture, Cell

CELL = Cell(3, ((0, 1), (0, 2), (1, 2)), edge_operators=("conv", "skip", "pool"))


@pytest.mark.parametrize("edge", [(1, 0), (1, 1), (0, 3), (-1, 2)])
def test_edges_that_run_backwards_or_leave_the_cell_are_refused(edge: tuple[int, int]) -> None:
    with pytest.raises(ArchitectureError, match=r"edges: expected pairs source < target below 3"):
        Cell(3, (edge,), edge_operators=("conv",))


def test_operators_must_fit_in_number() -> None:
    with pytest.raises(ArchitectureError, match="node_operators: expected 3 names, one per node; got 2"):
        Cell(3, ((0, 1),), node_operators=("input", "output"))
    with pytest.raises(ArchitectureError, match="edge_operators: expected 1 names, one per edge; got 2"):
        Cell(3, ((0, 1),), edge_operators=("conv", "conv"))


def test_operators_stand_on_nodes_or_on_edges() -> None:
    with pytest.raises(ArchitectureError, match="exactly one of the two"):
        Cell(2, ((0, 1),))
    with pytest.raises(ArchitectureError, match="exactly one of the two"):
        Cell(2, ((0, 1),), ("input", "output"), ("conv",))


def test_an_architecture_is_a_frozen_value() -> None:
    first = Architecture("toy", "a", (CELL,))
    again = Architecture("toy", "a", (Cell(3, ((0, 1), (0, 2), (1, 2)), edge_operators=("conv", "skip", "pool")),))
    assert first == again
    assert len({first, again, pickle.loads(pickle.dumps(first))}) == 1
    assert first != dataclasses.replace(first, space="other")
    assert str(first) == "a"
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.text = "b"  # type: ignore[misc]

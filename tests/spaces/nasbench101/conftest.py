"""All NAS-Bench-101 cells and their keys, for the tests of the space."""

from __future__ import annotations

import pytest

from archsearch.spaces.nasbench101.enumeration import Cells, enumerate_cells
from archsearch.spaces.nasbench101.space import NASBench101


@pytest.fixture(scope="session")
def cells() -> Cells:
    return enumerate_cells()


@pytest.fixture(scope="session")
def keys(cells: Cells) -> list[str]:
    """The key of each of the cells, in their order."""
    space = NASBench101()
    return space.keys(space.encode_adjacency(cells.adjacency, cells.operators))

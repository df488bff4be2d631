"""Which networks a space has: what its samples show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from archsearch.evaluators.ghn.modules import Layout
from archsearch.evaluators.ghn.vocabulary import Vocabulary
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.cells import Cells

_QUIET = 32
_LONGEST = 512


def survey(space: SearchSpace, lay_out: Callable[[Architecture], Layout], sliced: bool) -> Vocabulary:
    """Return the vocabulary of a space: of samples that are drawn until 32 in a row bring nothing new.

    Args:
        space: The space.
        lay_out: Makes the layout of an architecture.
        sliced: The setting `sliced_kernels`.
    """
    rng = np.random.default_rng(0)
    found = Vocabulary()
    quiet = drawn = 0
    while quiet < _QUIET and drawn < _LONGEST:
        wider = found.merged(Vocabulary.of(lay_out(space.sample(rng)), sliced))
        quiet = 0 if wider.names != found.names else quiet + 1
        found, drawn = wider, drawn + 1
    return found


def training_space(space: SearchSpace, nodes: int) -> SearchSpace:
    """Return the space that a hypernetwork is trained on: that of smaller blocks where the space has a choice.

    The paper trains on blocks of 7 nodes and searches among blocks of 17 (section 5.4: the fewer the better).

    Args:
        space: The space to be searched.
        nodes: Nodes of a block in training; 0 takes those of the space.
    """
    if isinstance(space, Cells) and 0 < nodes < space.nodes:
        return Cells(nodes, space.in_degree)
    return space

"""The vocabulary of a graph hypernetwork: node types of a space, and the sorts of parameters that it generates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from archsearch.errors import ArchitectureError
from archsearch.evaluators.ghn.modules import OUTPUT, Layout
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.cells import Cells
from archsearch.spaces.operators import Shape


@dataclass(frozen=True, slots=True)
class Branch:
    """An output of the hypernetwork: one sort of parameter tensors, of any number of channels.

    Args:
        key: Operators and parameter that it serves; see `operator_kind.Want`.
        role: See `operator_kind.Want`.
        extent: Largest shape met: `(out, in, height, width)` of a kernel, `(out, in)` of a matrix, `(channels,)` of a vector.
    """

    key: str
    role: str
    extent: Shape


@dataclass(frozen=True)
class Vocabulary:
    """Node types and outputs, in a fixed order.

    Args:
        kinds: Node types, sorted.
        branches: Outputs of the hypernetwork, sorted by key.
        num_modules: Most modules of a network.
        num_nodes: Nodes of the largest module.
        gene_sizes: Number of alternatives of each gene, where genotypes are read; see the setting `encoder`.
    """

    kinds: tuple[str, ...] = ()
    branches: tuple[Branch, ...] = ()
    num_modules: int = 0
    num_nodes: int = 0
    gene_sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, layout: Layout, sliced: bool) -> Vocabulary:
        """Return the vocabulary of a network; `sliced` is the setting `sliced_kernels`."""
        kinds = {OUTPUT, *(kind for module in layout.modules for kind in module.kinds)}
        wants = {want for owner in layout.owners.values() for want in owner.type.wants(sliced)}
        branches = [Branch(want.key, want.role, want.shape) for want in wants]
        return cls((), (), len(layout.modules), layout.num_nodes)._with(kinds, branches)

    def merged(self, other: Vocabulary) -> Vocabulary:
        """Return a vocabulary of the networks of both."""
        modules, nodes = max(self.num_modules, other.num_modules), max(self.num_nodes, other.num_nodes)
        return replace(self, num_modules=modules, num_nodes=nodes)._with(other.kinds, other.branches)

    def _with(self, kinds: Iterable[str], branches: Iterable[Branch]) -> Vocabulary:
        found = {branch.key: branch for branch in self.branches}
        for branch in branches:
            extent = found[branch.key].extent if branch.key in found else branch.extent
            found[branch.key] = replace(branch, extent=tuple(map(max, extent, branch.extent)))
        return replace(self, kinds=tuple(sorted({*self.kinds, *kinds})), branches=tuple(found[key] for key in sorted(found)))

    @property
    def names(self) -> tuple[str, ...]:
        """Node types and keys of outputs."""
        return (*self.kinds, *(branch.key for branch in self.branches))

    def check(self, layout: Layout) -> None:
        """Raise ArchitectureError unless all operators of a network are in the vocabulary.

        Raises:
            ArchitectureError: It has an operator of another type.
        """
        for module in layout.modules:
            if not self._known.issuperset(module.kinds):
                [kind, *_] = set(module.kinds) - self._known
                raise ArchitectureError(
                    f"architecture: expected the operators that the hypernetwork was made for; got {kind!r}. "
                    "Train one on a space that has this operator."
                )

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.kinds)

    def state(self) -> dict[str, Any]:
        """Return the vocabulary as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary that `state` came from."""
        branches = tuple(Branch(each["key"], each["role"], tuple(each["extent"])) for each in state["branches"])
        sizes = tuple(state.get("gene_sizes", ()))  # states of earlier versions have none
        return cls(tuple(state["kinds"]), branches, state["num_modules"], state["num_nodes"], sizes)


_QUIET = 32
_LONGEST = 512


def survey(space: SearchSpace, lay_out: Callable[[Architecture], Layout], sliced: bool) -> Vocabulary:
    """Return the vocabulary of a space, from samples drawn until 32 in a row add nothing new.

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

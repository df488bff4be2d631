"""Graphs of several candidates as the padded tensors that a graph hypernetwork reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.evaluators.ghn.modules import Layout, Module
from archsearch.evaluators.ghn.operator_kind import SCALE, SHIFT, Want
from archsearch.evaluators.ghn.vocabulary import Vocabulary
from archsearch.spaces.operators import Shape


@dataclass(frozen=True, eq=False)
class ModuleTensors:
    """One module of each of A candidates, padded to N nodes at the end.

    Args:
        kinds: `[A, N]` int64, indices into the vocabulary.
        positions: `[2, A, N]` int64; see `Module`.
        reads: `[A, N, N]` float; `reads[a, v, u]` is 1 where node v reads node u.
        edges: `[N, N]` bool, where some candidate's `reads` is 1, on the host.
        reaches: `[A, N, N]` float64, 1 / d where the shortest path from u to v has d edges, 1 < d <= the setting
            `virtual_edges`; None without virtual edges.
        sources: `[A, N, 1]` bool, nodes that read no other of the module.
        sizes: Nodes of each candidate, the output included; 0 where it has no such module.
        lengths: `[A, 1]` int64, the same on the device.
        first_blocks: `[A, 1]` bool, candidates of which this is the first module that repeats.
    """

    kinds: Tensor
    positions: Tensor
    reads: Tensor
    edges: NDArray[np.bool_]
    reaches: Tensor | None
    sources: Tensor
    sizes: tuple[int, ...]
    lengths: Tensor
    first_blocks: Tensor

    @property
    def num_nodes(self) -> int:
        """Nodes of the largest graph, N."""
        return self.kinds.shape[1]

    @property
    def is_padded(self) -> bool:
        """Whether some candidate has fewer nodes."""
        return min(self.sizes) < self.num_nodes


@dataclass(frozen=True, eq=False)
class Request:
    """Parameter tensors of one shape that one branch generates.

    Args:
        branch: Number of the branch.
        shape: Shape of each tensor.
        rows: `[tensors]` int64, the node of each tensor, as a row of the states of all modules.
        fixed: Whether they are constant, scales of 1 and shifts of 0; see the setting `affine`.
    """

    branch: int
    shape: Shape
    rows: Tensor
    fixed: bool = False

    @property
    def numel(self) -> int:
        """Number of elements of all tensors together."""
        return len(self.rows) * math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class GraphTensors:
    """The graphs of A candidates and the parameters that they need.

    Args:
        size: Number of candidates, A.
        modules: Their modules in order.
        requests: The parameters to make, in the order of the flat buffer.
        places: For each candidate and each of its parameters `(name, request, row in the request)`, in the operator's order.
        genes: `[A, genes]` int64, their genotypes; no columns where nothing reads them.
    """

    size: int
    modules: tuple[ModuleTensors, ...]
    requests: tuple[Request, ...]
    places: tuple[tuple[tuple[str, int, int], ...], ...]
    genes: Tensor


def graph_tensors(
    layouts: Sequence[Layout], vocabulary: Vocabulary, *, virtual_edges: int, sliced: bool, fixed: bool, device: torch.device
) -> GraphTensors:
    """Return candidates as tensors on a device; `fixed` says whether scales and shifts of normalisations are constant.

    Raises:
        ArchitectureError: A network has an operator that the vocabulary lacks.
    """
    for layout in layouts:
        vocabulary.check(layout)
    depth = max(len(layout.modules) for layout in layouts)
    kinds = {name: index for index, name in enumerate(vocabulary.kinds)}
    modules, starts, start = [], [], 0
    for number in range(depth):
        column = [layout.modules[number] if number < len(layout.modules) else None for layout in layouts]
        first_blocks = [layout.first_block == number for layout in layouts]
        modules.append(_module_tensors(column, first_blocks, kinds, virtual_edges, device))
        starts.append(start)
        start += modules[-1].kinds.numel()
    requests, places = _requests(layouts, vocabulary, sliced, fixed, starts, [module.num_nodes for module in modules], device)
    genes = torch.tensor([layout.genes for layout in layouts], dtype=torch.int64, device=device).view(len(layouts), -1)
    return GraphTensors(len(layouts), tuple(modules), requests, places, genes)


def _requests(
    layouts: Sequence[Layout],
    vocabulary: Vocabulary,
    sliced: bool,
    fixed: bool,
    starts: Sequence[int],
    widths: Sequence[int],
    device: torch.device,
) -> tuple[tuple[Request, ...], tuple[tuple[tuple[str, int, int], ...], ...]]:
    """Group the parameters of all candidates by branch and shape."""
    branches = {branch.key: index for index, branch in enumerate(vocabulary.branches)}
    groups: dict[tuple[str, Shape], tuple[int, list[int]]] = {}
    of_want: dict[Want, tuple[int, list[int]]] = {}
    places = []
    for candidate, layout in enumerate(layouts):
        found = []
        for name, owner in layout.owners.items():
            row = starts[owner.module] + candidate * widths[owner.module] + owner.node
            for want in owner.type.wants(sliced):
                group = of_want.get(want)
                if group is None:
                    group = of_want[want] = groups.setdefault((want.key, want.shape), (len(groups), []))
                number, rows = group
                found.append((name, number, len(rows)))
                rows.append(row)
        places.append(tuple(found))
    constant = {branch.key for branch in vocabulary.branches if fixed and branch.role in (SCALE, SHIFT)}
    requests = [
        Request(branches[key], shape, torch.tensor(rows, device=device), key in constant)
        for (key, shape), (_, rows) in groups.items()
    ]
    return tuple(requests), tuple(places)


def _module_tensors(
    column: Sequence[Module | None],
    first_blocks: Sequence[bool],
    kinds: dict[str, int],
    virtual_edges: int,
    device: torch.device,
) -> ModuleTensors:
    sizes = tuple(len(module.kinds) if module else 0 for module in column)
    batch, nodes = len(column), max(sizes)
    types = np.full((batch, nodes), len(kinds), dtype=np.int64)
    positions = np.zeros((2, batch, nodes), dtype=np.int64)
    edges = np.zeros((batch, nodes, nodes), dtype=bool)
    reaches = np.zeros((batch, nodes, nodes)) if virtual_edges else None
    for row, module in enumerate(column):
        if module is None:
            continue
        size = sizes[row]
        types[row, :size] = [kinds[kind] for kind in module.kinds]
        positions[:, row, :size] = module.positions
        edges[row, :size, :size] = module.adjacency.T
        if reaches is not None:
            reaches[row, :size, :size] = _inverse_distances(module.adjacency, virtual_edges).T
    return ModuleTensors(
        torch.from_numpy(types).to(device),
        torch.from_numpy(positions).to(device),
        torch.from_numpy(edges).to(device, torch.float32),
        np.logical_or.reduce(edges),
        None if reaches is None else torch.from_numpy(reaches).to(device),
        torch.from_numpy(~edges.any(2, keepdims=True)).to(device),
        sizes,
        torch.tensor(sizes, device=device)[:, None],
        torch.tensor(first_blocks, device=device)[:, None],
    )


def _inverse_distances(adjacency: NDArray[np.bool_], longest: int) -> NDArray[np.float64]:
    """Return 1 / d for pairs at a distance d of 2 to `longest` edges, 0 for others."""
    steps = adjacency.astype(np.int64)
    seen, front = adjacency.copy(), steps
    found = np.zeros(adjacency.shape)
    for distance in range(2, min(longest, len(adjacency)) + 1):
        front = ((front @ steps) > 0).astype(np.int64)
        new = (front > 0) & ~seen
        found[new] = 1.0 / distance
        seen |= new
    return found

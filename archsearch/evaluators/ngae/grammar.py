"""Rules of the graphs of a space, learned from random architectures, which restrict a decoder to valid graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.evaluators.ngae.graphs import ABSENT, Graphs, from_batch
from archsearch.spaces import SearchSpace

_SAMPLES = 3000
_EVIDENCE = 20  # a rule holds if this many graphs could break it and none does
_RARE = 0.01  # a bound counts if at least this share of graphs reaches it


@dataclass(frozen=True)
class Grammar:
    """The types and edges that a decoder may generate at each place.

    The decisions left to a decoder are the types of vertices that differ between graphs, and the edges that are `free`. The
    method `decode` of the space decides whether a graph is valid.

    Args:
        types: `[cells, vertices, types]` bool: the types that a vertex may have.
        forced: `[cells, vertices, vertices]` bool: edges that are there whenever both ends are.
        free: Likewise: edges that some graphs have and others lack.
        fewest: `[cells, vertices]` int64: smallest number of edges that end at a vertex.
        most: Likewise, the largest number.
        collects: `[cells, vertices]` bool: whether the output reads the vertex if no other does.
        exclusive: Likewise: whether it reads the vertex only then.
        budget: `[cells]` int64: largest number of edges of a graph.
    """

    types: Tensor
    forced: Tensor
    free: Tensor
    fewest: Tensor
    most: Tensor
    collects: Tensor
    exclusive: Tensor
    budget: Tensor

    @property
    def cells(self) -> int:
        """Cells of an architecture."""
        return self.types.shape[0]

    @property
    def vertices(self) -> int:
        """Vertices of a cell, absent ones included."""
        return self.types.shape[1]

    @property
    def num_types(self) -> int:
        """Types of vertices, `ABSENT` included."""
        return self.types.shape[2]

    def to(self, device: torch.device) -> Grammar:
        """Return the rules on a device."""
        return Grammar(**{name: value.to(device) for name, value in vars(self).items()})

    def state(self) -> dict[str, Tensor]:
        """Return the rules by name."""
        return dict(vars(self))

    @classmethod
    def of(cls, space: SearchSpace, seed: int = 0, samples: int = _SAMPLES) -> Grammar:
        """Return the rules of a space, inferred from random architectures.

        Args:
            space: The space.
            seed: Seed of the architectures.
            samples: Number of architectures.
        """
        rng = np.random.default_rng(seed)
        batch = space.encode([space.sample(rng) for _ in range(samples)])
        graphs = from_batch(batch, batch.operators.shape[2])
        types, edges = graphs.types.numpy(), graphs.edges.numpy()
        parts = [_cell_rules(types[:, cell], edges[:, cell], space) for cell in range(types.shape[1])]
        return cls(**{name: torch.from_numpy(np.stack([part[name] for part in parts])) for name in parts[0]})

    def widened(self, graphs: Graphs) -> Grammar:
        """Return rules that also allow `graphs`, since random architectures may lack rare types and edges."""
        cells, vertices = torch.arange(self.cells)[:, None], torch.arange(self.vertices)
        types, forced, free = self.types.clone(), self.forced.clone(), self.free.clone()
        types[cells, vertices, graphs.types] = True
        there = graphs.types != ABSENT
        missing = (there[..., :, None] & there[..., None, :] & ~graphs.edges).any(dim=0)
        free |= (forced & missing) | (~forced & graphs.edges.any(dim=0))
        degrees, numbers = graphs.edges.sum(dim=2), graphs.edges.sum(dim=(2, 3))
        return replace(
            self,
            types=types,
            forced=forced & ~free,
            free=free,
            fewest=torch.minimum(self.fewest, torch.where(there, degrees, self.vertices).amin(dim=0)),
            most=torch.maximum(self.most, degrees.amax(dim=0)),
            budget=torch.maximum(self.budget, numbers.amax(dim=0)),
        )

    def decided(self, graphs: Graphs) -> Tensor:
        """Return whether the rules decide each edge, given all edges before it, `[batch, cells, vertices, vertices]` bool."""
        there = graphs.types != ABSENT
        decided = ~self.free | ~there[..., :, None] | ~there[..., None, :]
        loose = ~graphs.edges[..., :-1].any(dim=-1)
        decided[..., -1] |= (loose & self.collects) | (~loose & self.exclusive)
        return decided


def _cell_rules(types: NDArray[np.int64], edges: NDArray[np.bool_], space: SearchSpace) -> dict[str, NDArray[Any]]:
    """Return the rules of a cell: types `[batch, vertices]`, edges `[batch, vertices, vertices]`."""
    vertices = types.shape[1]
    there = types != ABSENT
    both = there[:, :, None] & there[:, None, :]
    seen, chances = edges.sum(axis=0), both.sum(axis=0)
    before = np.triu(np.ones((vertices, vertices), dtype=bool), 1)
    certain = chances >= _EVIDENCE
    forced = before & certain & (seen == chances)
    free = before & ~forced & ~(certain & (seen == 0))
    fewest, most = _in_degrees(edges.sum(axis=1), there, space.num_inputs)
    collects, exclusive = _output_rules(edges, there, space.num_inputs)
    free[:-1, -1] |= collects[:-1] & ~forced[:-1].any(axis=1)  # a vertex that was always read may be unread
    return {
        "types": _types(types, there, len(space.vocabulary) + 1),
        "forced": forced,
        "free": free,
        "fewest": fewest,
        "most": most,
        "collects": collects,
        "exclusive": exclusive,
        "budget": _budget(edges.sum(axis=(1, 2)), otherwise=vertices**2),
    }


def _types(types: NDArray[np.int64], there: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return the types of each vertex; vertices that some graphs lack share theirs, as each alone is seen too rarely."""
    allowed = np.stack([np.bincount(types[:, vertex], minlength=count) > 0 for vertex in range(types.shape[1])])
    sometimes = ~there.all(axis=0) & there.any(axis=0)
    allowed[sometimes] |= allowed[sometimes].any(axis=0)
    return allowed


def _in_degrees(degrees: NDArray[np.int64], there: NDArray[np.bool_], inputs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and largest in-degree of each vertex; the rules of the output are separate."""
    vertices = degrees.shape[1]
    fewest, most = np.zeros(vertices, dtype=np.int64), np.full(vertices, vertices, dtype=np.int64)
    for vertex in range(inputs, vertices - 1):
        found = degrees[there[:, vertex], vertex]
        fewest[vertex] = _reached(found, most=False, otherwise=1)
        most[vertex] = _reached(found, most=True, otherwise=vertices)
    return fewest, most


def _output_rules(edges: NDArray[np.bool_], there: NDArray[np.bool_], inputs: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether the output reads each vertex that no other reads, and whether it reads only such vertices.

    One answer holds for all vertices but the inputs, and one for the inputs. Where inputs are too rarely unread to show theirs,
    and no graph contradicts it, they take that of the others.
    """
    read = np.asarray(edges[:, :, :-1].any(axis=2))
    at_output = edges[:, :, -1]
    vertices = edges.shape[1]
    collects, exclusive = np.zeros(vertices, dtype=bool), np.zeros(vertices, dtype=bool)
    others_collect = False
    for kind in (slice(inputs, vertices - 1), slice(0, inputs)):
        reads = at_output[:, kind]
        loose, others = there[:, kind] & ~read[:, kind], there[:, kind] & read[:, kind]
        others_collect = bool((loose.sum() >= _EVIDENCE or others_collect) and not (loose & ~reads).any())
        collects[kind] = others_collect
        exclusive[kind] = bool(others.sum() >= _EVIDENCE and not (others & reads).any())
    return collects, exclusive


def _budget(numbers: NDArray[np.int64], otherwise: int) -> np.int64:
    """Return the largest number of edges of a graph; no limit if all have one number, which the other rules then imply."""
    return np.int64(otherwise) if numbers.min() == numbers.max() else _reached(numbers, most=True, otherwise=otherwise)


def _reached(values: NDArray[np.int64], *, most: bool, otherwise: int) -> np.int64:
    """Return the largest or smallest of values if a share of at least `_RARE` reaches it, as a bound; else `otherwise`."""
    if len(values) < 1 / _RARE:
        return np.int64(otherwise)
    bound = values.max() if most else values.min()
    return np.int64(bound if np.mean(values == bound) >= _RARE else otherwise)

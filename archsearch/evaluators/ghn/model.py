"""The graph hypernetwork as a module: from the graphs of candidates to the parameters of their networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archsearch.evaluators.ghn.flat_encoder import FlatEncoder
from archsearch.evaluators.ghn.graph_tensors import GraphTensors
from archsearch.evaluators.ghn.hypernetwork import Hypernetwork
from archsearch.evaluators.ghn.propagation import Propagator, mean_states
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import Vocabulary

_POSITIONS = 8


class GraphHyperNetwork(nn.Module):
    """Makes the parameters `w_v = H(h_v^T)` of each node v of each candidate (GHN paper, equations 8 to 14).

    The first state `h_v^0` is an embedding of the type of the operator (and of its map size and stride, with `positions`);
    `propagation` makes `h_v^T` from it. With the flat encoder of SMASH there are no messages: see `FlatEncoder`.

    Args:
        vocabulary: Node types and outputs.
        settings: Sizes.
        generator: Source of the initial weights, on the CPU.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        self.vocabulary, self.settings = vocabulary, settings
        # The last row is for padding.
        self.kinds = nn.Parameter(torch.randn((len(vocabulary.kinds) + 1, settings.hidden), generator=generator))
        self.positions = (
            nn.Parameter(torch.randn((2, _POSITIONS, settings.hidden), generator=generator)) if settings.positions else None
        )
        flat = settings.encoder == "flat"
        number = 0 if flat else vocabulary.num_modules if settings.stacking == "separate" else 1
        self.propagators = nn.ModuleList(Propagator(settings, generator) for _ in range(number))
        self.flat_encoder = FlatEncoder(vocabulary, settings, generator) if flat else None
        self.hypernetwork = Hypernetwork(vocabulary, settings, generator)

    def forward(self, tensors: GraphTensors) -> Tensor:
        """Return the parameters of all candidates as one flat buffer; see `Weights`."""
        flat: Tensor = self.hypernetwork(self.states(tensors), tensors)
        return flat

    def states(self, tensors: GraphTensors) -> Tensor:
        """Return the last states of the nodes of all modules, `[nodes, hidden]`, padding included."""
        code = None if self.flat_encoder is None else self.flat_encoder(tensors.genes)
        passed = torch.zeros((tensors.size, self.settings.hidden), dtype=self.kinds.dtype, device=self.kinds.device)
        weights, found = [propagator.phase_weights() for propagator in self.propagators], []  # type: ignore[operator]
        for number, (module, first) in enumerate(zip(tensors.modules, self._first_states(tensors), strict=True)):
            if self.flat_encoder is not None and code is not None:
                found.append((first + self.flat_encoder.place(number, module.num_nodes) + code[:, None]).flatten(0, 1))
                continue
            if not self.settings.passes_stem:
                passed = torch.where(module.first_blocks, 0.0, passed)
            place = min(number, len(self.propagators) - 1)
            states = self.propagators[place](module, first, passed, weights[place])
            if self.settings.passing:
                passed = mean_states(module, states, passed)
            found.append(states.flatten(0, 1))
        return torch.cat(found)

    def _first_states(self, tensors: GraphTensors) -> list[Tensor]:
        """Return the first states of the nodes of each module, `[A, N, hidden]`."""
        found = nn.functional.embedding(torch.cat([module.kinds.flatten() for module in tensors.modules]), self.kinds)
        if self.positions is not None:
            places = torch.cat([module.positions.flatten(1) for module in tensors.modules], dim=1)
            for table, at in zip(self.positions, places, strict=True):
                found = found + nn.functional.embedding(at, table)
        sizes = [module.kinds.numel() for module in tensors.modules]
        pairs = zip(found.split(sizes), tensors.modules, strict=True)
        return [part.view(*module.kinds.shape, -1) for part, module in pairs]


@dataclass(frozen=True, eq=False)
class Weights:
    """Generated parameters of some candidates.

    Args:
        flat: All of them in one buffer.
        candidates: For each candidate its parameters by the name of their step, views of the buffer.
    """

    flat: Tensor
    candidates: tuple[Mapping[str, tuple[Tensor, ...]], ...]


def views(flat: Tensor, tensors: GraphTensors) -> Weights:
    """Return the parameters of each candidate as views of the flat buffer that `GraphHyperNetwork` returns."""
    sizes = [request.numel for request in tensors.requests]
    parts = [
        (part.detach() if request.fixed else part).view(-1, *request.shape).unbind(0)
        for part, request in zip(flat.split(sizes), tensors.requests, strict=True)
    ]
    candidates = []
    for places in tensors.places:
        found: dict[str, tuple[Tensor, ...]] = {}
        for name, request, row in places:
            found[name] = (*found.get(name, ()), parts[request][row])
        candidates.append(found)
    return Weights(flat, tuple(candidates))

"""The hypernetwork H, which maps the state of a node to the parameters of its operator.

C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, section 3: `w_v = H(h_v)`. Here

    H(h) = W_2 relu(W_1 h + b_1 + e_out + e_in) + b_2

where each sort of parameters has its `W_2` and `b_2`, and `e_out` and `e_in` are embeddings of a tile's index along the output
and input channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from archsearch.evaluators.ghn.graph_tensors import GraphTensors, Request
from archsearch.evaluators.ghn.operator_kind import SCALE, WEIGHT
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import Branch, Vocabulary
from archsearch.spaces.operators import Shape

_MAX_TILES = 64
_CACHED = 1 << 18  # parameters


class Hypernetwork(nn.Module):
    """The network H: a first layer shared by all nodes, and an output layer for each sort of parameter.

    An output layer makes kernels of a fixed size, `tile x tile` channels with the largest kernel of its sort. Tensors with fewer
    channels and smaller kernels are slices of these; tensors with more channels are several of them side by side (GHN paper,
    section 3), each made with an embedding of its index.

    Args:
        vocabulary: The outputs.
        settings: Widths, tiles and scales.
        generator: Source of the initial weights.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        self.settings, self.branches = settings, vocabulary.branches
        inputs, width = settings.hidden, settings.width

        def normal(*shape: int, deviation: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator) * deviation)

        self.first_weight = normal(width, inputs, deviation=1.0 / math.sqrt(inputs))
        self.first_bias = nn.Parameter(torch.zeros(width))
        self.out_tiles = normal(_MAX_TILES, width, deviation=0.5) if settings.distinct_tiles else None
        self.in_tiles = normal(_MAX_TILES, width, deviation=0.5) if settings.distinct_tiles else None
        kernels = [_tile(branch, settings.tile) for branch in self.branches]
        # Hidden units are rectified, so half of their variance is lost: the outputs begin with a variance of 1.
        self.weights = nn.ParameterList(normal(width, *kernel, deviation=math.sqrt(2.0 / width)) for kernel in kernels)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(kernel)) for kernel in kernels)

    def forward(self, states: Tensor, tensors: GraphTensors) -> Tensor:
        """Return the requested parameters in one flat buffer, `[tensors, *shape]` a request, one after the other.

        Args:
            states: States of all nodes of all modules, `[nodes, hidden]`.
            tensors: Graphs with the requests.
        """
        if self.settings.normalised_states:
            states = nn.functional.layer_norm(states, states.shape[-1:])
        hidden = nn.functional.linear(states, self.first_weight, self.first_bias)
        if torch.is_grad_enabled():
            return torch.cat([self._made(request, hidden[request.rows]).flatten() for request in tensors.requests])
        flat = hidden.new_empty(sum(request.numel for request in tensors.requests))
        parts = flat.split([request.numel for request in tensors.requests])
        for request, part in zip(tensors.requests, parts, strict=True):
            # Parameters of a few rows are still in the CPU cache when they are copied into the buffer.
            numel = math.prod(request.shape)
            rows = max(1, _CACHED // numel)
            for chunk, target in zip(request.rows.split(rows), part.split(rows * numel), strict=True):
                made = self._made(request, hidden[chunk])
                target.view(made.shape).copy_(made)
        return flat

    def _made(self, request: Request, hidden: Tensor) -> Tensor:
        """Return the tensors of a request, elements in the order of `[tensors, *shape]`; an axis may be split into two."""
        branch, shape = self.branches[request.branch], request.shape
        weight, bias = self.weights[request.branch], self.biases[request.branch]
        if request.fixed:
            return hidden.new_full((len(hidden), *shape), float(branch.role == SCALE))
        kernel = tuple(bias.shape)
        counts = tuple(-(-size // tile) for size, tile in zip(shape[:2], kernel[:2], strict=True))
        # Channels that would be sliced off are not computed, except in the last of several tiles.
        cut = tuple(min(size, tile) for size, tile in zip(shape[:2], kernel[:2], strict=True))
        cuts = (*(slice(0, size) for size in cut), *_middle(kernel[2:], shape[2:]))
        weight, bias = weight[(slice(None), *cuts)], bias[cuts]
        tiles = self._tiled(hidden, counts).relu()
        if self.settings.fan_in and branch.role == WEIGHT:
            scale = fan_in_scale(shape)
            tiles, bias = tiles * scale, bias * scale
        made = torch.addmm(bias.flatten(), tiles.flatten(0, -2), weight.flatten(1))
        joined = _joined(made.view(*tiles.shape[:-1], *bias.shape), len(cut), shape)
        return joined if branch.role == WEIGHT or not self.settings.fan_in else _affine(joined, branch.role)

    def _tiled(self, hidden: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return hidden units before the rectifier, `[tensors, *counts, width]`."""
        for axis, (count, table) in enumerate(zip(counts, (self.out_tiles, self.in_tiles), strict=False)):
            hidden = hidden.unsqueeze(1 + axis)
            if table is None:
                hidden = hidden.expand(*hidden.shape[: 1 + axis], count, -1)
            else:
                hidden = hidden + (table[:count] if count <= _MAX_TILES else table.repeat(-(-count // _MAX_TILES), 1)[:count])
        return hidden


def fan_in_scale(shape: Shape) -> float:
    """Return sqrt(beta / fan-in): beta is 2, or 1 for depthwise kernels, `1 x k` ones and matrices (GHN-2)."""
    fan_in = math.prod(shape[1:])
    line = len(shape) == 4 and (shape[2] == 1) != (shape[3] == 1)
    return math.sqrt((1.0 if shape[1] == 1 or line or len(shape) == 2 else 2.0) / fan_in)


def _tile(branch: Branch, tile: int) -> Shape:
    return (*(min(size, tile) for size in branch.extent[:2]), *branch.extent[2:])


def _middle(kernel: Shape, part: Shape) -> tuple[slice, ...]:
    """Return the slices that cut a smaller kernel out of the middle of a larger one."""
    starts = [(size - wanted) // 2 for size, wanted in zip(kernel, part, strict=True)]
    return tuple(slice(start, start + wanted) for start, wanted in zip(starts, part, strict=True))


def _joined(tiles: Tensor, axes: int, shape: Shape) -> Tensor:
    """Reorder tiles into the tensors that they make up.

    Args:
        tiles: `[tensors, counts of 1 or 2 axes, sizes of the same axes, *kernel]`.
        axes: Number of axes that are tiled.
        shape: Shape of a tensor; the excess of the last tiles is cut off.

    Returns:
        A view with each axis split into count and size where nothing is cut off, otherwise `[tensors, *shape]`.
    """
    ordered = tiles if axes == 1 else tiles.transpose(2, 3)
    sizes = [
        count * size for count, size in zip(ordered.shape[1 : 1 + 2 * axes : 2], ordered.shape[2 : 2 + 2 * axes : 2], strict=True)
    ]
    if tuple(sizes) == shape[:axes]:
        return ordered
    if axes == 1:
        return ordered.flatten(1, 2)[:, : shape[0]]
    return ordered.flatten(3, 4).flatten(1, 2)[:, : shape[0], : shape[1]]


def _affine(values: Tensor, role: str) -> Tensor:
    """Return scales near 1 and shifts near 0 (GHN-2: `2 sigmoid(p / 2)` and `tanh(p / 5)`)."""
    return 2.0 * torch.sigmoid(0.5 * values) if role == SCALE else torch.tanh(0.2 * values)

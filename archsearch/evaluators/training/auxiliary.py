"""The auxiliary classifier, at two thirds of the depth, that a network has in training only.

C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; in this form in B. Zoph et al., "Learning Transferable
Architectures for Scalable Image Recognition", CVPR 2018, and H. Liu, K. Simonyan, Y. Yang, "DARTS", ICLR 2019 (`cnn/model.py` of
the published programs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.spaces.network import Network, OperatorModule, take_side_by_side
from archsearch.spaces.operators import BatchNorm, Chain, Convolution, Linear, Operator, ReLU, Shape, Tensors
from archsearch.spaces.plan import Plan, Step

_NAME = "auxiliary"
_SIDE, _MIDDLE, _WIDE = 2, 128, 768
_DEPTH, _NEAR_THE_END = 2 / 3, 0.9
# The place of the classifier does not depend on the size of the images, which a training does not know when it begins.
_NOMINAL_SIDE = 256


@dataclass(frozen=True)
class WindowMeans(Operator):
    """Means over `2 x 2` windows that cover the map: `[batch, channels, 2, 2]`.

    Maps of 6 to 10 positions a side have windows of 5 x 5, as DARTS has for 8 and 7; others have windows that do not overlap.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], _SIDE, _SIDE)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        height, width = inputs[0].shape[2:]
        if height == width and 6 <= height <= 10:
            return F.avg_pool2d(inputs[0], 5, height - 5)
        return F.adaptive_avg_pool2d(inputs[0], _SIDE)


@dataclass(frozen=True)
class Flatten(Operator):
    """All positions side by side: `[batch, channels * height * width]`."""

    def output_shape(self, *inputs: Shape) -> Shape:
        channels, height, width = inputs[0]
        return (channels * height * width,)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return inputs[0].flatten(1)


def auxiliary_classifier(channels: int, classes: int, replicas: int = 1) -> Chain:
    """Return the classifier: means, a convolution to 128 channels, one over all positions to 768 (a linear layer here), logits.

    Args:
        channels: Channels of the feature map that it reads, in one replica.
        classes: Number of classes.
        replicas: Number of replicas in the network.
    """
    return Chain(
        (
            ("active", ReLU()),
            ("means", WindowMeans()),
            ("middle", Convolution(channels, _MIDDLE, (1, 1), replicas=replicas)),
            ("middle_norm", BatchNorm(_MIDDLE, replicas=replicas)),
            ("middle_active", ReLU()),
            ("positions", Flatten()),
            ("wide", Linear(_MIDDLE * _SIDE * _SIDE, _WIDE, replicas)),
            ("wide_norm", BatchNorm(_WIDE, replicas=replicas)),
            ("wide_active", ReLU()),
            ("logits", Linear(_WIDE, classes, replicas)),
        )
    )


def add_auxiliary(network: Network, generators: Sequence[torch.Generator]) -> Plan:
    """Add the parameters of an auxiliary classifier to a network, and return the plan whose last exit it is.

    The network's own plan stays as it is. A network with several exits gets none: it has classifiers at several depths already.

    Args:
        network: Network with one exit.
        generators: Source of the initial weights, one for each replica in the network.
    """
    plan, replicas = network.plan, len(generators)
    if len(plan.outputs) > 1:
        return plan
    shapes = plan.shapes((plan.in_channels, _NOMINAL_SIDE, _NOMINAL_SIDE))
    slot = auxiliary_place(plan)
    sizes = shapes[slot][0] // replicas, shapes[plan.outputs[0]][0] // replicas
    module = OperatorModule(auxiliary_classifier(*sizes, replicas), torch.Generator())
    take_side_by_side(module, [OperatorModule(auxiliary_classifier(*sizes), generator) for generator in generators])
    network.steps[_NAME] = module.to(next(network.parameters()).device)
    step = Step(_NAME, module.operator, (slot,))
    return replace(plan, steps=(*plan.steps, step), outputs=(*plan.outputs, len(plan.steps) + 1))


def remove_auxiliary(network: Network) -> None:
    """Remove the parameters of the auxiliary classifier from a network, if it has one."""
    if _NAME in network.steps:
        del network.steps[_NAME]


def auxiliary_place(plan: Plan) -> int:
    """Return the slot that the auxiliary classifier of a network reads.

    It is the first one at two thirds of the longest path to the last map, or later, that has the shape of the last map. One that
    all later steps go through is preferred, such as the output of a cell, unless it is near the end.
    """
    shapes = plan.shapes((plan.in_channels, _NOMINAL_SIDE, _NOMINAL_SIDE))
    depth, alive, passages = {0: 0}, {0}, set()
    for slot, step, finished in plan.live_steps:
        depth[slot] = 1 + max((depth[source] for source in step.inputs), default=0)
        alive = (alive - set(finished)) | {slot}
        if alive == {slot}:
            passages.add(slot)
    maps = [slot for slot in depth if len(shapes[slot]) == 3]
    last = maps[-1]
    fit = [slot for slot in maps if shapes[slot] == shapes[last] and depth[slot] >= _DEPTH * depth[last]]
    through = [slot for slot in fit if slot in passages and depth[slot] < _NEAR_THE_END * depth[last]]
    return min(through or fit, key=lambda slot: depth[slot])

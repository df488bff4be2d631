"""Ensembles with exits: networks executed one after the other, each exit the mean prediction so far.

G. Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, section 5: ensembles of
networks as a baseline of anytime prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import Operator, Shape, Tensors
from archsearch.spaces.plan import Plan, Step


@dataclass(frozen=True)
class MeanPrediction(Operator):
    """The logarithm of the mean of softmaxes, `log((softmax(x_1) + ... + softmax(x_n)) / n)`; in training the last input.

    So each network of an ensemble has its own loss in training, and learns as it would alone.

    Shapes:
        inputs and output `[batch, classes]`.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[-1]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        if training:
            return inputs[-1]
        return torch.stack([logits.float().log_softmax(1) for logits in inputs]).logsumexp(0) - math.log(len(inputs))


def ensemble_plan(members: Sequence[Plan]) -> Plan:
    """Return a network whose k-th exit is the mean prediction of the first k members.

    Args:
        members: Networks with one exit each, for the same images and classes, in the order of execution.

    Raises:
        ConfigurationError: There is no member, one has several exits, or they differ in the channels of the images.
    """
    if not members:
        raise ConfigurationError("members: expected at least one network; got none.")
    if several := [len(member.outputs) for member in members if len(member.outputs) != 1]:
        raise ConfigurationError(f"members: expected networks with one exit; got one with {several[0]}.")
    if len(channels := {member.in_channels for member in members}) > 1:
        raise ConfigurationError(f"members: expected networks for the same images; got channels {sorted(channels)}.")
    steps: list[Step] = []
    answers: list[int] = []
    outputs: list[int] = []
    for number, member in enumerate(members):
        shift = len(steps)
        for step in member.steps:
            inputs = tuple(slot + shift if slot else 0 for slot in step.inputs)
            steps.append(Step(f"net{number}_{step.name}", step.operator, inputs))
        answers.append(member.outputs[0] + shift)
        steps.append(Step(f"exit{number}", MeanPrediction(), tuple(answers)))
        outputs.append(len(steps))
    return Plan(members[0].in_channels, tuple(steps), tuple(outputs))

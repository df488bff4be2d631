"""Ensembles with exits: networks executed one after the other, each exit the mean prediction so far.

G. Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, section 5: ensembles of
networks as a baseline of anytime prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import MeanPrediction
from archsearch.spaces.plan import Plan, Step


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

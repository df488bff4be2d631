"""Several networks as one, whose answer is their mean prediction."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import MeanPrediction, Operator
from archsearch.spaces.plan import Plan, Step


def averaged_plan(members: Sequence[Plan], counts: Sequence[int] | None = None, mean: Operator | None = None) -> Plan:
    """Return a network with one output: the weighted mean of its members' predictions.

    The steps of member i are called `net{i}_...`. Of a member with several exits, the last one answers.

    Args:
        members: Networks for the same images and classes.
        counts: Weight of each member, whole numbers; None weighs all equally.
        mean: The mean; None is `MeanPrediction`, the logarithm of the mean class probabilities.

    Raises:
        ConfigurationError: There is no member, the channels of the images differ, or a count is below 1.
    """
    counts = [1] * len(members) if counts is None else list(counts)
    if not members or len(counts) != len(members) or min(counts) < 1:
        raise ConfigurationError(
            f"members: expected at least one network, and a count of at least 1 for each; got {len(members)} and {counts}."
        )
    if len(channels := {member.in_channels for member in members}) > 1:
        raise ConfigurationError(f"members: expected networks for the same images; got channels {sorted(channels)}.")
    steps: list[Step] = []
    answers: list[int] = []
    for number, (member, count) in enumerate(zip(members, counts, strict=True)):
        shift = len(steps)
        steps += [
            Step(f"net{number}_{step.name}", step.operator, tuple(slot + shift if slot else 0 for slot in step.inputs))
            for step in member.steps
        ]
        answers += [member.outputs[-1] + shift] * count
    return Plan(members[0].in_channels, (*steps, Step("mean", mean or MeanPrediction(), tuple(answers))), (len(steps) + 1,))

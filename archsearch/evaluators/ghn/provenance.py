"""Which operators the channels come from that an operator reads."""

from __future__ import annotations

from itertools import chain

from archsearch.evaluators.ghn.operator_kind import node_type
from archsearch.spaces.operators import Concatenate, Sum
from archsearch.spaces.plan import Plan

Sources = tuple[tuple[str, int], ...]

_NOMINAL_SIZE = 32  # channels do not depend on it


def channel_sources(plan: Plan) -> dict[str, Sources]:
    """Return for each name of a plan what its first input consists of, `(source, channels)` in the order of the channels.

    A source is the name of the operator that made the channels; sums of several are named by all of them. Only a concatenation
    has more than one source.
    """
    shapes = plan.shapes((plan.in_channels, _NOMINAL_SIZE, _NOMINAL_SIZE))
    made: dict[int, Sources] = {0: (("images", plan.in_channels),)}
    read: dict[str, Sources] = {}
    for slot, step in enumerate(plan.steps, start=1):
        inputs, channels = [made[source] for source in step.inputs], shapes[slot][0]
        read.setdefault(step.name, inputs[0])
        if isinstance(step.operator, Concatenate):
            made[slot] = tuple(chain.from_iterable(inputs))
        elif isinstance(step.operator, Sum):
            names = dict.fromkeys(name for sources in inputs for name, _ in sources)
            made[slot] = (("+".join(names), channels),)
        elif node_type(step.operator).is_glue and sum(count for _, count in inputs[0]) == channels:
            made[slot] = inputs[0]
        else:
            made[slot] = ((step.name, channels),)
    return read

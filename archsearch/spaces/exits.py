"""Cumulative costs of the exits of a network, and the order of exits with the least MACs at each step."""

from __future__ import annotations

import math
from itertools import chain

from archsearch.spaces.cost import Cost
from archsearch.spaces.operators import MeanNumbers, Shape
from archsearch.spaces.plan import Plan, Step


def exit_costs(plan: Plan, input_shape: Shape) -> tuple[Cost, ...]:
    """Return the cumulative cost up to each exit, in the order of `plan.outputs`.

    A step is executed once, for the first exit that depends on it. The cost of an exit covers all steps that this exit or an
    earlier one depends on, and no others.

    Args:
        plan: A network.
        input_shape: `(channels, height, width)` of an image.

    Returns:
        Parameters used and MACs spent so far for each exit; neither decreases from one exit to the next.
    """
    macs, done, names, spent, costs = _macs(plan, input_shape), set[int](), set[str](), 0, []
    for output in plan.outputs:
        new = _ancestors(plan, output) - done
        done |= new
        spent += sum(macs[slot - 1] for slot in new)
        names.update(plan.steps[slot - 1].name for slot in new)
        params = sum(math.prod(shape) for name in names for shape in plan.operators[name].parameter_shapes().values())
        costs.append(Cost(params, spent))
    return tuple(costs)


def cheapest_exits_first(plan: Plan, input_shape: Shape) -> Plan:
    """Return the same network with exits and steps in the order of anytime prediction.

    The next exit is the one that needs the fewest additional MACs after the exits before it; on a tie, the first in
    `plan.outputs`. Steps are ordered by the first exit that needs them, so that executing them in order gives each exit as
    early as possible; steps that no exit depends on come last.

    Args:
        plan: A network.
        input_shape: `(channels, height, width)` of an image; MACs are compared at this size.
    """
    macs = _macs(plan, input_shape)
    missing = {output: _ancestors(plan, output) for output in plan.outputs}
    outputs, order = [], list[int]()
    while missing:
        nearest = min(missing, key=lambda output: sum(macs[slot - 1] for slot in missing[output]))
        new = missing.pop(nearest)
        outputs.append(nearest)
        order += sorted(new)
        missing = {output: slots - new for output, slots in missing.items()}
    return _reordered(plan, order, outputs)


def averaged_exits(plan: Plan, last: int) -> Plan:
    """Return the network whose exits answer with the mean of the outputs of the last exits so far, at no further MACs.

    Of classes and labels these are logits, of numbers the numbers. Each exit has its own loss in training, as `MeanNumbers`
    passes on its last input there.

    Args:
        plan: A network with its exits in the order in which they are executed.
        last: Exits of which the mean is taken, the own one included; 1 leaves the network as it is.
    """
    if last == 1:
        return plan
    steps, answers = list(plan.steps), {plan.outputs[0]: plan.outputs[0]}
    for number, output in enumerate(plan.outputs[1:], start=1):
        read = plan.outputs[max(0, number + 1 - last) : number + 1]
        steps.append(Step(f"answer{number}", MeanNumbers(), read))
        answers[output] = len(steps)
    order = chain.from_iterable(dict.fromkeys((slot, answers.get(slot, slot))) for slot in range(1, len(plan.steps) + 1))
    return _reordered(Plan(plan.in_channels, tuple(steps), tuple(answers.values())), list(order), list(answers.values()))


def _reordered(plan: Plan, order: list[int], outputs: list[int]) -> Plan:
    """Return a plan with its steps in the order of the slots that they write; unlisted steps come last."""
    listed = set(order)
    rest = (slot for slot in range(1, len(plan.steps) + 1) if slot not in listed)
    old = [0, *chain(order, rest)]
    new = {slot: position for position, slot in enumerate(old)}
    steps = (plan.steps[slot - 1] for slot in old[1:])
    moved = tuple(Step(step.name, step.operator, tuple(new[slot] for slot in step.inputs)) for step in steps)
    return Plan(plan.in_channels, moved, tuple(new[slot] for slot in outputs))


def _macs(plan: Plan, input_shape: Shape) -> list[int]:
    """Return the MACs of each step."""
    shapes = plan.shapes(input_shape)
    return [step.operator.macs(*(shapes[slot] for slot in step.inputs)) for step in plan.steps]


def _ancestors(plan: Plan, output: int) -> set[int]:
    """Return the slots that a slot depends on, itself included, the images excluded."""
    found, pending = set[int](), [output]
    while pending:
        slot = pending.pop()
        if slot and slot not in found:
            found.add(slot)
            pending.extend(plan.steps[slot - 1].inputs)
    return found

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces import Cost
from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import Convolution, GlobalAveragePool, Identity, Linear, Operator, Shape, Sum, Tensors, conv_bn
from archsearch.spaces.plan import Plan, PlanBuilder, initial_parameters

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def diamond() -> Plan:
    """The input feeds two convolutions that are summed, and a third that leads nowhere."""
    build = PlanBuilder(in_channels=3)
    left = build.add("left", Convolution(3, 4, (1, 1)), build.input)
    build.add("dead", Convolution(3, 5, (3, 3)), build.input)
    right = build.add("right", Convolution(3, 4, (3, 3)), build.input)
    x = build.add("pool", GlobalAveragePool(), build.add("sum", Sum(), left, right))
    return build.finish(build.add("classifier", Linear(4, 6), x))


def test_only_steps_before_an_output_are_live() -> None:
    assert [step.name for _, step, _ in diamond().live_steps] == ["left", "right", "sum", "pool", "classifier"]


def test_each_slot_is_finished_once_after_its_last_reader() -> None:
    plan = diamond()
    last_reader = {slot: step.name for _, step, _ in plan.live_steps for slot in step.inputs}
    finished = {slot: step.name for _, step, slots in plan.live_steps for slot in slots}
    assert finished == last_reader
    assert sum(len(slots) for _, _, slots in plan.live_steps) == len(finished)


def test_shapes_follow_the_steps() -> None:
    assert diamond().shapes((3, 4, 4)) == [(3, 4, 4), (4, 4, 4), (5, 4, 4), (4, 4, 4), (4, 4, 4), (4,), (6,)]


def test_cost_counts_dead_steps_too() -> None:
    left, dead, right, classifier = 4 * 3, 5 * 27, 4 * 27, 6 * 5
    assert diamond().cost((3, 4, 4)) == Cost(
        params=left + dead + right + classifier, macs=16 * (left + dead + right) + classifier
    )


def test_shared_parameters_are_counted_once_and_their_work_each_time() -> None:
    build = PlanBuilder(in_channels=3)
    shared = Convolution(3, 3, (3, 3))
    once = build.add("shared", shared, build.input)
    plan = build.finish(build.add("shared", shared, once))
    assert plan.cost((3, 4, 4)) == Cost(params=81, macs=2 * 81 * 16)
    (weight,) = initial_parameters(plan, torch.Generator().manual_seed(0))["shared"]
    expected = shared.apply([shared.apply([IMAGES], [weight])], [weight])
    assert torch.equal(plan.apply(IMAGES, {"shared": [weight]})[0], expected)


def test_execution_equals_the_computation_by_hand() -> None:
    plan = diamond()
    parameters = initial_parameters(plan, torch.Generator().manual_seed(0))
    left = torch.nn.functional.conv2d(IMAGES, parameters["left"][0])
    right = torch.nn.functional.conv2d(IMAGES, parameters["right"][0], padding=1)
    expected = torch.nn.functional.linear((left + right).mean((2, 3)), *parameters["classifier"])
    (logits,) = plan.apply(IMAGES, parameters)
    torch.testing.assert_close(logits, expected)


def test_dead_steps_need_no_parameters() -> None:
    plan = diamond()
    parameters = initial_parameters(plan, torch.Generator().manual_seed(0))
    live = {name: tensors for name, tensors in parameters.items() if name != "dead"}
    assert torch.equal(plan.apply(IMAGES, live)[0], plan.apply(IMAGES, parameters)[0])


def test_every_exit_gives_its_output() -> None:
    build = PlanBuilder(in_channels=3)
    first = build.add("first", Identity(), build.input)
    second = build.add("second", Sum(), first, build.input)
    plan = build.finish(second, first, build.input)
    outputs = plan.apply(IMAGES, {"first": (), "second": ()})
    for output, expected in zip(outputs, (2 * IMAGES, IMAGES, IMAGES), strict=True):
        assert torch.equal(output, expected)


def test_running_statistics_are_updated_in_training_only() -> None:
    build = PlanBuilder(in_channels=3)
    plan = build.finish(build.add("stem", conv_bn(3, 4, 3), build.input))
    parameters = initial_parameters(plan, torch.Generator().manual_seed(0))
    buffers = {"stem": plan.operators["stem"].initial_buffers()}
    plan.apply(IMAGES, parameters, buffers, training=False)
    assert torch.equal(buffers["stem"][0], torch.zeros(4))
    plan.apply(IMAGES, parameters, buffers, training=True)
    assert not torch.equal(buffers["stem"][0], torch.zeros(4))


@dataclass(frozen=True)
class Watch(Operator):
    """Doubles its input, and notes how many of the earlier outputs are still held."""

    outputs: list[weakref.ref[Tensor]] = field(default_factory=list, compare=False)
    held: list[int] = field(default_factory=list, compare=False)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        output = 2 * inputs[0]
        self.held.append(sum(reference() is not None for reference in self.outputs))
        self.outputs.append(weakref.ref(output))
        return output


def test_a_finished_slot_is_freed() -> None:
    build, watch = PlanBuilder(in_channels=3), Watch()
    x = build.input
    for step in range(6):
        x = build.add(f"step{step}", watch, x)
    plan = build.finish(x)
    plan.apply(IMAGES, dict.fromkeys(plan.operators, ()))
    assert watch.held == [0, 1, 1, 1, 1, 1], "each step needs the output of the one before, and no other"


def test_initial_parameters_are_those_of_the_seed() -> None:
    plan = diamond()
    first, again, other = (initial_parameters(plan, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert list(first) == ["left", "dead", "right", "sum", "pool", "classifier"]
    assert torch.equal(first["left"][0], again["left"][0])
    assert not torch.equal(first["left"][0], other["left"][0])


def test_a_missing_parameter_names_the_step() -> None:
    plan = diamond()
    parameters = initial_parameters(plan, torch.Generator())
    del parameters["right"]
    with pytest.raises(KeyError, match="right"):
        plan.apply(IMAGES, parameters)


def nested(build: Builder, name: str, inputs: Sequence[int]) -> int:
    return build.add(name, Convolution(3, 3, (3, 3)), *inputs)


def test_the_steps_of_a_block_stand_in_the_plan() -> None:
    build = PlanBuilder(in_channels=3)
    x = build.block("a", nested, (build.input,))
    plan = build.finish(build.block("b", nested, (x,)))
    assert [(step.name, step.inputs) for step in plan.steps] == [("a", (0,)), ("b", (1,))]


def test_a_name_stands_for_one_operator_of_one_block() -> None:
    build = PlanBuilder(in_channels=3)
    x = build.add("a", Convolution(3, 3, (3, 3)), build.input)
    assert build.add("a", Convolution(3, 3, (3, 3)), x) == 2, "equal operators are one"
    with pytest.raises(ConfigurationError, match="name: expected one operator of one block under each name; got 'a' again"):
        build.add("a", Convolution(3, 3, (1, 1)), x)
    with pytest.raises(ConfigurationError, match="got 'a' again"):
        build.block("a", nested, (x,))


def test_a_block_reads_what_it_was_given() -> None:
    def reads_another(build: Builder, name: str, inputs: Sequence[int]) -> int:
        return build.add(name, Identity(), build.input)

    build = PlanBuilder(in_channels=3)
    x = build.add("stem", Identity(), build.input)
    with pytest.raises(ConfigurationError, match="inputs: expected slots that the block 'b' was given or wrote; got 0 at 'b'"):
        build.block("b", reads_another, (x,))

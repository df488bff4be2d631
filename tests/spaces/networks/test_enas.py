"""Networks of the ENAS space against the published one, written out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archsearch.errors import ConfigurationError
from archsearch.spaces.cost import Cost
from archsearch.spaces.enas import ENAS, OPERATORS, enas12
from archsearch.spaces.plan import Parameters, initial_parameters

SPACE = ENAS()
TEXT = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def layer_output(x: Tensor, operator: str, parameters: list[Tensor]) -> Tensor:
    """Apply one of the six operators, written out."""
    mix, weight, bias, *rest = parameters
    x = normalised(F.conv2d(x, mix), weight, bias).relu()
    if operator == "avg3x3":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    if operator == "max3x3":
        return F.max_pool2d(x, 3, 1, 1)
    if operator.startswith("sep"):
        x = F.conv2d(x, rest.pop(0), padding="same", groups=x.shape[1])
    x = F.conv2d(x, rest.pop(0), padding="same")
    return normalised(x, *rest).relu()


def slow_network(text: str, parameters: Parameters, images: Tensor, halve_before: tuple[int, ...]) -> Tensor:
    """Execute a structure layer by layer, with a list of all earlier outputs."""
    stem, *affine = parameters["stem"]
    outputs = [normalised(F.conv2d(images, stem, padding=1), *affine)]
    for layer, architecture_row in enumerate(json.loads(text), start=1):
        operator, *bits = architecture_row
        if layer in halve_before:
            for vertex in range(layer):
                name = f"layer{layer}_reduction{vertex}"
                if name in parameters:
                    even, odd, *affine = parameters[name]
                    shifted = F.pad(outputs[vertex], (0, 1, 0, 1))[:, :, 1:, 1:]
                    paths = [F.conv2d(outputs[vertex], even, stride=2), F.conv2d(shifted, odd, stride=2)]
                    outputs[vertex] = normalised(torch.cat(paths, 1), *affine)
        x = layer_output(outputs[-1], OPERATORS[operator], list(parameters[f"layer{layer}_operator"]))
        if layer > 1:
            x = sum((outputs[source] for source, bit in enumerate(bits) if bit), x)
            x = normalised(x, *parameters[f"layer{layer}_bn"])
        outputs.append(x)
    return F.linear(outputs[-1].mean((2, 3)), *parameters["classifier"])


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("growth", [1, 2])
def test_the_network_is_the_published_one(growth: int, size: int) -> None:
    rng, images = np.random.default_rng(0), torch.randn(3, 2, size, size, generator=torch.Generator().manual_seed(0))
    for text in (TEXT, *(str(SPACE.sample(rng)) for _ in range(4))):
        plan = SPACE.plan(SPACE.parse(text), 5, 2, channels=4, stages=3, growth=growth)
        parameters = initial_parameters(plan, torch.Generator().manual_seed(1))
        expected = slow_network(text, parameters, images, halve_before=(3, 5))
        torch.testing.assert_close(plan.apply(images, parameters)[0], expected)


def test_cost_in_closed_form() -> None:
    architecture = SPACE.parse("[[0], [0, 0], [1, 0, 0], [1, 0, 0, 0], [4, 0, 0, 0, 0], [5, 1, 0, 0, 0, 0]]")
    c, d, e = 4, 8, 16
    stem, conv, sep = 27 * c, c * c + 9 * c * c, d * d + 9 * d + d * d
    # The stem is read by the last layer, so it is reduced twice, as is the chain.
    first, second, pool = 2 * c * d, 2 * d * e, e * e
    norms = 2 * (c + 2 * c + c + 2 * c + 4 * d + 2 * d + 4 * e + 2 * d + 2 * e)
    params = stem + 2 * conv + 2 * sep + first + second + 2 * pool + norms + 10 * e + 10
    macs = 64 * (stem + 2 * conv) + 16 * (first + 2 * sep) + 4 * (second + 2 * pool) + 10 * (e + 1)
    assert SPACE.cost(architecture, (3, 8, 8), channels=4, growth=2) == Cost(params, macs)


@pytest.mark.parametrize(("stages", "sizes"), [(1, {8}), (2, {8, 4}), (3, {8, 4, 2}), (4, {8, 4, 2, 1})])
def test_stages_halve_the_size(stages: int, sizes: set[int]) -> None:
    plan = enas12().plan(enas12().sample(np.random.default_rng(0)), 5, 3, channels=4, stages=stages, growth=1)
    assert {shape[1] for shape in plan.shapes((3, 8, 8)) if len(shape) == 3} == sizes


def test_nothing_that_is_not_read_is_reduced() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        plan = SPACE.plan(SPACE.sample(rng), 5, 3, channels=4, stages=3, growth=1)
        assert len(plan.live_steps) == len(plan.steps)


def test_there_are_no_more_stages_than_layers() -> None:
    with pytest.raises(ConfigurationError, match=r"scale\['stages'\]: expected at most 6, one for each layer; got 7"):
        SPACE.build(SPACE.parse(TEXT), stages=7)

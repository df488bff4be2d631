"""Networks of the NASNet space against DARTS, written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.cost import Cost
from archsearch.spaces.nasnet import OPERATORS, NASNet
from archsearch.spaces.plan import Parameters, initial_parameters

SPACE = NASNet()
SKIP, SEP3, SEP5, AVG, MAX = OPERATORS
Pair = tuple[str, int]
PLAIN = [(SEP3, 1), (SKIP, 0), (AVG, 0), (MAX, 2), (SEP5, 3), (SEP5, 3), (SKIP, 1), (SEP3, 4)]


def text_of(normal: Sequence[Pair], reduce: Sequence[Pair], concat: str = "range(2, 6)") -> str:
    return f"Genotype(normal={list(normal)}, normal_concat={concat}, reduce={list(reduce)}, reduce_concat={concat})"


def architecture_of(normal: Sequence[Pair], reduce: Sequence[Pair] = PLAIN) -> Architecture:
    return SPACE.parse(text_of(normal, reduce))


TEXT = text_of(PLAIN, [(SEP3, 0), (SEP3, 0), *PLAIN[2:]])


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def reduced(x: Tensor, even: Tensor, odd: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = x.relu()
    paths = [F.conv2d(x, even, stride=2), F.conv2d(F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:], odd, stride=2)]
    return normalised(torch.cat(paths, 1), weight, bias)


def slow_operator(name: str, x: Tensor, stride: int, parameters: Sequence[Tensor]) -> Tensor:
    """Apply one of the five operators, written out."""
    if name == SKIP:
        return x if stride == 1 else reduced(x, *parameters)
    if name == AVG:
        return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
    if name == MAX:
        return F.max_pool2d(x, 3, stride, 1)
    for (depthwise, pointwise, *affine), step in zip([parameters[:4], parameters[4:]], [stride, 1], strict=True):
        x = F.conv2d(x.relu(), depthwise, stride=step, padding=depthwise.shape[2] // 2, groups=x.shape[1])
        x = normalised(F.conv2d(x, pointwise), *affine)
    return x


def slow_network(cells: Sequence[Cell], parameters: Parameters, images: Tensor, count: int) -> Tensor:
    """Execute the skeleton of DARTS, written out."""
    stem, *affine = parameters["stem"]
    history = [normalised(F.conv2d(images, stem, padding=1), *affine)] * 2
    for number in range(count):
        halving = number in (count // 3, 2 * count // 3)
        states = []
        for which, output in enumerate(history[-2:]):
            values = parameters[f"cell{number}_input{which}"]
            if len(values) == 4:
                states.append(reduced(output, *values))
            else:
                states.append(normalised(F.conv2d(output.relu(), values[0]), *values[1:]))
        cell = cells[1] if halving else cells[0]
        for step in range(4):
            terms = []
            for slot in range(2):
                (source, _), operator = cell.edges[2 * step + slot], cell.edge_operators[2 * step + slot]
                stride = 2 if halving and source < 2 else 1
                values = parameters[f"cell{number}_node{2 + step}{'ab'[slot]}"]
                terms.append(slow_operator(operator, states[source], stride, values))
            states.append(terms[0] + terms[1])
        history.append(torch.cat(states[2:], 1))
    return F.linear(history[-1].mean((2, 3)), *parameters["classifier"])


@pytest.mark.parametrize(("cells", "size"), [(1, 8), (2, 8), (3, 8), (5, 9)])
def test_the_network_is_the_published_one(cells: int, size: int) -> None:
    rng, images = np.random.default_rng(0), torch.randn(3, 2, size, size, generator=torch.Generator().manual_seed(0))
    for architecture in (SPACE.parse(TEXT), *(SPACE.sample(rng) for _ in range(3))):
        plan = SPACE.plan(architecture, 5, 2, channels=4, cells=cells)
        parameters = initial_parameters(plan, torch.Generator().manual_seed(1))
        expected = slow_network(architecture.cells, parameters, images, cells)
        torch.testing.assert_close(plan.apply(images, parameters)[0], expected, rtol=1e-4, atol=1e-4)


def test_cost_in_closed_form() -> None:
    separable = [(SEP3, 0), (SEP3, 1)] * 4
    skips = [(SKIP, 0), (MAX, 1)] + [(SKIP, 2), (AVG, 2)] * 3
    # Three cells: a normal one at width 4, then reductions to widths 8 and 16; an 8x8 image ends as 2x2.
    c, d, e = 4, 8, 16
    stem, sep = 27 * 3 * c, 2 * (9 * c + c * c)
    first, second, third = 2 * 3 * c * c, 3 * c * d + 4 * c * d, 4 * c * e + 4 * d * e
    norms = 2 * (3 * c + 2 * c + 8 * 2 * c + 2 * d + d + 2 * e + e)
    params = stem + first + second + third + 8 * sep + d * d + e * e + norms + 10 * 4 * e + 10
    macs = 64 * (stem + first + 8 * sep) + 64 * second + 16 * (d * d + third) + 4 * e * e + 10 * (4 * e + 1)
    assert SPACE.cost(architecture_of(separable, skips), (3, 8, 8), channels=4, cells=3) == Cost(params, macs)


def test_the_published_number_of_parameters() -> None:
    """The final DARTS network (second order) has 3,349,342 (3.3 M in table 1 of the paper; the program logs 3.349342MB)."""
    normal = [(SEP3, 0), (SEP3, 1), (SEP3, 0), (SEP3, 1), (SEP3, 1), (SKIP, 0), (SKIP, 0), (SEP3, 2)]
    reduction = [(MAX, 0), (MAX, 1), (SKIP, 2), (MAX, 1), (MAX, 0), (SKIP, 2), (SKIP, 2), (MAX, 1)]
    # Its last pair is a dilated convolution: applied once, so with half of the parameters of `sep_conv_3x3`.
    surplus = sum(6 * (9 * width + width * width + 2 * width) for width in (36, 72, 144))
    assert SPACE.cost(architecture_of(normal, reduction), channels=36, cells=20).params == 3_349_342 + surplus


@pytest.mark.parametrize("cells", [3, 6, 8, 20])
def test_reductions_stand_after_a_third_and_two_thirds(cells: int) -> None:
    plan = SPACE.plan(SPACE.parse(TEXT), 10, 3, channels=4, cells=cells)
    shapes = dict(zip([step.name for step in plan.steps], plan.shapes((3, 16, 16))[1:], strict=True))
    outputs = [shapes[f"cell{number}"] for number in range(cells)]
    first, second = cells // 3, 2 * cells // 3
    for number, shape in enumerate(outputs):
        halvings = int(number >= first) + int(number >= second)
        assert shape == (4 * 4 * 2**halvings, 16 >> halvings, 16 >> halvings)


def test_all_parameters_of_the_default_network_are_reached() -> None:
    network = SPACE.build(SPACE.parse(TEXT), channels=4, cells=8)
    logits = network(torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert isinstance(logits, Tensor)
    logits.square().sum().backward()
    unreached = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert not unreached

"""Operators as constructors and expressions of Python source."""

from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    Convolution,
    FactorizedReduction,
    Linear,
    Operator,
    RegionPool,
    ReLU,
    Shape,
    Sum,
    conv_bn,
)
from archsearch.spaces.source_code.operators import CHAIN, constructor, definitions, describe, expression, parameter_path
from archsearch.spaces.source_code.patterns import render


class Square(Operator):
    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs, parameters=(), buffers=(), training=True):  # type: ignore[no-untyped-def]
        return inputs[0].square()


@pytest.mark.parametrize(
    ("operator", "source"),
    [
        (Convolution(3, 8, (3, 3), stride=2), "conv(3, 8, (3, 3), stride=2)"),
        (Convolution(4, 4, (1, 7), groups=4, replicas=2), "conv(8, 8, (1, 7), groups=8)"),
        (BatchNorm(4, affine=False), "nn.BatchNorm2d(4, affine=False)"),
        (AveragePool(2, 2), "nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)"),
        (RegionPool(2), "RegionPool(2)"),
        (conv_bn(3, 4, 1), "chain(conv=conv(3, 4, (1, 1)), bn=nn.BatchNorm2d(4))"),
    ],
)
def test_constructors_leave_out_default_arguments(operator: Operator, source: str) -> None:
    assert render(constructor(operator)) == source


def test_operators_without_settings_and_parameters_are_expressions() -> None:
    assert expression(Sum(), ["a", "b"]) == "a + b"
    assert expression(Concatenate(), ["a", "b"]) == "torch.cat([a, b], dim=1)"
    assert expression(Concatenate(), ["a"]) == "a"
    assert expression(conv_bn(3, 4, 1), ["a"]) is None


def test_parameters_are_found_at_their_place_in_the_module() -> None:
    assert parameter_path("bn.weight") == "bn.weight"
    assert parameter_path("conv.even_weight") == "conv.even.weight"


def test_only_the_functions_in_use_are_defined() -> None:
    call = constructor(Chain((("relu", ReLU()), ("conv", FactorizedReduction(4, 4)))))
    assert list(call.functions()) == [CHAIN, "nn.ReLU", "FactorizedReduction"]
    sources = definitions(set(call.functions()))
    assert len(sources) == 2
    assert sources[0].startswith("def chain(") and sources[1].startswith("class FactorizedReduction(")
    assert describe(call, {}) == "ReLU, factorized reduction"


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (Square(), r"operator: expected one of AveragePool, .*; got Square.*without model.py"),
        (Linear(3, 4, replicas=2), "replicas: expected a network of one replica"),
        (Chain((("train", ReLU()), ("bn", BatchNorm(3)))), "links: expected names that a module can have; got 'train'"),
    ],
)
def test_operators_that_cannot_be_written_are_refused(operator: Operator, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        constructor(operator)

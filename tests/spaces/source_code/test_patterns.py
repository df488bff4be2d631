"""Constructors that differ in numbers alone, and the functions that make them."""

from __future__ import annotations

from archsearch.spaces.operators import BatchNorm, Chain, Convolution, ReLU, conv_bn, relu_conv_bn
from archsearch.spaces.source_code.operators import constructor
from archsearch.spaces.source_code.patterns import Pattern, named_chains, render, shape


def test_numbers_that_vary_together_share_a_parameter() -> None:
    pattern = Pattern([constructor(Convolution(width, width, (3, 3))) for width in (4, 8)])
    assert pattern.parameters == ("channels",)
    assert pattern.values == {"channels": (4, 8)}
    assert pattern.text() == "conv(channels, channels, (3, 3))"
    assert pattern.signature == "channels: int"
    assert render(pattern.use("make", 1)) == "make(8)"


def test_numbers_that_vary_apart_have_separate_parameters() -> None:
    pattern = Pattern([constructor(Convolution(*widths, (kernel, kernel))) for *widths, kernel in ((3, 4, 1), (4, 9, 5))])
    assert pattern.text() == "conv(in_channels, out_channels, (kernel, kernel))"


def test_shapes_are_equal_where_only_numbers_differ() -> None:
    one, other = constructor(conv_bn(3, 4, 1)), constructor(conv_bn(7, 8, 5))
    assert shape(one) == shape(other)
    assert shape(one) != shape(constructor(relu_conv_bn(3, 4, 1)))
    assert shape(constructor(BatchNorm(3))) != shape(constructor(BatchNorm(3, affine=False)))


def test_chains_that_repeat_become_a_function() -> None:
    calls = [constructor(relu_conv_bn(width, 2 * width, 3)) for width in (4, 8)]
    functions = named_chains([*calls, constructor(Chain((("relu", ReLU()),)))])
    assert list(functions.sources) == ["relu_conv_bn"]
    assert functions.sources["relu_conv_bn"].splitlines()[1] == '    """Return ReLU, convolution, batch normalisation."""'
    assert [render(call) for call in functions.calls] == ["relu_conv_bn(4, 8)", "relu_conv_bn(8, 16)", "chain(relu=nn.ReLU())"]
    assert {"chain", "conv"} <= functions.primitives


def test_a_name_that_is_taken_gets_a_number() -> None:
    calls = [constructor(conv_bn(width, width, 3)) for width in (4, 8)]
    assert list(named_chains(calls, taken=["conv_bn"]).sources) == ["conv_bn_2"]


def test_long_constructors_are_broken_at_their_arguments() -> None:
    call = constructor(Chain(tuple((f"convolution{number}", Convolution(4, 4, (3, 3))) for number in range(4))))
    lines = render(call, indent="    ").splitlines()
    assert lines[0] == "chain(" and lines[-1] == "    )"
    assert lines[1] == "        convolution0=conv(4, 4, (3, 3)),"

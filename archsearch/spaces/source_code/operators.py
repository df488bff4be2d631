"""Operators as Python source: constructors, expressions and definitions."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    Convolution,
    FactorizedReduction,
    GlobalAveragePool,
    Identity,
    Linear,
    MaxPool,
    MeanLabels,
    MeanNumbers,
    MeanPrediction,
    Operator,
    RegionPool,
    ReLU,
    Sum,
    Truncate,
    Upsample,
    Zero,
)

CHAIN = "chain"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a constructor.

    Args:
        name: Its name.
        value: An int, a tuple of ints, a bool, or a constructor.
        default: Value for which the argument is not written; None writes it always.
        by_name: Whether it is written as `name=value`.
    """

    name: str
    value: int | bool | tuple[int, ...] | Call
    default: int | bool | None = None
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A constructor call of a module: a function of the file or of torch, and its arguments."""

    function: str
    arguments: tuple[Argument, ...] = ()

    def functions(self) -> Iterator[str]:
        """Yield the names of the functions in it, outermost first."""
        yield self.function
        for argument in self.arguments:
            if isinstance(argument.value, Call):
                yield from argument.value.functions()


def constructor(operator: Operator) -> Call:
    """Return the constructor of the module of an operator.

    Raises:
        ConfigurationError: The operator is user-defined, so that it cannot be written as source, or has several replicas.
    """
    if type(operator) not in _CONSTRUCTORS:
        known = ", ".join(kind.__name__ for kind in _CONSTRUCTORS)
        raise ConfigurationError(
            f"operator: expected one of {known}; got {type(operator).__name__}, which cannot be written as source. "
            "Build it from these as a Chain, or export without model.py."
        )
    return _CONSTRUCTORS[type(operator)](operator)


def expression(operator: Operator, inputs: list[str]) -> str | None:
    """Return the expression that applies an operator without parameters to variables, or None if it needs a module."""
    write = _EXPRESSIONS.get(type(operator))
    return write(inputs) if write else None


def parameter_path(name: str) -> str:
    """Return the attribute path of a parameter or buffer in its module, such as `conv.even.weight` for `conv.even_weight`."""
    *links, last = name.split(".")
    return ".".join((*links, _RENAMED.get(last, last)))


def definitions(functions: set[str]) -> list[str]:
    """Return the source of the given functions, except those of torch."""
    return [text for name, text in _DEFINITIONS.items() if name in functions]


def describe(call: Call, known: Mapping[str, str]) -> str:
    """Return the operators of a constructor in words; `known` holds the words for functions of the file."""
    words = {**_WORDS, **known}
    return ", ".join(words[name] for name in call.functions() if name in words)


def _numbers(**values: int | bool | tuple[int, ...]) -> tuple[Argument, ...]:
    return tuple(Argument(name, value) for name, value in values.items())


def _options(**values: tuple[int | bool, int | bool]) -> tuple[Argument, ...]:
    """Return arguments from pairs of value and default."""
    return tuple(Argument(name, value, default, by_name=True) for name, (value, default) in values.items())


def _chain(operator: Any) -> Call:
    for name, _ in operator.links:
        if not name.isidentifier() or keyword.iskeyword(name) or hasattr(nn.Sequential, name):
            raise ConfigurationError(
                f"links: expected names that a module can have; got {name!r}, so that the network cannot be written as source."
            )
    return Call(CHAIN, tuple(Argument(name, constructor(link), by_name=True) for name, link in operator.links))


def _convolution(operator: Any) -> Call:
    replicas = operator.replicas
    sizes = _numbers(
        in_channels=replicas * operator.in_channels, out_channels=replicas * operator.out_channels, kernel=tuple(operator.kernel)
    )
    options = _options(stride=(operator.stride, 1), dilation=(operator.dilation, 1), groups=(replicas * operator.groups, 1))
    return Call("conv", sizes + options)


def _batch_norm(operator: Any) -> Call:
    width = _numbers(num_features=operator.replicas * operator.channels)
    return Call("nn.BatchNorm2d", width + _options(affine=(operator.affine, True)))


def _linear(operator: Any) -> Call:
    if operator.replicas > 1:
        raise ConfigurationError(
            f"replicas: expected a network of one replica to write as source; got {operator.replicas}. Build it with replicas=1."
        )
    return Call("nn.Linear", _numbers(in_features=operator.in_features, out_features=operator.out_features))


def _window(operator: Any) -> tuple[Argument, ...]:
    padding, even = (operator.kernel - 1) // 2, operator.kernel % 2 == 0
    sizes = _numbers(kernel=operator.kernel, stride=operator.stride)
    return sizes + _options(padding=(padding, 0), ceil_mode=(even, False))


def _average_pool(operator: Any) -> Call:
    return Call("nn.AvgPool2d", _window(operator) + _options(count_include_pad=(False, True)))


_CONSTRUCTORS: Mapping[type[Operator], Callable[[Any], Call]] = {
    AveragePool: _average_pool,
    BatchNorm: _batch_norm,
    Chain: _chain,
    Concatenate: lambda operator: Call("Concatenate"),
    Convolution: _convolution,
    FactorizedReduction: lambda operator: Call(
        "FactorizedReduction", _numbers(in_channels=operator.in_channels, out_channels=operator.out_channels)
    ),
    GlobalAveragePool: lambda operator: Call("GlobalAveragePool"),
    Identity: lambda operator: Call("nn.Identity"),
    Linear: _linear,
    MaxPool: lambda operator: Call("nn.MaxPool2d", _window(operator)),
    ReLU: lambda operator: Call("nn.ReLU"),
    RegionPool: lambda operator: Call("RegionPool", _numbers(regions=operator.regions)),
    Sum: lambda operator: Call("nn.Identity"),  # within a chain, where it has one input
    Truncate: lambda operator: Call("Truncate", _numbers(channels=operator.channels)),
    Upsample: lambda operator: Call("Upsample", _numbers(source=operator.source, target=operator.target)),
    Zero: lambda operator: Call("Zero"),
}


def _in_use(mean: str, inputs: list[str]) -> str:
    """Return the source of a mean of predictions, which in training is the last one, so that each has its own loss."""
    return f"({inputs[-1]} if self.training else {mean})"


def _summed(each: str, inputs: list[str]) -> str:
    """Return the source of the logarithm of the sum of what logits are the logarithms of."""
    return f"torch.stack([{each} for logits in [{', '.join(inputs)}]]).logsumexp(0)"


_EXPRESSIONS: Mapping[type[Operator], Callable[[list[str]], str]] = {
    Concatenate: lambda inputs: f"torch.cat([{', '.join(inputs)}], dim=1)" if len(inputs) > 1 else inputs[0],
    GlobalAveragePool: lambda inputs: f"{inputs[0]}.mean((2, 3))",
    Identity: lambda inputs: inputs[0],
    MeanLabels: lambda inputs: _in_use(
        f"{_summed('F.logsigmoid(logits)', inputs)} - {_summed('F.logsigmoid(-logits)', inputs)}", inputs
    ),
    MeanNumbers: lambda inputs: _in_use(f"torch.stack([{', '.join(inputs)}]).mean(0)", inputs),
    MeanPrediction: lambda inputs: _in_use(
        f"torch.stack([F.log_softmax(logits, 1) for logits in [{', '.join(inputs)}]]).logsumexp(0) - {math.log(len(inputs))!r}",
        inputs,
    ),
    ReLU: lambda inputs: f"torch.relu({inputs[0]})",
    Sum: lambda inputs: " + ".join(inputs),
    Zero: lambda inputs: f"torch.zeros_like({inputs[0]})",
}

_RENAMED = {"even_weight": "even.weight", "odd_weight": "odd.weight"}

_WORDS = {
    "nn.AvgPool2d": "average pooling",
    "nn.BatchNorm2d": "batch normalisation",
    "nn.Identity": "identity",
    "nn.Linear": "linear layer",
    "nn.MaxPool2d": "max pooling",
    "nn.ReLU": "ReLU",
    "conv": "convolution",
    "FactorizedReduction": "factorized reduction",
    "GlobalAveragePool": "mean over all positions",
    "RegionPool": "means of regions",
    "Truncate": "truncation",
    "Zero": "zeros",
}

_DEFINITIONS = {
    CHAIN: '''\
def chain(**modules: nn.Module) -> nn.Sequential:
    """Return modules that are applied one after the other."""
    return nn.Sequential(OrderedDict(modules))
''',
    "conv": '''\
def conv(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size of the image at stride 1."""
    padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)
''',
    "FactorizedReduction": '''\
class FactorizedReduction(nn.Module):
    """Halves an image with two 1x1 convolutions side by side: one reads the even rows and columns, one the odd ones."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.even(x), self.odd(F.pad(x, (-1, 1, -1, 1)))], dim=1)
''',
    "GlobalAveragePool": '''\
class GlobalAveragePool(nn.Module):
    """Mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
''',
    "Concatenate": '''\
class Concatenate(nn.Module):
    """Inputs side by side in the channels."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)
''',
    "RegionPool": '''\
class RegionPool(nn.Module):
    """Means over a grid of regions, side by side."""

    def __init__(self, regions: int) -> None:
        super().__init__()
        self.regions = regions

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.regions).flatten(1)
''',
    "Truncate": '''\
class Truncate(nn.Module):
    """The first channels only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.channels]
''',
    "Upsample": '''\
class Upsample(nn.Module):
    """Repeats each position, and cuts the result to the size that halving the images would give.

    `source` and `target` are the ratios of the image size to the sizes of the input and the output.
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.source, self.target = source, target

    def forward(self, x: Tensor, images: Tensor) -> Tensor:
        ratio = self.source // self.target
        batch, channels, height, width = x.shape
        repeated = x[:, :, :, None, :, None].expand(-1, -1, -1, ratio, -1, ratio)
        x = repeated.reshape(batch, channels, height * ratio, width * ratio)
        return x[:, :, : -(-images.shape[2] // self.target), : -(-images.shape[3] // self.target)]
''',
    "Zero": '''\
class Zero(nn.Module):
    """Zeros of the shape of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)
''',
}

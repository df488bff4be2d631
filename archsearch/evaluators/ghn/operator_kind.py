"""Node types of a graph hypernetwork: operators without their numbers of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    Convolution,
    GlobalAveragePool,
    MaxPool,
    Operator,
    RegionPool,
    ReLU,
    Shape,
    Sum,
    Truncate,
    Upsample,
)

WEIGHT, BIAS, SCALE, SHIFT = "weight", "bias", "scale", "shift"

_SIZES = frozenset(
    {"in_channels", "out_channels", "channels", "in_features", "out_features", "replicas", "groups", "stride", "count_bias"}
)
_KERNEL = frozenset({"kernel", "dilation"})
_GLUE = (BatchNorm, Concatenate, GlobalAveragePool, RegionPool, ReLU, Sum, Truncate, Upsample)


@dataclass(frozen=True, slots=True, eq=False)
class Want:
    """A parameter tensor that an operator needs.

    Args:
        key: The sort of parameter, named by operators and parameter: `ReLU+Convolution:conv.weight`.
        role: `weight` (with fan-in), `bias` of an operator with a weight, or `scale` or `shift` of a normalisation.
        shape: Shape of the tensor.
    """

    key: str
    role: str
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class NodeType:
    """The type of an operator: its kind, its stride and its parameters. Equal operators share one object.

    Args:
        kind: See the function `kind`.
        stride: See the function `stride`.
        is_glue: See the function `is_glue`.
        own: Parameter tensors that it needs, keyed by its kind, in the operator's order.
        shared: The same, keyed by its family.
    """

    kind: str
    stride: int
    is_glue: bool
    own: tuple[Want, ...]
    shared: tuple[Want, ...]

    def wants(self, sliced: bool) -> tuple[Want, ...]:
        """Return the parameter tensors that the operator needs; `sliced` is the setting `sliced_kernels`."""
        return self.shared if sliced else self.own


@lru_cache(maxsize=1 << 14)
def node_type(operator: Operator) -> NodeType:
    """Return the type of an operator."""
    shapes = operator.parameter_shapes()
    own, shared = (
        tuple(Want(f"{owner}:{name}", _role(name, shapes), shape) for name, shape in shapes.items())
        for owner in (kind(operator), family(operator))
    )
    return NodeType(kind(operator), stride(operator), is_glue(operator), own, shared)


def kind(operator: Operator) -> str:
    """Return the node type: the operator without its channels and its stride, such as `ReLU+Convolution(kernel=(3, 3))`.

    A convolution that changes the number of channels has another kind than one that does not.
    """
    return _described(operator, _SIZES)


def family(operator: Operator) -> str:
    """Return the kind of the operator without kernel size and dilation, which all operators of its family share."""
    return _described(operator, _SIZES | _KERNEL)


def stride(operator: Operator) -> int:
    """Return the factor by which the operator divides height and width, by its fields; 1 where it has no stride."""
    if isinstance(operator, Chain):
        product = 1
        for _, link in operator.links:
            product *= stride(link)
        return product
    return int(getattr(operator, "stride", 1))


def is_glue(operator: Operator) -> bool:
    """Return whether the operator only joins, resizes, rectifies or normalises maps; such an operator is not a node."""
    if operator.parameter_shapes():
        return False
    if isinstance(operator, Chain):
        return all(is_glue(link) for _, link in operator.links)
    resizes = isinstance(operator, AveragePool | MaxPool) and operator.kernel == operator.stride
    return resizes or isinstance(operator, _GLUE)


def _described(operator: Operator, left_out: frozenset[str]) -> str:
    if isinstance(operator, Chain):
        return "+".join(_described(link, left_out) for _, link in operator.links)
    named = [(field.name, getattr(operator, field.name)) for field in fields(operator)]  # type: ignore[arg-type]
    parts = [f"{name}={value!r}" for name, value in named if name not in left_out and not _is_default(operator, name, value)]
    if isinstance(operator, Convolution):
        if operator.groups > 1:
            parts.append("depthwise" if operator.groups == operator.in_channels else f"groups={operator.groups}")
        elif operator.in_channels != operator.out_channels:
            parts.append("projection")
    return f"{type(operator).__name__}({', '.join(parts)})" if parts else type(operator).__name__


def _is_default(operator: Operator, name: str, value: Any) -> bool:
    return any(field.name == name and field.default == value for field in fields(operator))  # type: ignore[arg-type]


def _role(name: str, shapes: Mapping[str, Shape]) -> str:
    if len(shapes[name]) > 1:
        return WEIGHT
    link, _, last = name.rpartition(".")
    beside = any(len(shape) > 1 for other, shape in shapes.items() if other.rpartition(".")[0] == link)
    return BIAS if beside else SHIFT if last == "bias" else SCALE

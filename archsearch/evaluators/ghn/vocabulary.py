"""What a hypernetwork must know of a space beforehand: its node types, and the parameters that it has to make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from archsearch.evaluators.ghn import operator_kind
from archsearch.evaluators.ghn.layout import OUTPUT, Layout
from archsearch.spaces.operators import Operator, Shape

WEIGHT, BIAS, SCALE, SHIFT = "weight", "bias", "scale", "shift"


@dataclass(frozen=True, slots=True)
class Branch:
    """An output of the hypernetwork: one sort of parameter tensors, of any number of channels.

    Args:
        key: Operators and parameter that it is for.
        role: `weight` (with fan-in), `bias` beside a weight, or `scale` or `shift` of a normalisation.
        extent: Largest shape met: `(out, in, height, width)` of a kernel, `(out, in)` of a matrix, `(channels,)` of a vector.
    """

    key: str
    role: str
    extent: Shape


@dataclass(frozen=True)
class Vocabulary:
    """Node types and outputs, in a fixed order.

    Args:
        kinds: Node types, sorted.
        branches: Outputs of the hypernetwork, sorted by key.
        num_modules: Most modules of a network.
        num_nodes: Nodes of the largest module.
    """

    kinds: tuple[str, ...]
    branches: tuple[Branch, ...]
    num_modules: int
    num_nodes: int

    @classmethod
    def of(cls, layouts: Iterable[Layout], sliced: bool) -> Vocabulary:
        """Return the vocabulary of some networks; `sliced` is the setting `sliced_kernels`."""
        kinds, found, modules, nodes = {OUTPUT}, dict[str, Branch](), 0, 0
        for layout in layouts:
            modules, nodes = max(modules, len(layout.modules)), max(nodes, layout.num_nodes)
            kinds.update(kind for module in layout.modules for kind in module.kinds)
            for name in layout.owners:
                for key, role, shape in wanted(layout.plan.operators[name], sliced):
                    extent = found[key].extent if key in found else shape
                    found[key] = Branch(key, role, tuple(map(max, extent, shape)))
        return cls(tuple(sorted(kinds)), tuple(found[key] for key in sorted(found)), modules, nodes)

    def state(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary that `state` came from."""
        branches = tuple(Branch(each["key"], each["role"], tuple(each["extent"])) for each in state["branches"])
        return cls(tuple(state["kinds"]), branches, state["num_modules"], state["num_nodes"])


@lru_cache(maxsize=1 << 14)
def wanted(operator: Operator, sliced: bool) -> Sequence[tuple[str, str, Shape]]:
    """Return key of the branch, role and shape of each parameter of an operator, in its order."""
    owner = operator_kind.family(operator) if sliced else operator_kind.kind(operator)
    shapes = operator.parameter_shapes()
    return tuple((f"{owner}:{name}", _role(name, shapes), shape) for name, shape in shapes.items())


def _role(name: str, shapes: Mapping[str, Shape]) -> str:
    if len(shapes[name]) > 1:
        return WEIGHT
    link, _, last = name.rpartition(".")
    beside = any(len(shape) > 1 for other, shape in shapes.items() if other.rpartition(".")[0] == link)
    return BIAS if beside else SHIFT if last == "bias" else SCALE

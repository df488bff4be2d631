"""A builder that counts parameters and MACs without building a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import Operator, Shape


class CostCounter(Builder):
    """Counts what `Plan.cost` counts, and caches the costs of blocks.

    Args:
        *inputs: Shapes `(channels, height, width)` of the images, or of the inputs of a block.
    """

    def __init__(self, *inputs: Shape) -> None:
        super().__init__(inputs[0][0])
        self.shapes = list(inputs)
        self.params = 0
        self.macs = 0
        self._names: set[str] = set()

    def add(self, name: str, operator: Operator, *inputs: int) -> int:
        shapes = [self.shapes[slot] for slot in inputs]
        self.shapes.append(operator.output_shape(*shapes))
        self.macs += operator.macs(*shapes)
        if name not in self._names:
            self._names.add(name)
            self.params += sum(math.prod(shape) for shape in operator.parameter_shapes().values())
        return len(self.shapes) - 1

    def block(self, name: str, make: Callable[..., int], inputs: Sequence[int], *arguments: Hashable) -> int:
        shape, params, macs = _counted(make, arguments, tuple([self.shapes[slot] for slot in inputs]))
        self.shapes.append(shape)
        self.params += params
        self.macs += macs
        return len(self.shapes) - 1


@lru_cache(maxsize=1 << 13)
def _counted(make: Callable[..., int], arguments: tuple[Hashable, ...], inputs: tuple[Shape, ...]) -> tuple[Shape, int, int]:
    """Return the shape of a block's output, its parameters and its MACs."""
    build = CostCounter(*inputs)
    output = make(build, "block", tuple(range(len(inputs))), *arguments)
    return build.shapes[output], build.params, build.macs

"""The interface through which a search space defines its network once, for execution and for counting costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.spaces.operators import Operator


class Builder(ABC):
    """Receives the operator applications of a network in the order of execution.

    `PlanBuilder` records them as a `Plan`; `CostCounter` adds up their parameters and MACs. Tensors between operators are
    numbered slots: `input` is the slot of the images, and `add` and `block` return the slot that they write.

    Args:
        in_channels: Channels of the images.

    Example:
        >>> from archsearch.spaces.operators import GlobalAveragePool, Linear
        >>> from archsearch.spaces.plan import PlanBuilder
        >>> build = PlanBuilder(in_channels=3)
        >>> x = build.add("pool", GlobalAveragePool(), build.input)
        >>> build.finish(build.add("classifier", Linear(3, 10), x)).cost((3, 32, 32))
        Cost(params=40, macs=40)
    """

    input = 0

    def __init__(self, in_channels: int) -> None:
        self.in_channels = in_channels

    @abstractmethod
    def add(self, name: str, operator: Operator, *inputs: int) -> int:
        """Append an application of an operator and return the slot that it writes.

        Args:
            name: Name of the parameters. Applications of an operator under the same name share them.
            operator: The operator to apply.
            inputs: Slots that it reads.
        """

    @abstractmethod
    def block(self, name: str, make: Callable[..., int], inputs: Sequence[int], *arguments: Hashable) -> int:
        """Append a part of the network and return the slot of its output; costs are cached by arguments and input shapes.

        Args:
            name: Name of the part; the names of its steps should begin with it.
            make: A function at the top level of a module. `make(build, name, inputs, *arguments)` adds the steps of the part
                and returns the slot of its output. It reads only `inputs` and slots that it wrote, shares no names with other
                parts, and what it adds depends only on `arguments`, apart from the names.
            inputs: Slots that the part reads.
            *arguments: Everything else that the part depends on.
        """

"""How a space writes its network down once, for execution and for counting alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.spaces.operators import Operator


class Builder(ABC):
    """Takes the operator applications of a network in the order of execution.

    `PlanBuilder` keeps them as a plan; `CostCounter` adds up what they cost. Values between operators are slots: `input` is
    the slot of the images, and `add` and `block` return the slot that they write.

    Args:
        in_channels: Channels of the images.
    """

    input = 0

    def __init__(self, in_channels: int) -> None:
        self.in_channels = in_channels

    @abstractmethod
    def add(self, name: str, operator: Operator, *inputs: int) -> int:
        """Append an application of an operator and return the slot that it writes.

        Args:
            name: Owner of the parameters. Applications of one operator under one name share them.
            operator: What is applied.
            inputs: Slots that it reads.
        """

    @abstractmethod
    def block(self, name: str, make: Callable[..., int], inputs: Sequence[int], *arguments: Hashable) -> int:
        """Append a part of the network, which is counted only once for equal arguments and shapes, and return its slot.

        Args:
            name: Name of the part; the names in it should begin with it.
            make: A function at the top level of a module. `make(build, name, inputs, *arguments)` adds the steps of the part
                and returns the slot of its output. It reads no slots but `inputs` and its own, shares no names with other
                parts, and what it adds depends on the arguments alone, names left out.
            inputs: Slots that the part reads.
            *arguments: What else it depends on.
        """

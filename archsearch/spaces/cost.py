"""The cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and computation of one network.

    Args:
        params: Number of trainable parameters.
        macs: Multiply-accumulates of one forward pass of one image, in convolutions and linear layers, with the bias where the
            benchmark of the space counts it. Papers often call them FLOPs.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> space.cost(space.from_genotype([3] * 6))  # the largest cell: a 3x3 convolution on each edge
        Cost(params=1531546, macs=220119690)
    """

    params: int
    macs: int

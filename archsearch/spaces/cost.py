"""What a network costs to store and to run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one network.

    Args:
        params: Learned numbers.
        macs: Multiply-accumulates of one input: convolutions and linear layers, with bias where the space's benchmark counts
            it. The papers' "FLOPs".
    """

    params: int
    macs: int

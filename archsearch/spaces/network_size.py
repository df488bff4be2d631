"""How wide a network may be for what it is allowed to cost."""

from __future__ import annotations

from archsearch.errors import ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import SearchSpace

MOBILE_MACS = 600e6
"""The mobile setting: fewer than 600 million MACs (B. Zoph et al., CVPR 2018, section 4.2; DARTS, section 3.2)."""


def largest_channels(
    space: SearchSpace,
    architecture: Architecture,
    macs: float = MOBILE_MACS,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    num_classes: int = 1000,
    **scale: int,
) -> int:
    """Return the largest setting `channels` with which a network stays under a budget.

    MACs rise with the channels, so the answer is found by halving.

    Args:
        space: Space of the architecture; it must have the scale setting `channels`.
        architecture: What is to be built.
        macs: The network has fewer MACs of one input than this.
        input_shape: `(channels, height, width)` of an image.
        num_classes: Classes to tell apart.
        **scale: Other size settings, such as `cells=14`.

    Raises:
        ConfigurationError: The space has no such setting, or the smallest network is over the budget.

    Example:
        >>> largest_channels(space, architecture, macs=600e6, cells=14)
    """
    if "channels" not in space.scale_defaults or "channels" in scale:
        raise ConfigurationError(
            f"space: expected one with a scale setting 'channels', left open; got {space.name} with {scale}."
        )

    space.checked_scale(scale)

    def fits(channels: int) -> bool:
        return space.cost(architecture, input_shape, num_classes, channels=channels, **scale).macs < macs

    low = next((channels for channels in range(1, 17) if _buildable(space, architecture, channels, scale)), 0)
    if not low or not fits(low):
        raise ConfigurationError(f"macs: expected a budget that the narrowest network keeps; got {macs:g}. Take smaller images.")
    high = 2 * low
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _buildable(space: SearchSpace, architecture: Architecture, channels: int, scale: dict[str, int]) -> bool:
    """Return whether there are enough channels for the parts of a network that divide them among several paths."""
    try:
        space.cost(architecture, (3, 32, 32), 10, channels=channels, **scale)
    except ConfigurationError as error:
        if "channels" in str(error):
            return False
        raise
    return True

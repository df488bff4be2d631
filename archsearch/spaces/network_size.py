"""The largest number of channels with which a network stays within a budget of MACs."""

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
    """Return the largest setting `channels` with which a network has fewer MACs than a budget, by binary search.

    Args:
        space: Space of the architecture; it must have the scale setting `channels`.
        architecture: An architecture of the space.
        macs: The budget: the network has fewer MACs per image than this.
        input_shape: `(channels, height, width)` of an image.
        num_classes: Number of classes.
        **scale: Other size settings, such as `cells=14`.

    Raises:
        ConfigurationError: The space has no setting `channels`, or the narrowest network exceeds the budget.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.spaces.network_size import largest_channels
        >>> space = spaces.get("nasbench201")
        >>> largest_channels(space, space.from_genotype([3] * 6), macs=220e6, input_shape=(3, 32, 32), num_classes=10)
        15
    """
    if "channels" not in space.scale_defaults or "channels" in scale:
        raise ConfigurationError(
            f"space: expected one with a scale setting 'channels' that is not given; got {space.name} with {scale}."
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
    """Return whether there are enough channels for the operators that divide them among several paths."""
    try:
        space.cost(architecture, (3, 32, 32), 10, channels=channels, **scale)
    except ConfigurationError as error:
        if "channels" in str(error):
            return False
        raise
    return True

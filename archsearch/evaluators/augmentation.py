"""Random crops and flips of a whole batch at once, on the device where it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.errors import ConfigurationError


def augment(images: Tensor, generator: torch.Generator, pad: int, flip: bool) -> Tensor:
    """Return each image shifted by up to `pad` pixels along each axis, and mirrored in half of the cases.

    Zeros come in at the sides; for normalised images they are the mean colour. All shifts, and both sides, are equally likely.
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with 4 pixels for CIFAR-10.

    Args:
        images: `[images, channels, height, width]`, not changed.
        generator: On any device. One on the CPU draws the same whatever the device of the images.
        pad: Pixels of padding on each side, before the crop back to the given size.
        flip: Whether to mirror left and right.

    Returns:
        As `images`. They are returned as they are, and nothing is drawn, when there is nothing to do.

    Raises:
        ConfigurationError: `pad` is negative.
    """
    if pad < 0:
        raise ConfigurationError(f"pad: expected a number of pixels from 0; got {pad!r}.")
    side = 2 * pad + 1
    choices = side * side * (2 if flip else 1)
    if choices == 1:
        return images
    drawn = torch.randint(choices, (len(images),), generator=generator, device=generator.device).to(images.device)
    mirrored = drawn >= side * side
    return crop_and_flip(images, drawn % (side * side) // side, drawn % side, mirrored, pad)


def crop_and_flip(images: Tensor, rows: Tensor, columns: Tensor, mirrored: Tensor, pad: int) -> Tensor:
    """Return the window of each zero-padded image that begins at its row and column, mirrored where asked for.

    Args:
        images: `[images, channels, height, width]`.
        rows: `[images]` int64, from 0 to 2 * pad.
        columns: `[images]` int64, from 0 to 2 * pad.
        mirrored: `[images]` bool.
        pad: Pixels of padding on each side.
    """
    number, channels, height, width = images.shape
    across = torch.arange(width, device=images.device).expand(number, width)
    across = torch.where(mirrored[:, None], width - 1 - across, across) + columns[:, None]
    down = torch.arange(height, device=images.device) + rows[:, None]
    # One gather over flat pixels is the fastest of the forms tried: 1.5 times an unfolded view, 5 times four index tensors.
    pixels = (down[:, :, None] * (width + 2 * pad) + across[:, None, :]).view(number, 1, height * width)
    padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixels.expand(number, channels, height * width)).view(images.shape)

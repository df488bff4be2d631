from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.augmentation import augment, crop_and_flip, cutout, resized_crop

_DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def _slow(image: Tensor, row: int, column: int, mirrored: bool, pad: int) -> Tensor:
    """Crop and mirror one image pixel by pixel."""
    height, width = image.shape[1:]
    result = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            source_y, source_x = y + row - pad, (width - 1 - x if mirrored else x) + column - pad
            if 0 <= source_y < height and 0 <= source_x < width:
                result[:, y, x] = image[:, source_y, source_x]
    return result


def _images(number: int, channels: int, height: int, width: int) -> Tensor:
    """Images whose pixels all differ and are not zero."""
    return torch.arange(1, number * channels * height * width + 1).float().view(number, channels, height, width)


@given(st.data(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_crop_and_flip_equals_the_loop(
    data: st.DataObject, number: int, channels: int, height: int, width: int, pad: int
) -> None:
    draws = st.lists(st.integers(0, 2 * pad), min_size=number, max_size=number)
    rows, columns = data.draw(draws), data.draw(draws)
    mirrored = data.draw(st.lists(st.booleans(), min_size=number, max_size=number))
    images = _images(number, channels, height, width)
    result = crop_and_flip(images, torch.tensor(rows), torch.tensor(columns), torch.tensor(mirrored), pad)
    expected = [_slow(*case, pad) for case in zip(images, rows, columns, mirrored, strict=True)]
    assert torch.equal(result, torch.stack(expected))


@pytest.mark.parametrize(("pad", "flip"), [(1, True), (2, False), (0, True)])
def test_every_outcome_is_as_likely_as_the_others(pad: int, flip: bool) -> None:
    image = _images(1, 2, 3, 4)
    sides = (False, True) if flip else (False,)
    shifts = range(2 * pad + 1)
    outcomes = torch.stack([_slow(image[0], row, column, side, pad) for side in sides for row in shifts for column in shifts])
    draws = 400 * len(outcomes)
    result = augment(image.expand(draws, -1, -1, -1), torch.Generator().manual_seed(0), pad, flip)
    counts = (result[:, None] == outcomes).flatten(2).all(2).sum(0)
    assert int(counts.sum()) == draws
    # Five standard deviations of a count with mean 400.
    assert (counts - 400).abs().max() < 100


@pytest.mark.parametrize("device", _DEVICES)
def test_the_generator_alone_decides(device: str) -> None:
    images = _images(64, 3, 8, 8).to(device)
    before = images.clone()
    once, again, other = (augment(images, torch.Generator().manual_seed(seed), 4, True) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(images, before)
    assert once.device == images.device
    assert torch.equal(once.cpu(), augment(images.cpu(), torch.Generator().manual_seed(1), 4, True))
    own = augment(images, torch.Generator(device).manual_seed(1), 4, True)
    assert own.shape == images.shape


def test_successive_calls_differ() -> None:
    images, generator = _images(64, 3, 8, 8), torch.Generator().manual_seed(0)
    assert not torch.equal(augment(images, generator, 4, True), augment(images, generator, 4, True))


def test_nothing_to_do_draws_nothing() -> None:
    images, generator = _images(4, 1, 3, 3), torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert torch.equal(augment(images, generator, 0, False), images)
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_stays(dtype: torch.dtype) -> None:
    assert augment(_images(2, 1, 3, 3).to(dtype), torch.Generator().manual_seed(0), 1, True).dtype == dtype


def test_negative_padding_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="pad"):
        augment(_images(1, 1, 2, 2), torch.Generator(), -1, True)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_sets_each_square_to_zero_as_often_as_the_others(side: int) -> None:
    image = _images(1, 2, 4, 5)
    expected = []
    for y in range(4):
        for x in range(5):
            hole = image[0].clone()
            top, left = y - side // 2, x - side // 2
            hole[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0.0
            expected.append(hole)
    outcomes = torch.stack(expected)
    result = cutout(image.expand(400 * 20, -1, -1, -1), torch.Generator().manual_seed(0), side)
    same = (result[:, None] == outcomes).flatten(2).all(2)
    assert bool(same.any(1).all()), "every outcome is one of those expected"
    if side < 4:  # larger squares at neighbouring places may leave the same pixels
        # Five standard deviations of a count with mean 400.
        assert (same.sum(0) - 400).abs().max() < 100


def test_cutout_of_nothing_draws_nothing() -> None:
    images, generator = _images(4, 1, 3, 3), torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert cutout(images, generator, 0) is images
    assert resized_crop(images, generator, 0.0) is images
    assert torch.equal(generator.get_state(), state)


def test_resized_crops_are_windows_of_the_image() -> None:
    height, width, number, least = 24, 32, 500, 0.3
    down = torch.arange(height).float()[:, None].expand(height, width)
    across = torch.arange(width).float()[None, :].expand(height, width)
    images = torch.stack([down, across]).expand(number, -1, -1, -1)
    result = resized_crop(images, torch.Generator().manual_seed(0), least)
    assert result.shape == images.shape
    # In the middle, where the border has no say, coordinates rise by the size of the window over that of the image.
    middle = result[:, :, 8:16, 8:24]
    high, wide = middle[:, 0, 1, 0] - middle[:, 0, 0, 0], middle[:, 1, 0, 1] - middle[:, 1, 0, 0]
    rows = middle[:, 0, :1] + high[:, None, None] * torch.arange(8.0)[:, None]
    columns = middle[:, 1, :, :1] + wide[:, None, None] * torch.arange(16.0)
    torch.testing.assert_close(middle[:, 0], rows.expand(-1, 8, 16), rtol=0, atol=1e-3)
    torch.testing.assert_close(middle[:, 1], columns.expand(-1, 8, 16), rtol=0, atol=1e-3)
    assert float(wide.max()) <= 1.0 + 1e-4
    assert float(high.max()) <= 1.0 + 1e-4
    whole = (wide < 0.999) & (high < 0.999)  # neither side was cut
    area, ratio = (wide * high)[whole], (wide * width / (high * height))[whole]
    assert least - 1e-3 <= float(area.min()) < 0.35
    assert float(area.max()) > 0.8
    assert 0.75 - 1e-2 <= float(ratio.min()) < 0.8 < 1.25 < float(ratio.max()) <= 4 / 3 + 1e-2

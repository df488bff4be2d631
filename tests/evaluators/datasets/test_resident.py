from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import batches, load, resident

_DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", _DEVICES)
def test_training_images_have_mean_zero_and_deviation_one(device: str) -> None:
    train = load("digits").train
    part = resident(train, *train.statistics(), device)
    assert part.images.device.type == part.labels.device.type == device
    assert part.images.shape == (901, 1, 8, 8)
    assert part.images[:].mean().item() == pytest.approx(0.0, abs=1e-5)
    assert part.images[:].std().item() == pytest.approx(1.0, abs=1e-5)
    assert part.labels.tolist() == train.labels.tolist()


def test_each_pixel_is_normalised_with_the_training_figures() -> None:
    splits = load("digits")
    mean, std = splits.train.statistics()
    part = resident(splits.test, mean, std)
    torch.testing.assert_close(part.images[5][0, 3, 4], (splits.test.images[5, 0, 3, 4] / 255 - mean[0]) / std[0])
    assert resident(splits.test, mean, std, dtype=torch.bfloat16).images.dtype == torch.bfloat16


def test_the_dataset_is_not_changed() -> None:
    train = load("digits").train
    before = train.images.clone()
    part = resident(train, *train.statistics())
    part.images[:].zero_()
    part.images[3].zero_()
    assert torch.equal(train.images, before)


@pytest.mark.parametrize(
    ("mean", "std"), [(torch.zeros(3), torch.ones(1)), (torch.zeros(1), torch.zeros(1)), (torch.tensor(0.0), torch.tensor(1.0))]
)
def test_statistics_that_do_not_fit_are_refused(mean: torch.Tensor, std: torch.Tensor) -> None:
    with pytest.raises(ConfigurationError, match="mean and std: expected 1 figures each for digits/train"):
        resident(load("digits").train, mean, std)


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"), [(10, 3, [3, 3, 3]), (9, 3, [3, 3, 3]), (2, 3, [2]), (3, 3, [3]), (4, 3, [3])]
)
def test_the_last_incomplete_batch_is_dropped_unless_alone(n: int, batch_size: int, expected: list[int]) -> None:
    chunks = list(batches(n, batch_size, torch.Generator().manual_seed(0)))
    assert [len(chunk) for chunk in chunks] == expected
    rows = torch.cat(chunks).tolist()
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(n))


def test_epochs_differ_and_seeds_repeat() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.cat(list(batches(100, 10, generator))) for _ in range(2))
    again = torch.cat(list(batches(100, 10, torch.Generator().manual_seed(1))))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


@pytest.mark.parametrize("device", _DEVICES)
def test_resident_batches_index_its_own_images(device: str) -> None:
    train = load("digits").train
    part = resident(train, *train.statistics(), device)
    chunks = list(part.batches(100, torch.Generator().manual_seed(2)))
    assert len(chunks) == len(part) // 100 == 9
    assert all(chunk.device == part.images.device and part.images[chunk].shape == (100, 1, 8, 8) for chunk in chunks)
    expected = torch.cat(list(batches(901, 100, torch.Generator().manual_seed(2))))
    assert torch.equal(torch.cat(chunks).cpu(), expected)


@pytest.mark.parametrize(("n", "batch_size"), [(0, 3), (3, 0)])
def test_no_images_or_no_batch_is_an_error_at_once(n: int, batch_size: int) -> None:
    with pytest.raises(ConfigurationError, match="batches"):
        batches(n, batch_size, torch.Generator())

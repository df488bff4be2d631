"""The training loop against a plain one, and replicas against each network alone."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe
from archsearch.evaluators.training.loop import Training, TrainingDiverged, train
from archsearch.evaluators.training.replicas import stacked_network
from archsearch.evaluators.training.scoring import score
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
CLASSES = 4


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_images(count: int = 48, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return images `[count, 2, 8, 8]` whose brightness tells the class, and labels."""
    labels = torch.arange(count) % CLASSES
    noise = torch.randn((count, 2, 8, 8), generator=generator(seed))
    return noise + labels[:, None, None, None].float(), labels


def network(seeds: list[int], channels: int = 4) -> Network:
    scale = {"channels": channels, "cells_per_stage": 1}
    return stacked_network(SPACE, CELL, CLASSES, 2, [generator(seed) for seed in seeds], scale)


def linear(seed: int = 0) -> nn.Sequential:
    layer = nn.Linear(2 * 8 * 8, CLASSES)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator(seed)))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=3, batch_size=10, learning_rate=0.05),
        Recipe(epochs=3, batch_size=10, learning_rate=0.05, momentum=0.0, weight_decay=0.0),
        Recipe(epochs=2, batch_size=16, learning_rate=0.02, label_smoothing=0.2, weight_decay=0.01),
        Recipe(epochs=2, batch_size=1000, learning_rate=0.02),
    ],
)
def test_training_equals_a_plain_loop(recipe: Recipe) -> None:
    images, labels = make_images()
    trained, plain = linear(), linear().double()
    train(trained, images, labels, recipe, [generator(5)])

    order = generator(5)
    size = min(recipe.batch_size, len(labels))
    steps = len(labels) // size
    velocity = [torch.zeros_like(parameter) for parameter in plain.parameters()]
    for step in range(recipe.epochs * steps):
        if step % steps == 0:
            rows = torch.randperm(len(labels), generator=order)
        chosen = rows[step % steps * size :][:size]
        logs = plain(images[chosen].double()).log_softmax(1)
        smoothed = (1 - recipe.label_smoothing) * F.one_hot(labels[chosen], CLASSES) + recipe.label_smoothing / CLASSES
        gradients = torch.autograd.grad(-(smoothed * logs).sum(1).mean(), list(plain.parameters()))
        rate = recipe.learning_rate * (1 + math.cos(math.pi * step / (recipe.epochs * steps))) / 2
        with torch.no_grad():
            for parameter, gradient, speed in zip(plain.parameters(), gradients, velocity, strict=True):
                slope = gradient + recipe.weight_decay * parameter
                speed.mul_(recipe.momentum).add_(slope)
                parameter.sub_(rate * (slope + recipe.momentum * speed))
    for parameter, expected in zip(trained.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.double(), expected, rtol=1e-4, atol=1e-6)


def test_learning_rate_falls_to_zero_along_a_cosine() -> None:
    images, labels = make_images()
    epochs, peak, model = 8, 0.01, linear()
    recipe = Recipe(epochs=epochs, batch_size=48, learning_rate=peak, momentum=0.0, weight_decay=0.0)
    snapshots = [copy.deepcopy(model)]
    train(model, images, labels, recipe, [generator(0)], on_epoch=lambda epoch: snapshots.append(copy.deepcopy(model)))
    rates = []
    for before, after in pairwise(snapshots):
        first, second = (next(iter(model[1].parameters())) for model in (before, after))
        [gradient] = torch.autograd.grad(F.cross_entropy(before(images), labels), [first])
        moved = (first - second).detach().flatten()
        rates.append(float(moved @ gradient.flatten() / gradient.square().sum()))
    expected = [peak * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs + 1)]
    assert rates == pytest.approx(expected[:-1], rel=1e-3)
    assert expected[-1] == 0.0, "the step after the last would not move"


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=2, batch_size=16),
        Recipe(epochs=2, batch_size=16, crop=1, flip=True),
        Recipe(epochs=2, batch_size=16, auxiliary=0.4, drop_path=0.3),
    ],
)
def test_replicas_equal_each_network_alone(recipe: Recipe) -> None:
    (images, labels), (held_out, truth) = make_images(), make_images(30, seed=9)
    seeds = [3, 1, 4]
    recipe = recipe.with_changes(learning_rate=0.02)
    together, alone = network(seeds), [network([seed]) for seed in seeds]
    train(together, images, labels, recipe, [generator(seed) for seed in seeds])
    for seed, model in zip(seeds, alone, strict=True):
        train(model, images, labels, recipe, [generator(seed)])
    for stacked, *parts in zip(together.parameters(), *(model.parameters() for model in alone), strict=True):
        torch.testing.assert_close(stacked, torch.cat(parts), rtol=1e-4, atol=1e-4)
    scores, singles = score(together, held_out, truth, replicas=3), [score(model, held_out, truth) for model in alone]
    torch.testing.assert_close(scores.loss, torch.cat([single.loss for single in singles]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores.accuracy, torch.cat([single.accuracy for single in singles]), rtol=0, atol=1e-4)
    assert len(set(scores.loss.tolist())) == 3, "the replicas differ"


def test_loss_falls() -> None:
    images, labels = make_images()
    model, losses = network([0]), []
    recipe = Recipe(epochs=10, batch_size=16, learning_rate=0.05)
    train(model, images, labels, recipe, [generator(0)], on_epoch=lambda epoch: losses.append((epoch, _loss(model))))
    assert [epoch for epoch, _ in losses] == list(range(1, 11))
    assert losses[-1][1] < 0.5 * math.log(CLASSES)
    assert losses[-1][1] < losses[0][1]


def _loss(model: nn.Module) -> float:
    return float(score(model, *make_images()).loss)


def test_order_of_the_images_comes_from_the_generator() -> None:
    images, labels = make_images()
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.05)
    weights = []
    for seed in (0, 0, 1):
        model = linear()
        train(model, images, labels, recipe, [generator(seed)])
        weights.append(next(iter(model.parameters())))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_infinite_loss_ends_the_training() -> None:
    images, labels = make_images()
    epochs: list[int] = []
    with pytest.raises(TrainingDiverged, match=r"the loss became (nan|inf) in epoch 1 of 3; lower learning_rate."):
        train(linear(), images * 1e30, labels, Recipe(epochs=3, batch_size=16), [generator(0)], on_epoch=epochs.append)
    assert epochs == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mixed precision is used on CUDA devices only")
def test_mixed_precision_is_near_full_precision() -> None:
    images, labels = (tensor.cuda() for tensor in make_images())
    losses = []
    for mixed_precision in (False, True):
        model = network([0]).cuda()
        recipe = Recipe(epochs=4, batch_size=16, learning_rate=0.05)
        train(model, images, labels, recipe, [generator(0)], mixed_precision=mixed_precision)
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        losses.append(float(score(model, images, labels).loss))
    assert losses[1] == pytest.approx(losses[0], abs=0.2)


FULL = Recipe(
    *(4, 10, 0.05),
    **{"crop": 1, "flip": True, "cutout": 3, "resized_crop": 0.5, "drop_path": 0.3, "weight_average": 0.9},
    **{"gradient_clip": 1.0, "accumulate": 3, "channels_last": True, "label_smoothing": 0.1, "schedule": "exponential"},
)


def test_a_training_taken_up_again_is_the_same_training() -> None:
    images, labels = make_images()
    whole, stopped, resumed = network([0]), network([0]), network([7])
    train(whole, images, labels, FULL, [generator(5)])
    first = Training(stopped, FULL, [generator(5)])
    for _ in range(2):
        first.run_epoch(images, labels)
        with first.averaged():
            score(stopped, images, labels)
    state = copy.deepcopy(first.state())
    second = Training(resumed, FULL, [generator(99)])
    second.load_state(state)
    assert (second.epoch, second.finished) == (2, False)
    while not second.finished:
        second.run_epoch(images, labels)
    second.finish()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert resumed.plan == SPACE.plan(CELL, CLASSES, 2, channels=4, cells_per_stage=1), "drop path is gone"


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(parts: int) -> None:
    images, labels = make_images()
    recipe = Recipe(epochs=2, batch_size=10, learning_rate=0.05, label_smoothing=0.1)
    whole, split = linear(), linear()
    train(whole, images, labels, recipe, [generator(5)])
    train(split, images, labels, recipe.with_changes(accumulate=parts), [generator(5)])
    for left, right in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_gradients_are_no_longer_than_the_clip(clip: float) -> None:
    images, labels = make_images()
    recipe = Recipe(epochs=1, batch_size=48, learning_rate=0.5, momentum=0.0, weight_decay=0.0, gradient_clip=clip)
    model = linear()
    gradients = torch.autograd.grad(F.cross_entropy(model(images), labels), list(model.parameters()))
    norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(model, images, labels, recipe, [generator(0)])
    for old, new, gradient in zip(before, model.parameters(), gradients, strict=True):
        torch.testing.assert_close(old - new, 0.5 * min(1.0, clip / norm) * gradient, rtol=1e-3, atol=1e-6)


def test_averaged_weights_are_what_counts() -> None:
    images, labels = make_images()
    recipe = Recipe(epochs=6, batch_size=24, learning_rate=0.05)
    plain, averaged = linear(), linear()
    weights = [plain[1].weight.detach().clone()]
    seen: list[Tensor] = []

    class Watched(nn.Sequential):
        """Takes note of the weights before each step."""

        def forward(self, inputs: Tensor) -> Tensor:
            if self.training:
                seen.append(self[1].weight.detach().clone())
            return super().forward(inputs)

    watched = Watched(*plain)
    train(watched, images, labels, recipe, [generator(0)])
    expected = weights[0]
    for step, now in enumerate([*seen[1:], plain[1].weight.detach()], start=1):
        decay = min(0.95, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * now
    during: list[Tensor] = []
    train(
        averaged,
        images,
        labels,
        recipe.with_changes(weight_average=0.95),
        [generator(0)],
        on_epoch=lambda epoch: during.append(averaged[1].weight.detach().clone()),
    )
    torch.testing.assert_close(averaged[1].weight.detach(), expected, rtol=1e-4, atol=1e-6)
    assert torch.equal(during[-1], averaged[1].weight), "it is scored with the weights that it ends with"
    assert not torch.allclose(averaged[1].weight, plain[1].weight)


def test_exponential_schedule_and_plain_momentum() -> None:
    images, labels = make_images()
    settings = {"learning_rate": 0.1, "schedule": "exponential", "decay": 0.5, "nesterov": False}
    recipe = Recipe(epochs=3, batch_size=48, weight_decay=0.0, **settings)
    model, plain = linear(), linear()
    train(model, images, labels, recipe, [generator(0)])
    velocity = [torch.zeros_like(parameter) for parameter in plain.parameters()]
    for epoch in range(3):
        gradients = torch.autograd.grad(F.cross_entropy(plain(images), labels), list(plain.parameters()))
        with torch.no_grad():
            for parameter, gradient, speed in zip(plain.parameters(), gradients, velocity, strict=True):
                speed.mul_(0.9).add_(gradient)
                parameter.sub_(0.1 * 0.5**epoch * speed)
    for left, right in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-6)


def test_channels_last_changes_the_storage_alone() -> None:
    images, labels = make_images()
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.02)
    models = network([0]), network([0])
    for model, channels_last in zip(models, (False, True), strict=True):
        train(model, images, labels, recipe.with_changes(channels_last=channels_last), [generator(0)])
    for left, right in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)


def test_what_replicas_or_other_networks_cannot_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gradient_clip: expected 0 for 2 replicas in one pass"):
        Training(network([0, 1]), Recipe(gradient_clip=5.0), [generator(0), generator(1)])
    with pytest.raises(ConfigurationError, match="drop_path: expected the network of a search space"):
        Training(linear(), Recipe(drop_path=0.1), [generator(0)])
    with pytest.raises(ConfigurationError, match="auxiliary: expected the network of a search space"):
        Training(linear(), Recipe(auxiliary=0.4), [generator(0)])


def test_a_recipe_may_forbid_mixed_precision() -> None:
    images, labels = make_images()
    weights = []
    for asked, allowed in ((False, True), (True, False), (True, True)):
        model = linear()
        recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.05, mixed_precision=allowed)
        train(model, images, labels, recipe, [generator(0)], mixed_precision=asked)
        weights.append(model[1].weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    torch.testing.assert_close(weights[0], weights[2], rtol=0.1, atol=0.01)


def test_a_weighted_epoch_has_the_gradient_of_weighted_losses_in_any_number_of_parts() -> None:
    """One step on the whole set, from the equation: W - rate * gradient of mean(w_y * cross entropy)."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(14, 1, 2, 2, generator=generator), torch.tensor([0] * 10 + [1] * 3 + [2])
    results = []
    for accumulate in (1, 3):
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
        with torch.no_grad():
            network[1].weight.copy_(torch.arange(12.0).view(3, 4) / 10)
            network[1].bias.zero_()
        recipe = Recipe(
            epochs=1, batch_size=14, learning_rate=0.1, momentum=0.0, weight_decay=0.0, class_weights=True, accumulate=accumulate
        )
        train(network, images, labels, recipe, [torch.Generator().manual_seed(1)])
        results.append(network[1].weight.detach().clone())
    start = (torch.arange(12.0).view(3, 4) / 10).requires_grad_()
    losses = torch.nn.functional.cross_entropy(images.flatten(1) @ start.t(), labels, reduction="none")
    shares = torch.tensor([14 / 30, 14 / 9, 14 / 3])
    (losses * shares[labels]).mean().backward()
    expected = start.detach() - 0.1 * start.grad
    for found in results:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=2, batch_size=10, learning_rate=0.02),
        Recipe(epochs=2, batch_size=10, learning_rate=0.02, crop=1, flip=True, cutout=2, resized_crop=0.5, drop_path=0.4),
        Recipe(epochs=2, batch_size=10, learning_rate=0.02, drop_path=0.2, weight_average=0.9, accumulate=3, auxiliary=0.4),
    ],
)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_training_goes_on_within_an_epoch(recipe: Recipe, stop: int) -> None:
    images, labels = make_images()
    seeds = [3, 4]
    states: list[dict[str, object]] = []

    def begun() -> Training:
        return Training(network(seeds), recipe, [generator(seed) for seed in seeds])

    whole, steps = begun(), []
    expected = [whole.run_epoch(images, labels, lambda: steps.append(1)) for _ in range(2)]
    assert len(steps) == 2 * 3, "after each step of an epoch of 4 but the last"
    assert whole.throughput.images == 40 and 0.0 <= whole.throughput.waiting <= 1.0 and whole.throughput.per_second > 0.0
    stopped = begun()
    stopped.run_epoch(images, labels)
    stopped.run_epoch(images, labels, lambda: states.append(copy.deepcopy(stopped.state())))
    resumed = begun()
    resumed.load_state(states[stop - 1])
    assert resumed.epoch == 1
    assert resumed.run_epoch(images, labels) == expected[1]
    assert resumed.throughput.images == 10 * (4 - stop)
    for found, other in zip(resumed.network.state_dict().values(), whole.network.state_dict().values(), strict=True):
        assert torch.equal(found, other)
    assert resumed.finished

"""Training-free scores against their equations, written out with numpy for a network of two layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.proxies import Subject, get, names
from archsearch.spaces.cost import Cost

Array = NDArray[np.float64]
IMAGES, CLASSES, HIDDEN = 8, 3, 24


def subject(network: nn.Module | None = None) -> Subject:
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(4, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, CLASSES, bias=False))
    for parameter in layers.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    images = torch.randn(IMAGES, 1, 2, 2, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    return Subject(network or layers, images, labels, Cost(params=35, macs=36), generator)


class ByHand:
    """The two layers `Z = relu(X A') B'`, with the gradients of the mean cross-entropy of some rows."""

    def __init__(self, rows: slice = slice(None), weights: list[Array] | None = None) -> None:
        given = subject()
        self.weights = weights or [parameter.detach().numpy() for parameter in given.network.parameters()]
        self.x, labels = given.images.flatten(1).numpy()[rows], given.labels.numpy()[rows]
        self.labels, (first, second) = labels, self.weights
        self.on = self.x @ first.T > 0
        self.hidden = np.maximum(self.x @ first.T, 0.0)
        logits = self.hidden @ second.T
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        d_logits = (shares - np.eye(CLASSES)[labels]) / len(labels)
        self.d_hidden = d_logits @ second
        self.gradients = [(self.d_hidden * self.on).T @ self.x, d_logits.T @ self.hidden]
        self.jacobian = (self.on * second.sum(axis=0)) @ first


def grasp() -> float:
    by_hand, step = ByHand(), 1e-6
    moved = [
        ByHand(weights=[w + sign * step * g for w, g in zip(by_hand.weights, by_hand.gradients, strict=True)]) for sign in (1, -1)
    ]
    products = [(up - down) / (2 * step) for up, down in zip(moved[0].gradients, moved[1].gradients, strict=True)]  # H g
    return -sum(float((w * product).sum()) for w, product in zip(by_hand.weights, products, strict=True))


def synflow() -> float:
    first, second = (np.abs(weight) for weight in ByHand().weights)
    # Each layer's sum of w dR/dw is R, as R is linear in each.
    return math.log1p(2.0 * float((second @ first @ np.ones(4)).sum()))


def jacov() -> float:
    values = np.linalg.eigvalsh(np.corrcoef(ByHand().jacobian))
    return -float(sum(math.log(value + 1e-5) + 1.0 / (value + 1e-5) for value in values))


def epe_nas() -> float:
    by_hand = ByHand()
    parts = [np.corrcoef(by_hand.jacobian[by_hand.labels == label]) for label in range(CLASSES)]
    return sum(abs(float(np.log(np.abs(part) + 1e-5).sum())) for part in parts)


def nwot() -> float:
    on = ByHand().on
    kernel = np.array([[(one == other).sum() for other in on] for one in on], dtype=np.float64)
    return float(np.linalg.slogdet(kernel)[1])


def zico() -> float:
    halves = [ByHand(slice(0, 4)).gradients, ByHand(slice(4, 8)).gradients]
    total = 0.0
    for one, other in zip(*halves, strict=True):
        pair = np.abs(np.stack([one, other]))
        deviation = pair.std(axis=0)
        total += math.log(float((pair.mean(axis=0)[deviation > 0] / deviation[deviation > 0]).sum()))
    return total


def fisher() -> float:
    by_hand = ByHand()
    return float(((by_hand.hidden * by_hand.d_hidden * IMAGES) ** 2).sum()) / (2 * IMAGES)


def products(take: Callable[[Array], Array]) -> float:
    by_hand = ByHand()
    return float(sum(take(weight * gradient).sum() for weight, gradient in zip(by_hand.weights, by_hand.gradients, strict=True)))


EXPECTED: dict[str, Callable[[], float]] = {
    "params": lambda: 35.0,
    "macs": lambda: 36.0,
    "l2_norm": lambda: float(sum(np.linalg.norm(weight) for weight in ByHand().weights)),
    "grad_norm": lambda: float(sum(np.linalg.norm(gradient) for gradient in ByHand().gradients)),
    "snip": lambda: products(np.abs),
    "plain": lambda: products(np.asarray),
    "grasp": grasp,
    "fisher": fisher,
    "synflow": synflow,
    "jacov": jacov,
    "epe_nas": epe_nas,
    "nwot": nwot,
    "zico": zico,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_score_is_its_equation(name: str) -> None:
    assert get(name).score(subject()) == pytest.approx(EXPECTED[name](), rel=1e-5)


def test_zen_is_its_equation() -> None:
    layers = nn.Sequential(
        nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    ).double()
    given = subject(layers)
    kernel = layers[0].weight.detach().numpy()[:, 0, 0, 0]
    state = given.generator.get_state()
    images, change = (torch.randn(given.images.shape, generator=given.generator).double().numpy() for _ in range(2))
    given.generator.set_state(state)

    def features(x: Array) -> tuple[Array, Array]:
        maps = x * kernel[:, None, None]
        variance = maps.var(axis=(0, 2, 3))
        return np.maximum(
            (maps - maps.mean(axis=(0, 2, 3))[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None], 0
        ), variance

    (before, variance), (after, _) = features(images), features(images + 0.01 * change)
    expected = math.log(np.abs(before - after).mean()) + 0.5 * math.log(variance.mean())
    assert get("zen").score(given) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", names())
def test_score_leaves_the_network_as_it_was(name: str) -> None:
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)
    ).double()
    given = subject(layers)
    before = {key: tensor.clone() for key, tensor in layers.named_parameters()}
    get(name).score(given)
    assert layers.training
    assert all(parameter.dtype == torch.float64 for parameter in layers.parameters())
    for key, parameter in layers.named_parameters():
        assert torch.equal(parameter, before[key]), key


@pytest.mark.parametrize("name", ["jacov", "nwot"])
def test_undefined_score_is_nan(name: str) -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES, bias=False)).double()
    nn.init.zeros_(layers[1].weight)
    assert math.isnan(get(name).score(subject(layers)))


def test_unknown_score_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="naswot.*nwot"):
        get("naswot")

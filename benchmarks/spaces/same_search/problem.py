"""What the searches share: the network for given layers, and its training on the diabetes data, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn import functional as F

WIDTHS, ACTIVATIONS, RATES = [8, 16, 32, 64], ["ReLU", "GELU", "Tanh"], [0.0, 0.2, 0.4]
CANDIDATES, EPOCHS = 60, 27


def perceptron(layers: Iterable[tuple[int, str, float]]) -> nn.Module:
    """Return a network from ten measurements to one figure, of layers `(width, activation, dropout rate)`."""
    made: list[nn.Module] = []
    size = 10
    for width, activation, rate in layers:
        made += [nn.Linear(size, width), getattr(nn, activation)(), nn.Dropout(rate)]
        size = width
    return nn.Sequential(*made, nn.Linear(size, 1))


def training(model: nn.Module, epochs: int = EPOCHS) -> Iterator[float]:
    """Train a network and yield R2 on every fourth patient after each epoch."""
    inputs, targets = (torch.as_tensor(each).float() for each in load_diabetes(return_X_y=True))
    held = torch.arange(len(targets)) % 4 == 0
    inputs, targets = inputs / inputs[~held].std(0), (targets - targets[~held].mean()) / targets[~held].std()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    for _ in range(epochs):
        for batch in torch.randperm(int((~held).sum())).split(32):
            optimizer.zero_grad()
            F.mse_loss(model.train()(inputs[~held][batch])[:, 0], targets[~held][batch]).backward()
            optimizer.step()
        with torch.no_grad():
            error = F.mse_loss(model.eval()(inputs[held])[:, 0], targets[held])
        yield float(1 - error / targets[held].var(correction=0))

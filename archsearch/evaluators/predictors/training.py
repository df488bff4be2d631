"""The training loop of all predictors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archsearch.evaluators.predictors.model import ComparingModel, ScoringModel
from archsearch.evaluators.predictors.stacked import FlatParameters, Generators, drawn


def train(
    model: ScoringModel | ComparingModel,
    parameters: FlatParameters,
    optimizer: torch.optim.Optimizer,
    tensors: Sequence[Tensor],
    targets: Tensor,
    generators: Generators,
    *,
    epochs: int,
    batch_size: int,
    rungs: Tensor | None = None,
) -> None:
    """Train a model in place; each architecture is encoded once a step, however many pairs it is in.

    Each member has its own order of the architectures, pairs and dropout. An epoch is cut into as few steps as `batch_size`
    allows, of equal size but for one, so that no step is left with a single architecture.

    Args:
        model: The model.
        parameters: Its parameters.
        optimizer: Optimizer of the parameters.
        tensors: Tensors that the encoder reads, `[architectures, ...]` each.
        targets: `[architectures]`.
        generators: One for each member.
        epochs: Passes over the architectures.
        batch_size: Largest number of architectures in a step.
        rungs: `[architectures]`, for pairs within rungs alone; None pairs all.
    """
    size, members = len(targets), len(generators)
    steps = -(-size // batch_size)
    whole = None if rungs is None else rungs.expand(members, -1)
    full = [model.batch([tensor.unsqueeze(0) for tensor in tensors], targets.expand(members, -1), whole)] if steps == 1 else None
    model.train()
    for _ in range(epochs):
        parts = _orders(size, generators).tensor_split(steps, dim=1) if steps > 1 else []
        for batch in full or (
            model.batch([tensor[rows] for tensor in tensors], targets[rows], None if rungs is None else rungs[rows])
            for rows in parts
        ):
            parameters.derive(model.loss(batch).sum())
            optimizer.step()
    model.eval()


def _orders(size: int, generators: Generators) -> Tensor:
    """Return a random order for each member, `[members, size]`."""
    return drawn(generators, lambda g: torch.randperm(size, generator=g, device=g.device))

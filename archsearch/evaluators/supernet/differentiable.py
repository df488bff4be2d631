"""A supernet whose operators are mixed by weights that gradients change (DARTS).

H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from archsearch.declarations import AtLeast, Between
from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.saved_state import taking_over
from archsearch.evaluators.supernet.memory import StepMemory, step_memory
from archsearch.evaluators.supernet.mixture import MixedPlan, mixed_plan
from archsearch.evaluators.supernet.places import Places
from archsearch.evaluators.supernet.shared_weights import Key, SharedWeights
from archsearch.evaluators.supernet.supernet import Supernet
from archsearch.spaces import SearchSpace
from archsearch.spaces.plan import Plan

_POINTS = 50
_BASELINE = 0.9
_WIRINGS = 64
_EPSILON = 0.01


class DifferentiableSupernet(Supernet):
    """A supernet with a mixture of all operators at every place, `sum over o of softmax(alpha)_o * o(x)` (equation 2).

    A step takes two batches, from two halves of the training images. With L_val on the one and L_train on the other:

        alpha <- alpha - adam(d/d alpha L_val(w - xi * dL_train/dw, alpha))        equation 6
        w     <- w - rate * dL_train(w, alpha)/dw

    `order=1` takes xi = 0. `order=2` takes xi = rate, and for the second derivative the finite difference of equation 8:
    `(dL_train(w+)/d alpha - dL_train(w-)/d alpha) / (2 epsilon)` with `w+- = w +- epsilon * dL_val/dw'` and
    `epsilon = 0.01 / |dL_val/dw'|`.

    Genes that choose no operator, such as the nodes that a node reads, have a softmax too. One wiring is drawn from it for each
    step, and the score-function gradient of L_val, minus its moving mean, changes it. (In the paper each node reads all earlier
    ones, and two are kept.) NAS-Bench-201 has no such genes.

    Args:
        space: Space of the candidates; see `Places`.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, images and wirings.
        order: 1 or 2; see above.
        alpha_learning_rate: Learning rate of Adam for alpha. The paper's, 3e-4, is for some 20,000 steps.
        alpha_weight_decay: Weight decay of Adam for alpha.
        warmup: Share of the steps before which alpha does not change.
        **options: As for `Supernet`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.differentiable import DifferentiableSupernet
        >>> space, scale = spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}
        >>> supernet = DifferentiableSupernet(space, "digits", order=2, scale=scale, batch_size=8).fit(steps=2)
        >>> [len(each) for each in supernet.probabilities()]
        [5, 5, 5, 5, 5, 5]
    """

    title = "darts"

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        order: Annotated[int, Between(1, 2)] = 1,
        alpha_learning_rate: Annotated[float, Between(0.0, 10.0)] = 0.01,
        alpha_weight_decay: Annotated[float, AtLeast(0.0)] = 1e-3,
        warmup: Annotated[float, Between(0.0, 1.0)] = 0.1,
        **options: Any,
    ) -> None:
        self.places = Places.of(space)
        super().__init__(space, dataset, seed, **options)
        self.order = order
        self._alpha_settings = {"lr": alpha_learning_rate, "weight_decay": alpha_weight_decay}
        self.warmup = warmup
        self.alpha_learning_rate, self.alpha_weight_decay = alpha_learning_rate, alpha_weight_decay
        self.alpha = [torch.zeros(size, requires_grad=True) for size in self.places.sizes]
        self._optimizer = self._adam()
        self._mean_loss: float | None = None
        self.history: list[tuple[int, list[float]]] = []
        """Steps done, and the probabilities of all alternatives of all genes, at up to 50 points of the training."""
        self._mixed = lru_cache(maxsize=_WIRINGS)(self._compiled)

    def probabilities(self) -> list[Tensor]:
        """Return the softmax of alpha for each gene, `[alternatives]` each."""
        return [torch.softmax(each.detach(), 0) for each in self.alpha]

    def memory(self) -> StepMemory:
        """Return the memory of activations in a training step; the images are loaded.

        Raises:
            DatasetError: The images cannot be loaded.
        """
        shape, classes = self.images.input_shape, self.images.num_classes
        return step_memory(self.space, shape, self.recipe.batch_size, classes, **self.scale)

    def fit(self, steps: int, **how: Any) -> DifferentiableSupernet:
        """Train; see `Supernet.fit`.

        Raises:
            ConfigurationError: As there; or a mixed step needs more memory than there is; or alpha is not finite any more.
            DatasetError: The images cannot be loaded, or are too few for two halves.
        """
        self.memory().check(self.recipe.batch_size, device_named(self.device))
        return super().fit(steps, **how)

    def mixed(self, wiring: Sequence[int]) -> MixedPlan:
        """Return the network with a mixture at each place, for the wiring of a genotype.

        Raises:
            ConfigurationError: Networks of the space differ by more than the operators of their places.
        """
        return self._mixed(tuple(wiring))

    def state(self) -> dict[str, Any]:
        moments = self._optimizer.state_dict()["state"]
        return {
            **super().state(),
            "alpha": [each.detach().clone() for each in self.alpha],
            "moments": {number: {name: value.clone() for name, value in each.items()} for number, each in moments.items()},
            "mean_loss": self._mean_loss,
            "history": [(step, list(row)) for step, row in self.history],
        }

    def load(self, state: Mapping[str, Any]) -> DifferentiableSupernet:
        super().load(state)
        with taking_over("darts evaluator"):
            for own, given in zip(self.alpha, state["alpha"], strict=True):
                if own.shape != given.shape:
                    raise ValueError(f"alpha of {tuple(given.shape)}")
                own.data.copy_(given)
            self._optimizer = self._adam()
            groups = self._optimizer.state_dict()["param_groups"]
            moments = {number: {name: value.clone() for name, value in each.items()} for number, each in state["moments"].items()}
            self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self._mean_loss = state["mean_loss"]
            self.history = [(int(step), list(map(float, row))) for step, row in state["history"]]
        return self

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "method": {"order": self.order, "warmup": self.warmup, **self._alpha_settings}}

    def _adam(self) -> torch.optim.Adam:
        rate, decay = self._alpha_settings["lr"], self._alpha_settings["weight_decay"]
        return torch.optim.Adam(self.alpha, lr=rate, betas=(0.5, 0.999), weight_decay=decay)

    @cached_property
    def _parts(self) -> tuple[Resident, Resident]:
        return self.halves()

    def _compiled(self, wiring: tuple[int, ...]) -> MixedPlan:
        return mixed_plan(self.space, self.places, wiring, self._plan_of)

    def _plan_of(self, genotype: Sequence[int]) -> Plan:
        return self.path(self.space.from_genotype(genotype))

    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        for_weights, for_alpha = self._parts
        generator = self.generator(number)
        wiring = self._drawn(np.random.default_rng([self.seed, number]))
        mixed = self.mixed(wiring)
        keys = weights.grow(mixed.reads)
        train, choice = self.batch(for_weights, generator), self.batch(for_alpha, generator)
        rate = self.learning_rate(number, steps)
        if number >= self.warmup * steps:
            self._choose(weights, keys, mixed, wiring, train, choice, rate)
        probabilities = self.probabilities()
        value = self.train(weights, keys, lambda: self._loss(mixed, weights.values, probabilities, train), rate)
        if number % max(1, steps // _POINTS) == 0 or number + 1 == steps:
            self.history.append((number + 1, torch.cat(self.probabilities()).tolist()))
        return value

    def _drawn(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Return a genotype with a random wiring; its places are 0."""
        genotype = [0] * len(self.places.sizes)
        probabilities = self.probabilities()
        for gene in self.places.wiring:
            shares = probabilities[gene].double().numpy()
            genotype[gene] = int(rng.choice(len(shares), p=shares / shares.sum()))
        return tuple(genotype)

    def _loss(self, mixed: MixedPlan, values: Mapping[Key, Tensor], probabilities: Sequence[Tensor], batch: Resident) -> Tensor:
        """Return the mean loss over exits of the mixed network."""
        task = self.images.prediction or Classification()
        classes = self.class_weights(self.recipe.class_weights)
        on_device = [each.to(batch.images.device) for each in probabilities]
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=batch.images.is_cuda):
            exits = [logits.float() for logits in mixed.apply(batch.images, values, on_device)]
        return torch.stack([task.loss(logits, batch.labels, classes) for logits in exits]).mean()

    def _choose(
        self,
        weights: SharedWeights,
        keys: Sequence[Key],
        mixed: MixedPlan,
        wiring: Sequence[int],
        train: Resident,
        choice: Resident,
        rate: float,
    ) -> None:
        """Take a step for alpha.

        Raises:
            ConfigurationError: Alpha is not finite any more.
        """
        operators = [self.alpha[gene] for gene in self.places.operators]
        gradients, loss = self._alpha_gradients(weights, keys, mixed, train, choice, rate, operators)
        mean = loss if self._mean_loss is None else self._mean_loss
        self._mean_loss = _BASELINE * mean + (1.0 - _BASELINE) * loss
        self._optimizer.zero_grad()
        for alpha, gradient in zip(operators, gradients, strict=True):
            alpha.grad = gradient
        for gene in self.places.wiring:
            # d/d alpha of log softmax(alpha)_k is the one-hot vector of k minus the softmax.
            softmax = torch.softmax(self.alpha[gene].detach(), 0)
            one_hot = torch.nn.functional.one_hot(torch.tensor(wiring[gene]), len(softmax)).to(softmax)
            self.alpha[gene].grad = (loss - mean) * (one_hot - softmax)
        self._optimizer.step()
        if not all(bool(each.isfinite().all()) for each in self.alpha):
            raise ConfigurationError(
                f"alpha_learning_rate: expected one with which the weights of the operators stay finite; with "
                f"{self._alpha_settings['lr']:g} they were not after step {self.steps_done + 1}, where the loss was {loss:g}. "
                "Lower it, or the learning_rate of the network."
            )

    def _alpha_gradients(
        self,
        weights: SharedWeights,
        keys: Sequence[Key],
        mixed: MixedPlan,
        train: Resident,
        choice: Resident,
        rate: float,
        operators: Sequence[Tensor],
    ) -> tuple[list[Tensor], float]:
        """Return the gradient of equation 6, or 7, for each place, and L_val."""
        held = weights.values
        if self.order == 1:
            loss = self._loss(mixed, held, self._soft(), choice)
            return list(torch.autograd.grad(loss, operators, materialize_grads=True)), float(loss.detach())
        moved = self._moved(held, keys, self._weight_gradients(held, keys, mixed, train), -rate, grad=True)
        loss = self._loss(mixed, moved, self._soft(), choice)
        found = torch.autograd.grad(loss, [*operators, *(moved[key] for key in keys)], materialize_grads=True)
        first, direction = found[: len(operators)], found[len(operators) :]
        norm = float(torch.nn.utils.get_total_norm(direction))
        if not math.isfinite(norm) or norm == 0.0 or rate == 0.0:
            return list(first), float(loss.detach())
        epsilon = _EPSILON / norm
        sides = []
        for sign in (1.0, -1.0):
            near = self._moved(held, keys, direction, sign * epsilon)
            sides.append(torch.autograd.grad(self._loss(mixed, near, self._soft(), train), operators, materialize_grads=True))
        second = [(plus - minus) / (2.0 * epsilon) for plus, minus in zip(*sides, strict=True)]
        return [one - rate * two for one, two in zip(first, second, strict=True)], float(loss.detach())

    def _soft(self) -> list[Tensor]:
        return [torch.softmax(each, 0) for each in self.alpha]

    def _weight_gradients(
        self, values: Mapping[Key, Tensor], keys: Sequence[Key], mixed: MixedPlan, batch: Resident
    ) -> Sequence[Tensor]:
        leaves = {key: values[key].detach().requires_grad_() for key in keys}
        loss = self._loss(mixed, leaves, self.probabilities(), batch)
        return torch.autograd.grad(loss, [leaves[key] for key in keys], materialize_grads=True)

    @staticmethod
    def _moved(
        values: Mapping[Key, Tensor], keys: Sequence[Key], direction: Sequence[Tensor], length: float, grad: bool = False
    ) -> dict[Key, Tensor]:
        """Return the weights after a step of a length along a direction; `values` stay as they are."""
        moved = {key: (values[key].detach() + length * step).detach() for key, step in zip(keys, direction, strict=True)}
        return {key: value.requires_grad_() for key, value in moved.items()} if grad else moved

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_mixed", "_parts")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mixed = lru_cache(maxsize=_WIRINGS)(self._compiled)

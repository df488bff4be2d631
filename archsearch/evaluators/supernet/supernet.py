"""The base of evaluators whose candidates are paths through one network and share its weights."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError, DatasetError, check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.ghn.recipe_evaluator import RecipeEvaluator
from archsearch.evaluators.ghn.scoring import score, training_loss
from archsearch.evaluators.ghn.step_loop import Pace, Report, print_line, run_steps
from archsearch.evaluators.saved_state import check_identity, read_state, taking_over, write_state
from archsearch.evaluators.supernet.shared_weights import Key, SharedWeights, reads_of
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.module import ModuleSpace
from archsearch.spaces.plan import Plan

_VERSION = 1
_CLIP = 5.0
_REMEDY = "Use the arguments of the saved one."


class Supernet(RecipeEvaluator):
    """A network with every operator of a space at every place, whose weights are stored once; candidates are paths through it.

    A subclass says by `_step` which part of the network a training step takes: one path, or a mixture of all operators.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, paths and images.
        **options: Those of `RecipeEvaluator`: `recipe`, `spec`, `device`, `threads`, `root`, `scale`, `objective`, `max_budget`,
            and changes to the recipe, such as `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space is a `ModuleSpace`.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.supernet import Supernet
        >>> class OnePath(Supernet):  # trains the same architecture in each step
        ...     def _step(self, weights, number, steps):
        ...         batch = self.batch(self.training_images(), self.generator(number))
        ...         path = self.plan(self.space, self.space.from_genotype([1, 3, 1, 2, 1, 1]))
        ...         return self.train_path(weights, path, batch, self.learning_rate(number, steps))
        >>> scale = {"channels": 4, "cells_per_stage": 1}
        >>> OnePath(spaces.get("nasbench201"), "digits", scale=scale).fit(steps=2).steps_done
        2
    """

    title: ClassVar[str] = "supernet"
    """What messages call the evaluator."""
    weights: SharedWeights | None = None
    steps_done: int = 0

    def __init__(self, space: SearchSpace, dataset: str | Splits, seed: int = 0, **options: Any) -> None:
        if isinstance(space, ModuleSpace):
            raise ConfigurationError(
                f"space: expected one whose networks share the operators of their nodes; the modules of {space.name} share none. "
                "Take GHN, or the training evaluator."
            )
        super().__init__(space, dataset, seed, **options)

    def settings(self) -> Mapping[str, Any]:
        return {**super().settings(), "weights": self._digest()}

    def fit(
        self,
        steps: int,
        *,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 60.0,
        report: Report = print_line,
    ) -> Self:
        """Train until the total number of steps is `steps`, and return the evaluator; see `GHN.fit`.

        Raises:
            ConfigurationError: `steps` is not a positive whole number, the checkpoint is of another evaluator, or the training
                diverged.
            DatasetError: The images cannot be loaded.
        """
        check_whole_number("steps", steps)
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            state = read_state(path)
            check_identity(state, self.identity(), _REMEDY)
            self.load(state)
        with self.own_threads():
            weights = self.weights = self.weights or SharedWeights(self.seed, device_named(self.device))
            save = None if path is None else lambda: write_state(path, self.state())
            pace = Pace(report, save, checkpoint_seconds)

            def take(number: int) -> float:
                value = self._step(weights, number, steps)
                self.steps_done = number + 1
                return value

            run_steps(self.steps_done, steps, take, pace)
        return self

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        weights = self._fitted()
        if not architectures:
            return []
        with self.own_threads():
            batches = self.batches()
            return [self._evaluate(weights, architecture, batches) for architecture in architectures]

    def state(self) -> dict[str, Any]:
        """Return the shared weights, as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        weights = self._fitted()
        return {**self._identity(), "task": self.task, "seed": self.seed, "steps": self.steps_done, **weights.state()}

    def load(self, state: Mapping[str, Any]) -> Self:
        """Restore the saved state of an evaluator with the same arguments (but the seed), and return this one.

        Raises:
            ConfigurationError: The state is of another version, space, dataset, size or recipe, or corrupt.
        """
        with taking_over(f"{self.title} evaluator"):
            check_identity(state, self._identity(), _REMEDY)
            weights, steps = SharedWeights(state["seed"], device_named(self.device)), int(state["steps"])
            weights.load(state)
        self.weights, self.steps_done = weights, steps
        return self

    def identity(self) -> dict[str, Any]:
        """Return all that a fit depends on but the number of its steps, as plain data: the key of a cache of trained states."""
        return {**self._identity(), "seed": self.seed}

    # Methods for subclasses

    @abstractmethod
    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        """Take a training step; return its loss, or NaN when the gradient was not finite and the step was left out."""

    def generator(self, number: int) -> torch.Generator:
        """Return the random generator of the images of a step: from the seed and the step's number alone."""
        seeds = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=seeds)))

    def halves(self) -> tuple[Resident, Resident]:
        """Return two random halves of the training images: those that the weights learn from, and those that choose operators.

        Raises:
            DatasetError: A half has less than one batch.
        """
        part = self.training_images()
        if len(part) < 2 * self.recipe.batch_size:
            raise DatasetError(
                f"dataset: expected at least {2 * self.recipe.batch_size} training images, a batch of {self.recipe.batch_size} "
                f"for the weights and another for what chooses the operators; {self.images.recipe_name} has {len(part)}. Give "
                "more images, or a smaller batch_size."
            )
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(self.seed)).to(part.labels.device)
        first, second = order.tensor_split(2)
        return Resident(part.images[first], part.labels[first]), Resident(part.images[second], part.labels[second])

    def path(self, architecture: Architecture) -> Plan:
        """Return the network of an architecture, a path through the supernet."""
        return self.plan(self.space, architecture)

    def path_loss(self, weights: SharedWeights, plan: Plan, batch: Resident) -> Tensor:
        """Return the loss of a path on a batch, see `training_loss`."""
        classes = self.class_weights(self.recipe.class_weights)
        return training_loss(plan, weights.parameters(plan), batch, batch.images.is_cuda, classes, self.images.prediction)

    def path_figures(self, weights: SharedWeights, plan: Plan, batch: Resident) -> tuple[float, float]:
        """Return the figure of the task and the loss of a path on a batch, those of its last exit; see `score`."""
        figures = score(plan, weights.parameters(plan), [batch], batch.images.is_cuda, self.images.prediction)
        figure, loss = figures[-1].tolist()
        return float(figure), float(loss)

    def train_path(self, weights: SharedWeights, plan: Plan, batch: Resident, rate: float) -> float:
        """Train the weights of one path on a batch; return its loss, or NaN when the gradient was not finite."""
        keys = weights.grow(reads_of(plan).values())
        return self.train(weights, keys, lambda: self.path_loss(weights, plan, batch), rate)

    def train(self, weights: SharedWeights, keys: Sequence[Key], loss_of: Callable[[], Tensor], rate: float) -> float:
        """Take a step of gradient descent for some weights; the norm of the gradient is cut to 5.

        Returns:
            The loss, or NaN when the gradient was not finite; the weights are then as they were.
        """
        for key in keys:
            weights.values[key].requires_grad_()
        loss = loss_of()
        gradients = torch.autograd.grad(loss, [weights.values[key] for key in keys], materialize_grads=True)
        for key in keys:
            weights.values[key].requires_grad_(False)
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            return math.nan
        shrunk = min(1.0, _CLIP / (norm + 1e-6))
        weights.descend(
            keys,
            [shrunk * each for each in gradients],
            rate=rate,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )
        return float(loss.detach())

    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "space": repr(self.space),
            "dataset": self.images.digest,
            "scale": dict(self.scale),
            "recipe": self.recipe_settings(),
        }

    def _fitted(self) -> SharedWeights:
        if self.weights is None:
            raise ConfigurationError(f"{self.title}: it has learned nothing yet; call fit or load first.")
        return self.weights

    def _digest(self) -> str:
        if self.weights is None:
            return "untrained"
        digest = hashlib.blake2b(str(self.weights.seed).encode(), digest_size=8)
        for key in sorted(self.weights.values):
            digest.update("|".join(key).encode())
            digest.update(self.weights.values[key].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _evaluate(self, weights: SharedWeights, architecture: Architecture, batches: Sequence[Resident]) -> Evaluation:
        def exits() -> list[tuple[float, float]]:
            plan = self.path(architecture)
            figures = score(plan, weights.parameters(plan), batches, batches[0].images.is_cuda, self.images.prediction)
            return [(float(right), float(loss)) for right, loss in figures.tolist()]

        return self.guarded(architecture, exits, "the shared weights give a loss of {}, which is not finite.")

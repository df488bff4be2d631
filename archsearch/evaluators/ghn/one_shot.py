"""The one-shot evaluator: candidates are paths through one network and share its weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.errors import ConfigurationError, check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.ghn.recipe_evaluator import RecipeEvaluator
from archsearch.evaluators.ghn.scoring import score, training_loss
from archsearch.evaluators.ghn.shared_weights import SharedWeights
from archsearch.evaluators.ghn.step_loop import Pace, Report, print_line, run_steps
from archsearch.evaluators.saved_state import check_identity, read_state, taking_over, write_state
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.module import ModuleSpace

_VERSION = 1
_CLIP = 5.0
_REMEDY = "Use the arguments of the saved one."


class OneShot(RecipeEvaluator):
    """Scores architectures by the validation accuracy of paths through one network that holds them all.

    The baseline of the GHN paper (C. Zhang, M. Ren, R. Urtasun, ICLR 2019, section 5.3): each node keeps weights for each
    operator, and a random path is trained on each batch of images, as in ENAS (H. Pham et al., ICML 2018, arXiv 1802.03268).

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, paths and images.
        recipe: Training recipe without its epochs; None takes the one for the dataset, with batches of 64 images. The learning
            rate falls to zero along half a cosine.
        spec: Validation images that score a candidate, and their batches; None takes all images.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: Figure that is the score: the usual one of the task, which None takes, or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        **changes: Changes to the recipe, such as `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space is a `ModuleSpace`.
        DatasetError: The dataset is unknown.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import OneShot
        >>> space = spaces.get("nasbench201")
        >>> supernet = OneShot(space, "digits", scale={"channels": 4, "cells_per_stage": 1}).fit(steps=3)
        >>> [evaluation] = supernet.evaluate([space.sample(np.random.default_rng(0))])
        >>> 0.0 <= evaluation.score <= 1.0
        True
    """

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
    ) -> OneShot:
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
            check_identity(state, self._identity() | {"seed": self.seed}, _REMEDY)
            self.load(state)
        with self.own_threads():
            weights = self.weights = self.weights or SharedWeights(self.seed, device_named(self.device))
            save = None if path is None else lambda: write_state(path, self.state())
            pace = Pace(report, save, checkpoint_seconds)
            run_steps(self.steps_done, steps, lambda number: self._step(weights, number, steps), pace)
        return self

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        if self.weights is None:
            raise ConfigurationError("one-shot: it has learned nothing yet; call fit or load first.")
        if not architectures:
            return []
        with self.own_threads():
            weights, batches = self.weights, self.batches()
            return [self._evaluate(weights, architecture, batches) for architecture in architectures]

    def state(self) -> dict[str, Any]:
        """Return the shared weights, as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        if self.weights is None:
            raise ConfigurationError("one-shot: it has learned nothing yet; call fit or load first.")
        return {**self._identity(), "task": self.task, "seed": self.seed, "steps": self.steps_done, **self.weights.state()}

    def load(self, state: Mapping[str, Any]) -> OneShot:
        """Restore the saved state of an evaluator with the same arguments (but the seed), and return this one.

        Raises:
            ConfigurationError: The state is of another version, space, dataset, size or recipe, or corrupt.
        """
        with taking_over("one-shot evaluator"):
            check_identity(state, self._identity(), _REMEDY)
            weights, steps = SharedWeights(state["seed"], device_named(self.device)), int(state["steps"])
            weights.load(state)
        self.weights, self.steps_done = weights, steps
        return self

    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "space": repr(self.space),
            "dataset": self.images.digest,
            "scale": dict(self.scale),
            "recipe": self.recipe_settings(),
        }

    def _digest(self) -> str:
        if self.weights is None:
            return "untrained"
        digest = hashlib.blake2b(str(self.weights.seed).encode(), digest_size=8)
        for key in sorted(self.weights.values):
            digest.update("|".join(key).encode())
            digest.update(self.weights.values[key].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        """Train one path on one batch; return its loss, or NaN when the gradient was not finite and the step was skipped."""
        rng = np.random.default_rng([self.seed, number])
        plan = self.plan(self.space, self.space.sample(rng))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self.batch(self.training_images(), generator)
        keys = weights.grow(plan)
        for key in keys:
            weights.values[key].requires_grad_()
        classes = self.class_weights(self.recipe.class_weights)
        loss = training_loss(plan, weights.parameters(plan), batch, batch.images.is_cuda, classes, self.images.prediction)
        gradients = torch.autograd.grad(loss, [weights.values[key] for key in keys], materialize_grads=True)
        for key in keys:
            weights.values[key].requires_grad_(False)
        self.steps_done = number + 1
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            return math.nan
        shrunk = min(1.0, _CLIP / (norm + 1e-6))
        weights.descend(
            keys,
            [shrunk * each for each in gradients],
            rate=self.learning_rate(number, steps),
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )
        return float(loss.detach())

    def _evaluate(self, weights: SharedWeights, architecture: Architecture, batches: Sequence[Resident]) -> Evaluation:
        def exits() -> list[tuple[float, float]]:
            plan = self.plan(self.space, architecture)
            figures = score(plan, weights.parameters(plan), batches, batches[0].images.is_cuda, self.images.prediction)
            return [(float(right), float(loss)) for right, loss in figures.tolist()]

        return self.guarded(architecture, exits, "the shared weights give a loss of {}, which is not finite.")

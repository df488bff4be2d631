"""The context of a training function: seed, device, reports and the checkpoint of its candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from archsearch.errors import ConfigurationError, wrong_kind
from archsearch.spaces import Architecture

if TYPE_CHECKING:
    from archsearch.evaluators.datasets import Splits

_KEPT = "kept.pt"


class HasState(Protocol):
    """Something whose state can be saved, such as a module or an optimizer."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a state over."""


Report = Callable[[Any, Any, Mapping[str, Any]], None]


class TrainingContext:
    """The second argument of a function that trains and scores a candidate.

    Args:
        architecture: The candidate.
        seed: A seed of its own for this candidate.
        device: Where to train.
        steps: Number of steps of a complete training, as the evaluator was told; None if it was not.
        settings: The settings that the evaluator was given for the function.
        checkpoint: Folder for the function's own checkpoint.
        costs: Returns the costs of the candidate by name.
        splits: Returns the images; None if the evaluator names no dataset.
        report: Takes a step, a score and metrics.

    Attributes:
        architecture: The candidate.
        seed: A seed of its own for this candidate. The global generators of Python, NumPy and PyTorch are seeded with it already,
            and after each report again, with seed and step: a function that goes on from its checkpoint draws the same numbers.
        device: Where to train: a `torch.device`. The model is there already.
        steps: Number of steps of a complete training, as the evaluator was told; None if it was not.
        settings: The settings that the evaluator was given for the function, by name.
        checkpoint: Folder for checkpoints, empty when a candidate begins. What the function has written there before it reports a
            step is there again when it is called anew to go on after that step. `keep` does this for what has a `state_dict`.

    Example:
        >>> def train(model, context):
        ...     optimizer = torch.optim.SGD(model.parameters(), context.settings["learning_rate"])
        ...     for epoch in range(context.keep(model, optimizer), context.steps):
        ...         ...  # train for an epoch, measure the accuracy
        ...         context.report(epoch + 1, accuracy)
        ...     return accuracy
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int,
        device: torch.device,
        steps: int | None,
        settings: Mapping[str, Any],
        checkpoint: Path,
        costs: Callable[[], Mapping[str, float]],
        splits: Callable[[], Splits] | None,
        report: Report,
    ) -> None:
        self.architecture, self.seed, self.device, self.steps = architecture, seed, device, steps
        self.settings, self.checkpoint = settings, checkpoint
        self._costs, self._splits, self._report = costs, splits, report
        self._kept: tuple[HasState, ...] = ()

    @property
    def cost(self) -> Mapping[str, float]:
        """Costs of the candidate by name: `params` and `macs`."""
        return self._costs()

    @property
    def dataset(self) -> Splits:
        """The images that the evaluator names: `train`, `validation` and `test`, loaded once a process.

        Raises:
            ConfigurationError: It names none.
            DatasetError: They cannot be read.
        """
        if self._splits is None:
            raise ConfigurationError(
                "dataset: the function asks for context.dataset, but the evaluator names none. Give it one, such as "
                "FunctionEvaluator(space, train, dataset='digits') or --train dataset=digits."
            )
        return self._splits()

    def keep(self, *objects: HasState) -> int:
        """Save what these objects hold with each report, and give them now what was saved, if the function goes on.

        Args:
            *objects: What training changes: model, optimizer, learning rate schedule, ...; anything with `state_dict` and
                `load_state_dict`.

        Returns:
            Number of steps that are done: 0 for a new candidate.

        Raises:
            ConfigurationError: An object has no state, or what was saved is that of other objects.
        """
        for each in objects:
            if not (callable(getattr(each, "state_dict", None)) and callable(getattr(each, "load_state_dict", None))):
                raise ConfigurationError(wrong_kind("keep", "objects with state_dict and load_state_dict, such as a model", each))
        self._kept, path = objects, self.checkpoint / _KEPT
        if not path.exists():
            return 0
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if len(saved["states"]) != len(objects):
            raise ConfigurationError(
                f"keep: expected {len(saved['states'])} objects, as when they were saved; got {len(objects)}."
            )
        for each, state in zip(objects, saved["states"], strict=True):
            each.load_state_dict(state)
        return int(saved["step"])

    def report(self, step: int, score: float, **metrics: float) -> None:
        """Report the score after a step, such as an epoch; write a checkpoint of your own before.

        If the search stops candidates early, the function may be paused here for a while, or ended by an exception that
        `except Exception` does not catch.

        Args:
            step: Number of steps that are done: from 1 on, each larger than the one before.
            score: The score now, as the function would return it.
            **metrics: Further figures by name.
        """
        if self._kept and self.steps is not None:  # else it is never paused
            torch.save({"step": step, "states": [each.state_dict() for each in self._kept]}, self.checkpoint / _KEPT)
        self._report(step, score, metrics)

"""The evaluator whose scores come from a function of the user."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from archsearch.errors import ConfigurationError, check_kind, check_whole_number, message_in_one_line
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.function.candidate_task import CandidateTask
from archsearch.evaluators.function.signature import check_function
from archsearch.evaluators.function.steps import FunctionSteps
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.source import defined_in, source_digest
from archsearch.evaluators.space_source import space_source
from archsearch.evaluators.stepwise import EvaluationSteps, StepwiseEvaluator
from archsearch.spaces import Architecture, SearchSpace

_log = logging.getLogger(__name__)

_MODES = ("max", "min")
_IMAGES = (3, 32, 32)
_CLASSES = 10


class FunctionEvaluator(StepwiseEvaluator):
    """Scores each candidate by a function of the user, which trains its model.

    The function takes the untrained model, on the device, and a `TrainingContext`. It returns the score: a number, or numbers by
    name, of which one is called `score_name`. The others are metrics. The model is that of the space:
    `space.module(architecture)` if the space has it, as a `ModuleSpace` does, else the network of `space.build`.

    If the function reports its score as it goes, with `context.report(step, score)`, and `steps` is given, schedulers can stop
    candidates early. The function runs in a thread, which waits in `report` while its candidate is paused. To go on in another
    process it is called anew: what it had written to `context.checkpoint` is there again.

    Evaluations are kept under the settings and the source of the function and of what it names in its module: see
    `source_digest`. The function that builds the modules of a `ModuleSpace` counts too. If the source changes, candidates are
    scored anew.

    Args:
        space: Space of the candidates.
        function: Takes (model, context) and returns the score. To be sent to workers it is best defined in a module.
        steps: Number of steps that it reports in a complete training, such as epochs. None evaluates candidates in one piece;
            what it reports is then recorded only.
        mode: `max` if a higher figure is better, `min` for a loss. The score is then the negative of what the function returns.
        score_name: Name of what the function returns; None is `score`, or `loss` with the mode `min`.
        percent: Whether that is a fraction from 0 to 1, such as an accuracy, which is shown in percent.
        metrics: Names of metrics that it returns and that objectives of a search may name.
        settings: Settings for the function, plain data by name: `context.settings`.
        dataset: Name of images as for `datasets.load`, such as `digits`, or splits in memory: `context.dataset`. None if the
            function brings its own data.
        seed: Seed of everything random.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of one training.
        root: Folder of downloaded datasets.
        input_shape: Channels, height and width of the images. None is that of the dataset, or 3 x 32 x 32; a `ModuleSpace` has
            example inputs of its own.
        num_classes: Number of outputs. None is that of the dataset, or 10; for a `ModuleSpace`, the default of its function.
        scale: Size of the networks; see `scale_defaults` of the space.

    Raises:
        ConfigurationError: `function` cannot be called with two arguments, or a setting is out of range.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import FunctionEvaluator
        >>> def smallness(model, context):
        ...     return {"score": -sum(each.numel() for each in model.parameters()), "layers": len(list(model.modules()))}
        >>> space = spaces.get("nasbench201")
        >>> evaluator = FunctionEvaluator(space, smallness, scale={"channels": 2, "cells_per_stage": 1})
        >>> [evaluation] = evaluator.evaluate([space.from_genotype([3, 0, 1, 0, 0, 1])])
        >>> evaluation.ok, sorted(evaluation.metrics)
        (True, ['layers'])
    """

    def __init__(
        self,
        space: SearchSpace,
        function: Callable[..., Any],
        *,
        steps: int | None = None,
        mode: str = "max",
        score_name: str | None = None,
        percent: bool = False,
        metrics: Iterable[str] = (),
        settings: Mapping[str, Any] | None = None,
        dataset: str | Splits | None = None,
        seed: int = 0,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        input_shape: Iterable[int] | None = None,
        num_classes: int | None = None,
        scale: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(space, seed)
        check_function(function)
        if mode not in _MODES:
            raise ConfigurationError(f"mode: expected max, or min for a loss; got {mode!r}.")
        for argument, value in (("steps", steps), ("num_classes", num_classes), ("threads", threads)):
            if value is not None:
                check_whole_number(argument, value)
        device_named(device)
        self.function, self.steps, self.device, self.threads = function, steps, device, threads
        self.given = _plain_settings(settings)
        self.images = None if dataset is None else ImageTask(dataset, root)
        self._lower = mode == "min"
        self._score_name = _score_name(score_name or ("loss" if self._lower else "score"))
        if self._lower and percent:
            raise ConfigurationError("percent: expected False with mode='min'; an accuracy is better if it is higher.")
        self._percent, self._metrics = percent, _names(metrics)
        check_kind("scale", scale, (Mapping, type(None)), "the size of the networks, such as {'channels': 8}")
        self.scale = space.checked_scale(scale or {})
        self._shape = None if input_shape is None else _shape(input_shape)
        self._classes = num_classes
        # Here, where the source is; of what builds the modules too, which changes as often as the function.
        self._source = "-".join([source_digest(function), *space_source(space).values()])
        self._noted = False

    @property
    def function_name(self) -> str:
        """Name of the function."""
        named = self.function.func if isinstance(self.function, functools.partial) else self.function
        return str(getattr(named, "__name__", type(named).__name__))

    @property
    def task(self) -> str:
        return self.images.name if self.images is not None else self.function_name

    @property
    def score_name(self) -> str:
        return self._score_name

    @property
    def score_is_fraction(self) -> bool:
        return self._percent

    @property
    def lower_is_better(self) -> bool:
        return self._lower

    @property
    def metric_names(self) -> tuple[str, ...]:
        return self._metrics

    @property
    def fidelity_name(self) -> str:
        return "steps"

    @property
    def max_fidelity(self) -> int:
        return self.steps or 1

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        shape: tuple[int, ...] | None = self._shape
        classes = self._classes
        if not _makes_modules(self.space):  # a module says itself what it takes; a network is made for images
            shape = shape or (self.images.input_shape if self.images is not None else _IMAGES)
            classes = classes or (self.images.num_classes if self.images is not None else _CLASSES)
        given = {"input_shape": shape, "num_classes": classes}
        return {**{name: value for name, value in given.items() if value is not None}, **self.scale}

    @property
    def source(self) -> str:
        """Hash of the source of the function, and of that which builds the modules of a `ModuleSpace`; see `source_digest`."""
        return self._source

    def settings(self) -> Mapping[str, Any]:
        # Device and threads are left out: they change the seconds, not what is measured.
        network = {name: list(value) if name == "input_shape" else value for name, value in self.cost_arguments.items()}
        return {
            "space": self.space.name,
            "function": self.function_name,
            "source": self._source,
            "settings": self.given,
            "steps": self.steps,
            "mode": "min" if self._lower else "max",
            "score": self._score_name,
            "dataset": None if self.images is None else self.images.full_digest,
            "network": network,
        }

    def facts(self) -> tuple[str, ...]:
        file = defined_in(self.function)
        better = "lower" if self._lower else "higher"
        steps = "in one piece" if self.steps is None else f"in {self.steps} steps"
        where = f" of {file}" if file else ""
        return (f"Scored by the function {self.function_name}{where} {steps}: {self._score_name}, {better} is better.",)

    def begin(self, architecture: Architecture) -> EvaluationSteps:
        key = self.space.key(architecture)
        return FunctionSteps(
            CandidateTask(
                architecture,
                key,
                f"{self.fingerprint()}-{self.seed}-{key}",
                self.function,
                self.function_name,
                seed=derived_seed(self.seed, key),
                device=self.device,
                threads=self.threads,
                steps=self.steps,
                score_name=self._score_name,
                lower_is_better=self._lower,
                settings=self.given,
                model=functools.partial(self.model, architecture),
                costs=functools.partial(self.costs, architecture),
                splits=None if self.images is None else lambda: self.images.splits,  # type: ignore[union-attr]
                started_over=self._note_start,
            )
        )

    def model(self, architecture: Architecture) -> nn.Module:
        """Return the untrained model of a candidate, which depends on the evaluator's seed and the candidate's key alone."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.space.key(architecture), "weights"))
        arguments = dict(self.cost_arguments)
        shape = arguments.pop("input_shape", None)
        if shape is not None:
            arguments["in_channels"] = shape[0]
        make = self.space.module if _makes_modules(self.space) else self.space.build  # type: ignore[attr-defined]
        module: nn.Module = make(architecture, generator=generator, **arguments)
        return module

    def _note_start(self, steps: int) -> None:
        if not self._noted:
            self._noted = True
            _log.warning(
                "%s wrote nothing to context.checkpoint, so it starts over where it should go on: %d steps are done again. "
                "Write a checkpoint before each report.",
                self.function_name,
                steps,
            )


def _makes_modules(space: SearchSpace) -> bool:
    return callable(getattr(space, "module", None))


def _plain_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    check_kind("settings", settings, (Mapping, type(None)), "settings for the function by name, such as {'learning_rate': 0.1}")
    plain = dict(settings or {})
    try:
        if json.loads(json.dumps(plain)) == plain:
            return plain
        reason = "tuples, and names that are no strings, do not stay what they are"
    except (TypeError, ValueError, RecursionError) as error:
        reason = message_in_one_line(error)
    raise ConfigurationError(
        f"settings: expected numbers, strings, lists and mappings with names ({reason}). Pass other objects "
        "by a module that the function imports."
    )


def _score_name(name: str) -> str:
    if not isinstance(name, str) or not name.isidentifier() or "test" in name.split("_"):
        raise ConfigurationError(f"score_name: expected a name such as accuracy, without 'test'; got {name!r}.")
    return name


def _names(names: Iterable[str]) -> tuple[str, ...]:
    check_kind("metrics", names, Iterable, "names of metrics, such as ['f1', 'loss']")
    found = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) and name for name in found):
        raise ConfigurationError(f"metrics: expected names that are strings; got {list(found)!r}.")
    return found


def _shape(shape: Iterable[int]) -> tuple[int, int, int]:
    sides = tuple(shape) if isinstance(shape, Iterable) else ()
    if len(sides) != 3:
        raise ConfigurationError(f"input_shape: expected channels, height and width, such as [3, 32, 32]; got {shape!r}.")
    for side in sides:
        check_whole_number("input_shape", side)
    return sides[0], sides[1], sides[2]

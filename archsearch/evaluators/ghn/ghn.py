"""The graph hypernetwork as an evaluator: it scores architectures with generated weights."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from archsearch.declarations import AtLeast
from archsearch.errors import ArchitectureError, ArchSearchError, ConfigurationError, check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.ghn.candidates import Scored, generated, scored, tensors_for
from archsearch.evaluators.ghn.graph_tensors import GraphTensors
from archsearch.evaluators.ghn.image_evaluator import ImageEvaluator
from archsearch.evaluators.ghn.modules import MODULE_PATTERNS, Layout, lay_out
from archsearch.evaluators.ghn.scoring import EvaluationSpec
from archsearch.evaluators.ghn.settings import Settings, settings_of
from archsearch.evaluators.ghn.step_loop import Pace, Progress, Report, print_line, run_steps
from archsearch.evaluators.ghn.traced_layout import TracedLayout, lay_out_module
from archsearch.evaluators.ghn.trained import Learned, trained_by, usable_with
from archsearch.evaluators.ghn.training import drawn_architectures, drawn_images, learning_rate, loss_of, take_step
from archsearch.evaluators.ghn.vocabulary import Vocabulary, survey, training_space
from archsearch.evaluators.saved_state import check_identity, read_state, taking_over, write_state
from archsearch.evaluators.space_source import space_source
from archsearch.evaluators.training.fitted_recipe import flips
from archsearch.evaluators.training.processes import Processes
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.module import ModuleOperator, ModuleSpace

_log = logging.getLogger(__name__)

_REMEDY = "Use the arguments of the saved one."
_OTHERS = "Take a searcher that needs no generated weights: gates, gp, ngae, evolution, optuna or random."


class GHN(ImageEvaluator):
    """Scores architectures by the validation accuracy of networks whose weights it generates from their graphs.

    C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, arXiv 1810.05749. A graph
    network runs over the graph of an architecture, module by module, and a hypernetwork makes the weights of each node from its
    state. Both are trained over random architectures, one or a few for each batch of images. Scores are meant to rank
    architectures: no candidate is trained, and accuracies are below those of trained networks.

    Generated networks are normalised by the statistics of each batch of validation images. The batches are fixed, and are a part
    of the settings. Besides `valid_accuracy` and `valid_loss` an evaluation has the metrics `generation_seconds` (network, graph
    and weights), `execution_seconds` (images), `nodes_beyond_training`, by how many nodes its largest module exceeds those
    trained on, and for classes `centred_loss`, the loss of logits less the mean of each class over the batch; networks with
    several exits have a curve `exit_accuracy`.

    Modules of a `ModuleSpace` that classify images are scored too. Weights are generated for their linear, convolution,
    normalisation and embedding layers and for attention. Others keep their initial values: `not_generated` lists them, and so
    does the log. Nothing is dropped out.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, and of the architectures and images in training.
        preset: `default` or `paper`; see `settings_of`.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: Figure that is the score: the usual one of the task, which None takes, or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        image_size: Side in pixels to which the images of training and scoring are reduced; None leaves them as they are. 32 x 32
            pixels reduced to 16 x 16 take half of the time of a step and a fifth of that of a score.
        **changes: Changes to the preset, such as `meta_batch=4`; see `Settings`.

    Raises:
        ConfigurationError: A setting is unknown or out of range; or the modules of a `ModuleSpace` take no images, or cannot be
            traced.
        DatasetError: The dataset is unknown.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import GHN
        >>> space = spaces.get("nasbench201")
        >>> ghn = GHN(space, "digits", scale={"channels": 4, "cells_per_stage": 1}).fit(steps=3)
        >>> [evaluation] = ghn.evaluate([space.sample(np.random.default_rng(0))])
        >>> 0.0 <= evaluation.score <= 1.0
        True
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        preset: str = "default",
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        objective: str | None = None,
        max_budget: float | None = None,
        image_size: Annotated[int, AtLeast(1)] | None = None,
        **changes: Any,
    ) -> None:
        name = dataset if isinstance(dataset, str) else "own"
        asked = settings_of(preset, name).with_changes(**changes)
        super().__init__(
            space,
            dataset,
            seed,
            spec=EvaluationSpec(images=asked.evaluation_images, batch=asked.evaluation_batch),
            device=device,
            threads=threads,
            root=root,
            scale=scale,
            objective=objective,
            max_budget=max_budget,
            image_size=image_size,
        )
        if isinstance(space, ModuleSpace):
            _check_modules(space)
        self._asked, self._chosen = asked, frozenset(changes)
        self._settings: Settings | None = None
        if asked.encoder == "flat" and isinstance(space, ModuleSpace):
            raise ConfigurationError(
                f"space: expected one whose architectures have a fixed list of genes, which the flat encoding reads; "
                f"{space.name} is made of modules. Take ghn, whose encoder reads the graph."
            )
        # Genotypes of smaller blocks have fewer genes, which a flat encoding cannot read.
        self.training_space = training_space(space, 0 if asked.encoder == "flat" else asked.training_nodes)
        self._learned: Learned | None = None
        self._origin: dict[str, Any] = {}
        self._digest: str | None = None
        self._kept: set[str] = set()

    @property
    def ghn_settings(self) -> Settings:
        """Settings of the hypernetwork; the images are loaded if mirroring depends on them, see `flips`."""
        if self._settings is None:
            asked, images = self._asked, self.images
            flip = flips(asked.flip, images.recipe_name, lambda: images.splits.train, self._chosen)
            self._settings = replace(asked, flip=flip)
        return self._settings

    @property
    def steps_done(self) -> int:
        """Training steps so far."""
        return self._learned.steps if self._learned else 0

    @property
    def not_generated(self) -> tuple[str, ...]:
        """Parameters of modules of the user that kept their initial values so far, with `#` for the numbers in their names."""
        return tuple(sorted(self._kept))

    def settings(self) -> Mapping[str, Any]:
        if self._digest is None:
            self._digest = self._learned.digest() if self._learned else "untrained"
        return {**super().settings(), "weights": self._digest}

    def steps_for(self, epochs: float) -> int:
        """Return the number of steps, at least 1, that take as many images as this number of passes over the training images.

        Raises:
            DatasetError: The images cannot be loaded.
        """
        return max(1, round(epochs * len(self.images.splits.train) / self.ghn_settings.batch_size))

    def recipe(self) -> dict[str, Any]:
        """Return all that a fit depends on but the number of its steps, as plain data: the key of a cache of trained states."""
        return {**self._usable_with(), **trained_by(self.training_space, self.images, self.ghn_settings, self.seed)}

    def fit(
        self,
        steps: int,
        *,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 60.0,
        report: Report = print_line,
        distributed: bool = False,
    ) -> GHN:
        """Train until the total number of steps is `steps`, and return the evaluator.

        A step takes one batch of images and `meta_batch` random architectures. A fit continued from a checkpoint equals one that
        was never interrupted.

        With `distributed=True` each process of the default group of `torch.distributed` calls this; a step takes a batch and
        architectures in each of them. `archsearch.cluster.train_ghn` does that on a Ray cluster.

        Args:
            steps: Steps in all, those of earlier fits and of the checkpoint included.
            checkpoint: A file, loaded first if it exists. It is written every `checkpoint_seconds`, at the end, and at an
                interruption.
            checkpoint_seconds: Seconds between two writings.
            report: Called with the progress every ten seconds.
            distributed: Whether the processes of a group train together. The checkpoint is then a file that all of them see.

        Raises:
            ConfigurationError: `steps` is not a positive whole number, the checkpoint is of another GHN, there is no process
                group, or the training diverged.
            DatasetError: The images cannot be loaded.
        """
        check_whole_number("steps", steps)
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._resume(read_state(path))
        processes = Processes.of_group() if distributed else Processes()
        with self.own_threads():
            learned = self._learned or self._fresh()
            self._learned, self._digest = learned, None
            save = None if path is None or not processes.first else lambda: write_state(path, self.state())
            pace = Pace(report if processes.first else _silent, save, checkpoint_seconds, self.ghn_settings.max_skips)
            generate = processes.shared(learned.model, learned.device)
            run_steps(learned.steps, steps, lambda number: self._step(learned, generate, number, steps, processes.rank), pace)
        return self

    def generate(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the weights of an architecture's network by the names of its `parameters`.

        `space.build(architecture, ...).load_state_dict(weights, strict=False)` puts them into a trainable network. Parameters on
        no path to an output are zero. Of a module of the user, those that are not generated are missing.

        Raises:
            ArchitectureError: The architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        learned = self._fitted()
        layout = self._layout(self.space, architecture)
        with self.own_threads():
            made = generated(learned.model, [layout]).candidates[0]
        if isinstance(layout, TracedLayout):
            [step] = layout.plan.steps
            return {f"steps.{step.name}.module.{name}": value for name, value in layout.by_name(made).items()}
        device, found = learned.model.kinds.device, {}
        for name, operator in layout.plan.operators.items():
            shapes = operator.parameter_shapes()
            for position, (parameter, shape) in enumerate(shapes.items()):
                value = made[name][position] if name in made else torch.zeros(shape, device=device)
                found[f"steps.{name}.{parameter.replace('.', '_')}"] = value
        return found

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        learned = self._fitted()
        with self.own_threads():
            started = time.perf_counter()
            layouts: list[Layout | str] = [self._laid_out(learned, architecture) for architecture in architectures]
            preparing = (time.perf_counter() - started) / max(1, len(layouts))
            usable = [layout for layout in layouts if not isinstance(layout, str)]
            found = scored(learned.model, usable, self.batches() if usable else [], self.images.prediction)
            return [
                self.failed(architecture, layout, preparing)
                if isinstance(layout, str)
                else self._evaluation(architecture, layout.num_nodes, preparing, next(found))
                for architecture, layout in zip(architectures, layouts, strict=True)
            ]

    def state(self) -> dict[str, Any]:
        """Return weights and optimizer as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return {**self._origin, "task": self.task, **self._fitted().state()}

    def load(self, state: Mapping[str, Any]) -> GHN:
        """Restore the saved state of a GHN with the same space, sizes and shape of images, and return the evaluator.

        Raises:
            ConfigurationError: The state is of another version, space, size, number of classes or shape of images, or corrupt.
        """
        with taking_over("GHN"):
            check_identity(state, self._usable_with(), _REMEDY)
            vocabulary = Vocabulary.from_state(state["vocabulary"])
            learned = Learned(vocabulary, self.ghn_settings, self.seed, device_named(self.device))
            learned.load(state)
            origin = {name: state[name] for name in self.recipe()}
        self._learned, self._digest, self._origin = learned, None, origin
        return self

    def _usable_with(self) -> dict[str, Any]:
        sizes = {"gene_sizes": self._gene_sizes()} if self.ghn_settings.encoder == "flat" else {}
        return {**usable_with(self.space, self.images, self.scale, self.ghn_settings), **space_source(self.space), **sizes}

    def _gene_sizes(self) -> list[int]:
        return [len(alternatives) for alternatives in self.space.choices.values()]

    def _fresh(self) -> Learned:
        sliced = self.ghn_settings.sliced_kernels
        trained_on = survey(self.training_space, lambda each: self._layout(self.training_space, each), sliced)
        if self.ghn_settings.encoder == "flat":
            trained_on = replace(trained_on, gene_sizes=tuple(self._gene_sizes()))
        if self._kept:
            _log.warning("ghn: no weights are generated for %s; they keep their initial values.", ", ".join(self.not_generated))
        self._origin = self.recipe()
        return Learned(trained_on, self.ghn_settings, self.seed, device_named(self.device))

    def _resume(self, state: Mapping[str, Any]) -> None:
        with taking_over("GHN"):
            check_identity(state, self.recipe(), _REMEDY)
            further = int(state["steps"]) > self.steps_done
        if further:
            self.load(state)

    def _fitted(self) -> Learned:
        if self._learned is None:
            raise ConfigurationError("ghn: it has learned nothing yet; call fit or load first.")
        return self._learned

    def _layout(self, space: SearchSpace, architecture: Architecture) -> Layout:
        plan, shape = self.plan(space, architecture), self.images.input_shape
        pattern, output_node = self.ghn_settings.module_pattern, self.ghn_settings.output_node
        if not isinstance(plan.steps[0].operator, ModuleOperator):
            layout = lay_out(plan, shape, pattern or MODULE_PATTERNS.get(space.name, ""), output_node)
            if self.ghn_settings.encoder == "flat":
                layout = replace(layout, genes=tuple(map(int, space.genotype(architecture))))
            return layout
        traced, classes = lay_out_module(plan, shape, pattern, output_node), self.images.num_classes
        if traced.outputs != ((1, classes),):
            raise ArchitectureError(
                f"architecture: expected a module that gives logits [1, {classes}] for an image [1, {_listed(shape)}]; "
                f"{str(architecture)!r} gives {', '.join(f'[{_listed(each)}]' for each in traced.outputs)}. An argument "
                f"num_classes of build gets the number of classes. Or: {_OTHERS}"
            )
        self._kept.update(re.sub(r"\d+", "#", name) for name in traced.kept)
        return traced

    def _step(self, learned: Learned, generate: Callable[[GraphTensors], Tensor], number: int, steps: int, rank: int) -> float:
        settings = self.ghn_settings
        architectures = drawn_architectures(self.training_space, settings.meta_batch, self.seed, number, rank)
        layouts = [self._layout(self.training_space, architecture) for architecture in architectures]
        batch = drawn_images(self.training_images(), settings, self.seed, number, rank)
        tensors, classes = tensors_for(learned.model, layouts), self.class_weights(settings.class_weights)
        loss = loss_of(generate, layouts, tensors, batch, learned.device.type == "cuda", classes, self.images.prediction)
        rate = learning_rate(settings, number, steps)
        value = take_step(learned.model, learned.optimizer, loss, rate, settings.clip)
        learned.steps += 1
        learned.skipped += not math.isfinite(value)
        return value

    def _laid_out(self, learned: Learned, architecture: Architecture) -> Layout | str:
        """Return the layout of the representative of a candidate, or why it cannot be scored.

        Architectures with the same key get the same weights and so the same score.
        """
        try:
            layout = self._layout(self.space, self.space.representative(architecture))
            learned.vocabulary.check(layout)
        except ArchSearchError as error:
            return str(error)
        return layout

    def _evaluation(self, architecture: Architecture, nodes: int, preparing: float, found: Scored) -> Evaluation:
        generation = preparing + found.generation
        if found.error:
            return self.failed(architecture, found.error, generation + found.execution)
        centred = {"centred_loss": found.centred} if math.isfinite(found.centred) else {}
        return self.evaluation(
            architecture,
            found.exits,
            generation + found.execution,
            generation_seconds=generation,
            execution_seconds=found.execution,
            nodes_beyond_training=float(max(0, nodes - self._fitted().vocabulary.num_nodes)),
            **centred,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = self.state() if self._learned else None
        return {**self.__dict__, "_learned": None, "_pickled": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        learned = state.pop("_pickled")
        self.__dict__.update(state)
        if learned:
            self.load(learned)


def _check_modules(space: ModuleSpace) -> None:
    """Raise ConfigurationError unless the modules of a space take images and can be traced."""
    inputs = space.example_inputs
    if not isinstance(inputs, Tensor) or inputs.dim() != 4:
        got = f"a tensor of the shape {list(inputs.shape)}" if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
        raise ConfigurationError(
            f"space: expected modules that take images [batch, channels, height, width]; the example inputs of {space.name} are "
            f"{got}. {_OTHERS}"
        )
    if not space.traceable:
        raise ConfigurationError(f"space: expected modules that can be traced; those of {space.name} cannot. {_OTHERS}")


def _listed(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def _silent(progress: Progress) -> None:
    """Ignore a progress report."""

"""An ensemble of architectures that a search found: trained, selected greedily, measured, and exported as one network."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, RunError, check_whole_number
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.normalised import Images
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.ensemble_selection import Selection, select, select_ensemble
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.score_names import (
    BALANCED_SCORE,
    CLASSIFICATION,
    MEASURES,
    MULTILABEL,
    OBJECTIVES,
    REGRESSION,
)
from archsearch.evaluators.training.scoring import predictions
from archsearch.platform import units
from archsearch.platform.export.facts import ModelFacts, ModelMember, TrainingData, TrainingFacts
from archsearch.platform.export.folder import export_model
from archsearch.platform.training.final_training import Parts
from archsearch.platform.training.retraining import retrain
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.averaged_plan import averaged_plan
from archsearch.spaces.network import Network
from archsearch.spaces.operators import MeanLabels, MeanNumbers, MeanPrediction

_MEANS = {CLASSIFICATION: MeanPrediction, MULTILABEL: MeanLabels, REGRESSION: MeanNumbers}


@dataclass(frozen=True)
class Candidate:
    """An architecture that may become a member.

    Args:
        architecture: The architecture.
        rank: Its rank in the search; 1 is the best.
        origin: How it was found, as plain data.
        seconds: Seconds that its evaluation took in the search; 0 if not known.
    """

    architecture: Architecture
    rank: int
    origin: Mapping[str, Any]
    seconds: float = 0.0


@dataclass(frozen=True)
class Member:
    """A network of an ensemble.

    Args:
        model: The trained network.
        rank: Rank of its architecture in the search.
        count: How often it was selected; its weight is `count` by the sum of all counts.
    """

    model: TrainedModel
    rank: int
    count: int


@dataclass(frozen=True)
class Ensemble:
    """Networks whose mean predictions are the answer: class probabilities, probabilities of labels, or numbers.

    Args:
        members: The networks with their counts, in the order of selection.
        single: The trained candidate that is best alone, by the accuracy of the selection, to compare with.
        candidates: Number of architectures that were trained to select from.
        selection: The selection, with the validation accuracy after each step.
        metrics: Those of the task, such as `valid_accuracy`, `valid_loss`, `test_accuracy`, `test_loss` of the ensemble, where a
            single network has it also the balanced accuracies, `params` and `macs` of all members together, and `seconds` of all
            trainings.
        origin: How the architectures were found, as plain data.
    """

    members: tuple[Member, ...]
    single: TrainedModel
    candidates: int
    selection: Selection
    metrics: Mapping[str, float]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """One network with the weights of all members, in evaluation mode; its output is that of the mean prediction."""
        counts = [member.count for member in self.members]
        network = Network(averaged_plan([member.model.network.plan for member in self.members], counts, _MEANS[self._task]()))
        state = {
            name.replace("steps.", f"steps.net{number}_", 1): tensor
            for number, member in enumerate(self.members)
            for name, tensor in member.model.network.state_dict().items()
        }
        network.load_state_dict(state)
        return network.eval()

    @property
    def _task(self) -> str:
        return self.members[0].model.data.task

    def facts(self) -> ModelFacts:
        """Return the facts that `export` writes into the model card and `architecture.json`."""
        first = self.members[0].model
        metrics = {**self.metrics, "train_loss": float(np.mean([member.model.metrics["train_loss"] for member in self.members]))}
        return ModelFacts(
            space=first.space,
            architecture=first.architecture,
            input_shape=first.data.shape,
            num_classes=len(first.data.classes),
            num_exits=1,
            scale=first.scale,
            origin=self.origin,
            training=TrainingFacts(
                data=first.data,
                recipe_name=first.recipe_name,
                settings=first.recipe.settings(),
                seed=first.seed,
                metrics=metrics,
                exit_accuracies=(self.metrics[f"test_{first.data.measure}"],),
            ),
            members=tuple(
                ModelMember(member.model.architecture, member.count, member.rank, member.model.metrics) for member in self.members
            ),
            task=self._task,
        )

    def export(self, directory: str | Path) -> Path:
        """Write the ensemble to a folder as one network; see `archsearch.platform.export.folder.export_model`.

        Raises:
            RunError: The folder cannot be written.
        """
        return export_model(self.network, self.facts(), directory)

    def figures(self) -> dict[str, Any]:
        """Return ensemble and best single network as plain data, for the report."""
        first = self.members[0].model
        return {
            "size": sum(member.count for member in self.members),
            "candidates": self.candidates,
            "dataset": first.data.name,
            "recipe": first.recipe_name,
            "epochs": first.recipe.epochs,
            "seed": first.seed,
            "selected": [
                {
                    "rank": member.rank,
                    "architecture": str(member.model.architecture),
                    "count": member.count,
                    "metrics": dict(member.model.metrics),
                }
                for member in self.members
            ],
            "course": list(self.selection.accuracies),
            "balanced": self.selection.balanced,
            **({} if self._task == CLASSIFICATION else {"by": MEASURES[_chosen_by(first)].words.format("").strip()}),
            "metrics": dict(self.metrics),
            "single": {
                "rank": self.single.origin.get("rank"),
                "architecture": str(self.single.architecture),
                "metrics": dict(self.single.metrics),
            },
        }

    def __str__(self) -> str:
        """Return ensemble and best single network as a sentence each."""
        ranks = ", ".join(f"{member.rank}{f' (x{member.count})' if member.count > 1 else ''}" for member in self.members)
        return (
            f"Ensemble of ranks {ranks}: {_shown(self.metrics)}.\n"
            f"Best single network, rank {self.single.origin.get('rank')}: {_shown(self.single.metrics)}."
        )


def train_ensemble(
    space: SearchSpace,
    candidates: Sequence[Candidate],
    size: int,
    dataset: str | Splits,
    *,
    recipe: str | Recipe,
    scale: Mapping[str, int] | None = None,
    seed: int = 0,
    device: str = "auto",
    root: str | None = None,
    checkpoints: Path | None = None,
    progress: bool = True,
    **changes: Any,
) -> Ensemble:
    """Train candidates on the training images, select an ensemble on the validation images, and measure it on the test images.

    It is selected by balanced accuracy, or by the mean absolute error, if the search was scored by that (`score_name` of the
    origins), else by the usual figure of the task.

    Args:
        space: Space of the architectures.
        candidates: The architectures to train.
        size: Number of selections; see `select_ensemble`.
        dataset: As for `retrain`.
        recipe: Recipe of all trainings.
        scale: Size of the networks.
        seed: Seed of the trainings.
        device: `auto`, `cpu`, `cuda`, ...
        root: Folder of downloaded datasets.
        checkpoints: Folder for the state of each training. The same call finds those that are finished there and trains them no
            second time; None keeps none.
        progress: Whether to say on standard error what is trained, and for how long.
        **changes: Changes to the recipe.

    Raises:
        ConfigurationError: A setting cannot be used, or there is no candidate.
        DatasetError: The images cannot be read.
        RunError: A training failed, or a checkpoint cannot be written.
    """
    check_whole_number("size", size)
    if not candidates:
        raise ConfigurationError("candidates: expected at least one architecture with a score; the search has none.")
    if "with_validation" in changes:
        raise ConfigurationError("with_validation: an ensemble is selected on the validation images; they cannot be trained on.")
    models: list[TrainedModel] = []
    for number, candidate in enumerate(candidates):
        model = retrain(
            space,
            candidate.architecture,
            dataset,
            recipe=recipe,
            scale=scale,
            seed=seed,
            device=device,
            root=root,
            checkpoint=_checkpoint(checkpoints, space, candidate.architecture),
            progress=False,
            origin={**candidate.origin, "rank": candidate.rank},
            **changes,
        )
        models.append(model)
        if progress:
            if number == 0:
                print(_plan_of_work(candidates, model), file=sys.stderr, flush=True)
            shown = f"{number + 1}/{len(candidates)} trained, rank {candidate.rank}: {_shown(model.metrics)}"
            print(shown, file=sys.stderr, flush=True)
    splits = datasets.load(dataset, root) if isinstance(dataset, str) else dataset
    return _selected(candidates, models, size, splits, device)


def _selected(
    candidates: Sequence[Candidate], models: Sequence[TrainedModel], size: int, splits: Splits, device: str
) -> Ensemble:
    where = device_named(device)
    parts = Parts.of(splits, models[0].data, False, where)
    assert parts.validation is not None, "the images were not joined"
    data, labels = models[0].data, parts.validation.labels.cpu()
    tables = []
    for model in models:
        tables.append(_predicted(model, parts.validation.images))
    balanced = candidates[0].origin.get("score_name") == BALANCED_SCORE
    if data.task == CLASSIFICATION:
        selection = select_ensemble(tables, labels.numpy(), size, balanced=balanced)
    else:
        selection = select(tables, lambda mean: _quality(_figures(data, torch.from_numpy(mean), labels), models[0]), size)
    members = tuple(Member(models[place], candidates[place].rank, count) for place, count in selection.counts.items())
    alone = max(range(len(models)), key=lambda place: (_alone(models[place], balanced), -place))
    total = sum(member.count for member in members)
    tested: Any = sum(_predicted(member.model, parts.test.images) * (member.count / total) for member in members)
    chosen: Any = sum(tables[place] * count for place, count in selection.counts.items())
    known = models[0].metrics
    metrics = {
        **_measured("valid", data, chosen / total, labels, known),
        **_measured("test", data, tested, parts.test.labels.cpu(), known),
        "params": sum(member.model.metrics["params"] for member in members),
        "macs": sum(member.model.metrics["macs"] for member in members),
        "epochs": models[0].metrics["epochs"],
        "seconds": sum(model.metrics["seconds"] for model in models),
    }
    origin = {name: value for name, value in candidates[0].origin.items() if name not in ("rank", "score", "metrics")}
    return Ensemble(members, models[alone], len(models), selection, metrics, origin)


def _predicted(model: TrainedModel, images: Images) -> NDArray[np.float64]:
    """Return what a network predicts for images: probabilities, or numbers in the user's units, `[images, outputs]`."""
    network, task = model.network.to(images.device), model.data.prediction
    if isinstance(task, Regression):  # a model that is trained answers in the user's units
        task = Regression((0.0,) * len(task.mean), (1.0,) * len(task.mean))
    found = predictions(network, images, prediction=task)
    network.to("cpu")
    table: NDArray[np.float64] = found.double().numpy()
    return table


def _figures(data: TrainingData, predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the figures of the task for predictions, and the targets as networks learn them."""
    meter = data.prediction.meter()
    meter.add(data.prediction.outputs(predicted)[:, None], labels)
    return {name: float(values) for name, values in meter.figures().items()}


def _measured(
    part: str, data: TrainingData, predicted: NDArray[np.float64], labels: Tensor, known: Mapping[str, float]
) -> dict[str, float]:
    """Return the figures of predictions, as far as single networks have them."""
    figures = {f"{part}_{name}": value for name, value in _figures(data, torch.from_numpy(predicted), labels).items()}
    return {name: value for name, value in figures.items() if name in known}


def _chosen_by(model: TrainedModel) -> str:
    """Return the figure by which members are chosen: the score of the search, if the task has it."""
    name = str(model.origin.get("score_name")).removeprefix("valid_")
    return name if name in OBJECTIVES[model.data.task] and name in MEASURES else model.data.measure


def _quality(figures: Mapping[str, float], model: TrainedModel) -> tuple[float, float]:
    """Return the figure by which members are chosen and the negative loss; larger is better."""
    name = _chosen_by(model)
    return -figures[name] if MEASURES[name].lower_is_better else figures[name], -figures["loss"]


def _alone(model: TrainedModel, balanced: bool) -> tuple[float, float]:
    if model.data.task != CLASSIFICATION:
        return _quality({name.removeprefix("valid_"): value for name, value in model.metrics.items()}, model)
    return model.metrics[BALANCED_SCORE if balanced else "valid_accuracy"], -model.metrics["valid_loss"]


def _plan_of_work(candidates: Sequence[Candidate], first: TrainedModel) -> str:
    seconds, rest = first.metrics["seconds"], len(candidates) - 1
    epochs = f"{first.recipe.epochs} epoch{'s' * (first.recipe.epochs != 1)}"
    text = (
        f"Training {len(candidates)} architectures of the search from new weights, ranks {candidates[0].rank} to "
        f"{candidates[-1].rank}, {epochs} each on {first.data.name} (recipe {first.recipe_name})"
    )
    return f"{text}; the first took {units.duration(seconds)}, the others take about {units.duration(seconds * rest)}."


def _checkpoint(folder: Path | None, space: SearchSpace, architecture: Architecture) -> Path | None:
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"storage: cannot write to {folder} ({error.strerror}); make it writable.") from error
    return folder / f"{space.key(architecture)[:16]}.pt"


def _shown(metrics: Mapping[str, float]) -> str:
    return ", ".join(map(str, units.qualities(metrics)))


def write_figures(figures: Mapping[str, Any], path: Path) -> None:
    """Write the figures of an ensemble as JSON, for the report.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path, durable=False) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"storage: cannot write {path} ({error.strerror}); make the folder writable.") from error

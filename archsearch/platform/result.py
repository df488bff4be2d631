"""The result of a search: its evaluations, and the architectures that it found."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archsearch import __version__
from archsearch.atomic_file import written_atomically
from archsearch.cluster.ledger.rungs import partial_outcomes
from archsearch.errors import ConfigurationError, RunError, check_kind, check_whole_number
from archsearch.evaluators import AnytimeCurve, Evaluation, Evaluator, Recipe, StepwiseEvaluator, from_text
from archsearch.evaluators.evaluator_forms import KINDS
from archsearch.evaluators.score_names import task_of_score
from archsearch.platform import units
from archsearch.platform.advice import advice
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.ending import Ending
from archsearch.platform.rank_order import FIDELITY, best_first
from archsearch.platform.report import html
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_space import space_of_run
from archsearch.platform.short_form import outline, short_name
from archsearch.platform.summary import SearchSummary
from archsearch.platform.trade_off import front, hypervolume
from archsearch.platform.training.search_training import SearchTraining, chosen_training
from archsearch.searchers import Objective, Observation
from archsearch.spaces import Architecture, Cost, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators import TrainingEvaluator
    from archsearch.evaluators.datasets import Splits
    from archsearch.platform.training.ensemble import Ensemble
    from archsearch.platform.training.trained_model import TrainedModel
    from archsearch.spaces.network import Network

RECIPE_SETTINGS = frozenset(setting.name for setting in fields(Recipe))


@dataclass(frozen=True, repr=False)
class Found:
    """An architecture that a search found, with its score, metrics and origin.

    Args:
        architecture: The architecture.
        score: Its score.
        metrics: Its metrics, by name.
        space: Its search space.
        cost_arguments: Input shape, classes and size of the networks that were scored.
        origin: How it was found, as plain data: `run`, `searcher`, `rank`, ...
        training: How the search trained its candidates; None if it did not.
    """

    architecture: Architecture
    score: float
    metrics: Mapping[str, float]
    space: SearchSpace
    cost_arguments: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    training: SearchTraining | None = field(default=None, repr=False, compare=False)

    @property
    def cost(self) -> Cost:
        """Number of parameters and MACs of the network that was scored."""
        return self.space.cost(self.architecture, **self.cost_arguments)

    @property
    def _example_inputs(self) -> Any:
        """Inputs of a module of the user that was scored without a shape of images; else None."""
        return None if "input_shape" in self.cost_arguments else getattr(self.space, "example_inputs", None)

    def build(self, **changes: Any) -> Network:
        """Return an untrained network of the size that was scored, or of another size: `build(channels=32, num_classes=100)`."""
        for name in changes.keys() - {"input_shape", "generator"}:
            check_whole_number(name, changes[name])
        arguments = {**self.cost_arguments, **changes}
        shape = arguments.pop("input_shape", None if self._example_inputs is not None else (3, 32, 32))
        if shape is not None:
            arguments.setdefault("in_channels", shape[0])
        return self.space.build(self.architecture, **arguments)

    def retrain(
        self,
        dataset: str | Splits | None = None,
        *,
        scale: Mapping[str, int] | None = None,
        recipe: str | Recipe | None = None,
        **settings: Any,
    ) -> TrainedModel:
        """Train a network of this architecture from new weights, and measure it.

        Args:
            dataset: A name that `datasets.load` takes, such as `cifar10`, or `Splits`; None takes the images of the search.
            scale: Size of the network, such as `{"channels": 32}`; settings that are left out keep the value that was scored.
            recipe: Name of a recipe, or a recipe; None takes that of the search on its images, and `short` on others.
            **settings: Those of `archsearch.platform.retrain`: `seed`, `checkpoint`, `with_validation`,
                `device`, `root`, `progress`, and changes to the recipe, such as `epochs=100`.

        Raises:
            ConfigurationError: A setting is unknown or out of range, or the checkpoint belongs to another training.
            DatasetError: The dataset is unknown or cannot be read.
            RunError: The loss became infinite, or the checkpoint cannot be written.

        Example:
            >>> model = result.best.retrain("cifar10", recipe="cifar", checkpoint="final.pt")
            >>> model.export("winner")
        """
        from archsearch.evaluators.datasets import Splits  # torch is loaded only when a network is made
        from archsearch.platform.training.retraining import retrain

        check_kind("scale", scale, (Mapping, type(None)), "the size of the network, such as {'channels': 32}")
        check_kind("dataset", dataset, (str, Splits, type(None)), "the name of a dataset, such as 'digits', Splits, or None")
        check_kind("recipe", recipe, (str, Recipe, type(None)), "the name of a recipe, a Recipe, or None")
        size = {**_scale(self.cost_arguments), **(scale or {})}
        changes = {name: value for name, value in settings.items() if name in RECIPE_SETTINGS}
        chosen = chosen_training(self.training, dataset, recipe, changes)
        if chosen.difference and settings.get("progress", True):
            print(chosen.difference, file=sys.stderr)
        known: dict[str, Any] = {"recipe": chosen.recipe, "scale": size, "origin": self.origin}
        return chosen.named(retrain(self.space, self.architecture, chosen.dataset, **known, **settings))

    def export(self, directory: str | Path) -> Path:
        """Write the network to a folder, untrained and of the size that was scored; `retrain(...).export(...)` trains it first.

        See `archsearch.platform.export.folder.export_model` for the files.

        Raises:
            RunError: The folder cannot be written.
        """
        from archsearch.platform.export.facts import ModelFacts
        from archsearch.platform.export.folder import export_model

        network, arguments, example = self.build(), self.cost_arguments, self._example_inputs
        shape, classes = tuple(arguments.get("input_shape", (3, 32, 32))), arguments.get("num_classes", 10)
        if example is not None:
            shape, classes = (), arguments.get("num_classes")
        facts = ModelFacts(
            space=self.space,
            architecture=self.architecture,
            input_shape=shape,
            num_classes=classes,
            num_exits=len(network.plan.outputs),
            scale=_scale(arguments),
            origin=self.origin,
            task=task_of_score(str(self.origin.get("score_name"))),
            example_inputs=example,
        )
        return export_model(network, facts, directory)

    def __str__(self) -> str:
        return str(self.architecture)

    def __repr__(self) -> str:
        name = short_name(self.space.name, self.space.key(self.architecture))
        score = _shown(self)
        costs = [f"{units.quantity(self.metrics[cost])} {cost}" for cost in ("params", "macs") if cost in self.metrics]
        when = [f"after {self.origin['scored_after']}"] if "scored_after" in self.origin else []
        return f"Found({', '.join([name, f'score {score}', *when, *costs, outline(self.space, self.architecture)])})"

    def _repr_html_(self) -> str:
        """Return picture and figures for a notebook."""
        return f"<div>{_picture(self)}<code>{escape(repr(self))}</code></div>"


class FoundList(list[Found]):
    """Architectures that a search found; in a notebook a table with pictures."""

    def __repr__(self) -> str:
        return "[" + ",\n ".join(map(repr, self)) + "]"

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        rows = [
            [_picture(each), short_name(each.space.name, each.space.key(each.architecture)), *_figures(each)] for each in self
        ]
        names = ["", "name", "score", "params", "macs", "operators"]
        return str(html.table(names, rows, markup={0}))


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The outcome of a search.

    Args:
        summary: The search as plain data.
        space: The search space.
        folder: Folder of the run on this machine; of a run in a bucket, its working copy.
        run_id: Id of its MLflow run, or None when tracking is off.
        cost_arguments: Input shape, classes and size of the networks that were scored.
        ending: How the search ended; None for a run that was read from its folder.
        stored_at: Path or URI of the run, if it is not `folder`.
        training: How the search trained its candidates; None if it did not.
    """

    summary: SearchSummary
    space: SearchSpace
    folder: Path
    run_id: str | None
    cost_arguments: Mapping[str, Any]
    ending: Ending | None = None
    stored_at: str = ""
    training: SearchTraining | None = field(default=None, repr=False, compare=False)

    @property
    def address(self) -> str:
        """What `finished_run` and `archsearch resume` take: the path of the run's folder, or its URI in a bucket."""
        return self.stored_at or str(self.folder)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.summary.name

    @property
    def evaluations(self) -> pa.Table:
        """One row per candidate, in order of proposal: architecture, key, score, seconds, error, reused, and each metric."""
        return self.summary.evaluations

    def __repr__(self) -> str:
        done, best = len(self.evaluations), self.top(1)
        found = f"best {best[0]!r}" if best else "no candidate has a score"
        total = self.summary.num_candidates
        return f"SearchResult({self.name!r}: {self.summary.searcher}, {done} of {total} candidates, {found})"

    def _repr_html_(self) -> str:
        """Return the best candidates for a notebook."""
        counts = f"{len(self.evaluations)} of {self.summary.num_candidates} candidates"
        return f"<p>{escape(self.name)}: {counts}</p>{self.top()._repr_html_()}"

    @property
    def report(self) -> Path:
        """Path of the HTML report."""
        return self.folder / "report" / "report.html"

    def top(self, count: int = 10) -> FoundList:
        """Return the best `count` architectures, best first; with a scheduler, by the highest fidelity reached, then by score."""
        check_whole_number("count", count)
        return FoundList(self._found(int(row), rank) for rank, row in enumerate(best_first(self.evaluations)[:count], start=1))

    @property
    def best(self) -> Found:
        """The architecture with the highest score; with a scheduler, among those of the highest fidelity.

        Raises:
            RunError: No candidate could be evaluated.
        """
        best = self.top(1)
        if not best:
            if self.ending is not None and self.ending.found_nothing:
                raise RunError(f"best: {self.name} has none. {' '.join(self.ending.text(self.summary.command).split())}")
            errors = [error for error in self.evaluations["error"].to_pylist() if error]
            reason = f"; the first failed with: {errors[0]}" if errors else ""
            raise RunError(f"none of the {len(self.evaluations)} candidates of {self.name} could be evaluated{reason}")
        return best[0]

    def pareto(self, cost: str | None = None) -> FoundList:
        """Return the architectures on the Pareto front, by increasing score (with two objectives: cheapest first).

        Args:
            cost: Metric to minimize beside maximizing the score. None takes the objectives of the search, or MACs if the score
                was its only one.

        Raises:
            ConfigurationError: The search has no such metric.
        """
        check_kind("cost", cost, (str, type(None)), "the name of a metric, such as 'macs', or None")
        objectives = (Objective("score"), Objective(cost, maximize=False)) if cost else None
        return FoundList(self._found(row) for row in front(self.summary, objectives).tolist())

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """Return the hypervolume that the Pareto front dominates; larger is better.

        Args:
            reference: Reference point, a number for each objective, such as `{"score": 0.1, "macs": 100e6}`. None takes chance
                for the score, and for a cost its constraint or the next power of ten above the observed costs; costs are then
                fractions of it.

        Raises:
            ConfigurationError: The reference has other names than the objectives.
        """
        check_kind(
            "reference", reference, (Mapping, type(None)), "a number for each objective, such as {'score': 0.1, 'macs': 1e8}"
        )
        return hypervolume(self.summary, reference)

    @cached_property
    def anytime(self) -> AnytimeCurve:
        """The best accuracy within each budget of MACs, over all evaluated networks.

        Raises:
            RunError: No candidate could be evaluated.
        """
        macs, scores = self.summary.column("macs"), self.summary.accuracies
        rows = np.isfinite(macs) & np.isfinite(scores)
        if not rows.any():
            raise RunError(f"anytime: no candidate of {self.name} has a score and MACs.")
        return AnytimeCurve.from_family(macs[rows], scores[rows], self.summary.chance)

    def export(self, directory: str | Path) -> Path:
        """Write the best architecture to a folder as `Found.export` does, and all evaluations as `evaluations.parquet`.

        Raises:
            RunError: No candidate could be evaluated, or the folder cannot be written.
        """
        folder = self.best.export(directory)
        try:
            with written_atomically(folder / "evaluations.parquet", durable=False) as temporary:
                pq.write_table(self.evaluations, temporary)
        except OSError as error:
            raise RunError(f"directory: cannot write to {folder} ({error.strerror}); choose another folder.") from error
        return folder

    def ensemble(
        self,
        size: int = 5,
        dataset: str | Splits | None = None,
        *,
        candidates: int | None = None,
        recipe: str | Recipe | None = None,
        scale: Mapping[str, int] | None = None,
        progress: bool = True,
        **settings: Any,
    ) -> Ensemble:
        """Train the best architectures, and select an ensemble of them greedily by its accuracy on the validation images.

        A search keeps no weights, so the `candidates` best architectures are trained from new weights, one after the other; a
        line on standard error says how many epochs they take and for how long. Their states are kept in the folder `ensemble`
        of the run: the same call after a stop goes on, and one with another size trains nothing again. The selection is that of
        R. Caruana et al., ICML 2004 (`archsearch.evaluators.ensemble_selection`). The report shows the ensemble beside the best
        single network.

        Args:
            size: Number of selections; the same network may be selected several times.
            dataset: Images to train on; None takes those of the search.
            candidates: Number of architectures to train; None takes twice `size`, or all with a score if there are fewer.
            recipe: Recipe of each training; None takes that of the search, or `short` if the search trained nothing.
            scale: Size of the networks; settings that are left out keep the value that was scored.
            progress: Whether to say on standard error what is trained.
            **settings: Further settings of the trainings: `seed`, `device`, `root`, and changes to the recipe, such as
                `epochs=100`.

        Raises:
            ConfigurationError: A setting cannot be used, or the search has no dataset and none is given.
            DatasetError: The images cannot be read.
            RunError: No candidate has a score, a training failed, or the folder of the run cannot be written.

        Example:
            >>> ensemble = result.ensemble(5, recipe="short")
            >>> print(ensemble)
            >>> ensemble.export("ensemble")
        """
        from archsearch.platform.report.ensemble_section import FILE, put_into_report
        from archsearch.platform.training.ensemble import Candidate, train_ensemble, write_figures

        check_whole_number("size", size)
        check_kind("scale", scale, (Mapping, type(None)), "the size of the network, such as {'channels': 32}")
        if candidates is not None:
            check_whole_number("candidates", candidates)
        best = self.best  # raises if there is none
        found = self.top(2 * size if candidates is None else candidates)
        searched = self._trained_on
        if dataset is None:
            if searched is None:
                raise ConfigurationError(
                    f"dataset: the search took its scores from {self.summary.evaluator}, not from trainings on images that its "
                    "settings name; give the dataset to train on, such as 'digits'."
                )
            dataset = searched.images.original
            settings.setdefault("root", searched.images.root)
        if recipe is None:
            recipe = searched.recipe if searched is not None else "short"
        ensemble = train_ensemble(
            self.space,
            [Candidate(each.architecture, rank, each.origin) for rank, each in enumerate(found, start=1)],
            size,
            dataset,
            recipe=recipe,
            scale={**_scale(best.cost_arguments), **(scale or {})},
            checkpoints=self.folder / FILE.parent / "trainings",
            progress=progress,
            **settings,
        )
        write_figures(ensemble.figures(), self.folder / FILE)
        try:
            put_into_report(self.folder)
        except OSError as error:
            raise RunError(f"storage: cannot write {self.report} ({error.strerror}); make the folder writable.") from error
        return ensemble

    @property
    def _trained_on(self) -> TrainingEvaluator | None:
        """The evaluator of a search that trained its candidates on a dataset that its settings name; None for others."""
        from archsearch.evaluators import TrainingEvaluator

        if not self.summary.evaluator.startswith("train:"):
            return None
        settings = self.summary.settings
        options = {**settings.get("evaluator_options", {})}
        evaluator = from_text(self.summary.evaluator, self.space, self.summary.seed, options)
        return evaluator if isinstance(evaluator, TrainingEvaluator) else None

    def _found(self, row: int, rank: int | None = None) -> Found:
        values = self.evaluations.slice(row, 1).to_pylist()[0]
        fixed = ("candidate", "architecture", "key", "score", "seconds", "error", "reused", FIDELITY)
        metrics = {name: value for name, value in values.items() if name not in fixed and value is not None}
        architecture = self.space.parse(values["architecture"])
        summary = self.summary
        names = ("searcher", "evaluator", "task", "seed", "score_name", "percent", "lower_is_better")
        origin = {"run": summary.name, **{name: getattr(summary, name) for name in names}}
        origin |= {"candidates": len(self.evaluations), "rank": rank, "score": values["score"], "metrics": metrics}
        if summary.early_stopping is not None:
            origin["scored_after"] = summary.early_stopping.at(values[FIDELITY])
        return Found(architecture, values["score"], metrics, self.space, self.cost_arguments, origin, self.training)


def _picture(found: Found) -> str:
    """Return a thumbnail; drawing is loaded only where one is looked at."""
    from archsearch.platform.report.thumbnail import thumbnail

    return thumbnail(found.space, found.architecture)


def _shown(found: Found) -> str:
    """Return the score in percent, or the loss that it is the negative of."""
    percent, lower = bool(found.origin.get("percent")), bool(found.origin.get("lower_is_better"))
    return units.score(found.score, percent, lower) + (" %" if percent else "")


def _figures(found: Found) -> list[str]:
    """Return score, parameters, MACs and outline as text."""
    return [
        _shown(found),
        *(units.quantity(found.metrics.get(name)) for name in ("params", "macs")),
        outline(found.space, found.architecture),
    ]


def _scale(cost_arguments: Mapping[str, Any]) -> dict[str, int]:
    """Return the size settings among the arguments of `SearchSpace.cost`."""
    return {name: value for name, value in cost_arguments.items() if name not in ("input_shape", "num_classes")}


def finished_run(run: str | Path, space: SearchSpace | str | None = None) -> SearchResult:
    """Return the result of a finished run from its folder; nothing is evaluated, and `summary.costs` is left empty.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.
        space: Its search space, or `python:MODULE:CLASS`, if that is one of your own; None takes the one that the run names.

    Raises:
        RunError: The folder holds no run, or its table of evaluations is missing or corrupt.
        ConfigurationError: Its space or evaluator is unknown, such as a user-defined one that is not registered.

    Example:
        >>> finished_run("runs/evolution-nasbench201-digits-s0").best.export("winner")
    """
    folder = RunFolder.open(run)
    configuration = replace(folder.configuration(), storage=folder.storage)
    table = folder.report / "evaluations.parquet"
    try:
        evaluations = pq.read_table(table)
    except FileNotFoundError as error:
        raise RunError(
            f"run: {folder.path} has no {table.name} yet; continue with: archsearch resume {folder.address}"
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"run: {table} is corrupt; write it again with: archsearch resume {folder.address}") from error
    return _result_of(folder, configuration, _evaluator_of(configuration, space), evaluations)


def unfinished_run(run: str | Path, space: SearchSpace | str | None = None) -> SearchResult:
    """Return what a run has found so far, from the ledger, also while its search runs and after it was killed.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.
        space: As for `finished_run`.

    Raises:
        RunError: The folder holds no run.
        ConfigurationError: Its space or evaluator is unknown.
        LedgerError: The ledger cannot be read.
    """
    folder, configuration, evaluator = _opened(run, space)
    observations, paid = _outcomes(folder, configuration, evaluator)
    recorded, scheduled = {row.evaluation.key: row.evaluation for row in observations}, configuration.scheduler is not None
    evaluations = evaluations_table(observations, recorded, paid, evaluator, scheduled=scheduled)
    return _result_of(folder, configuration, evaluator, evaluations)


def _opened(run: str | Path, space: SearchSpace | str | None) -> tuple[RunFolder, SearchConfiguration, Evaluator]:
    """Return the folder, the settings and the evaluator of a run."""
    folder = RunFolder.open(run)
    configuration = replace(folder.configuration(), storage=folder.storage)
    return folder, configuration, _evaluator_of(configuration, space)


def recorded_evaluations(
    run: str | Path, space: SearchSpace | str | None = None
) -> tuple[SearchConfiguration, Evaluator, list[Evaluation]]:
    """Return the settings of a run, its evaluator, and its evaluations from the ledger with their curves, in order of proposal.

    Args:
        run: As for `finished_run`.
        space: As for `finished_run`.

    Raises:
        RunError: The folder holds no run.
        ConfigurationError: Its space or evaluator is unknown.
        LedgerError: The ledger cannot be read.
    """
    folder, configuration, evaluator = _opened(run, space)
    observations, _ = _outcomes(folder, configuration, evaluator)
    ordered = sorted(observations, key=lambda observation: (observation.batch, observation.position))
    return configuration, evaluator, [row.evaluation for row in ordered]


def _outcomes(folder: RunFolder, configuration: SearchConfiguration, evaluator: Evaluator) -> tuple[list[Observation], set[str]]:
    """Return the outcomes of a run in the ledger, those in part included, and the keys that it evaluated itself."""
    ledger = folder.ledger(evaluator)
    if ledger is None:
        return [], set()
    records = ledger.read()
    entries = records.of(folder.name).entries()
    if configuration.scheduler is not None:
        entries += partial_outcomes(ledger, folder.name, ended=False)
    return folder.outcomes(entries, records.known(folder.name)), {entry.evaluation.key for entry in entries}


def _result_of(
    folder: RunFolder, configuration: SearchConfiguration, evaluator: Evaluator, evaluations: pa.Table
) -> SearchResult:
    summary = summary_of(folder, configuration, evaluator, evaluations)
    return SearchResult(
        summary,
        evaluator.space,
        folder.path,
        folder.tracking_id,
        dict(evaluator.cost_arguments),
        stored_at=folder.address,
        training=SearchTraining.of(evaluator),
    )


def _evaluator_of(configuration: SearchConfiguration, space: SearchSpace | str | None) -> Evaluator:
    """Return the evaluator of a run, with its space."""
    try:
        return from_text(
            configuration.evaluator, space_of_run(configuration, space), configuration.seed, configuration.score_options
        )
    except ConfigurationError as error:
        if configuration.evaluator.partition(":")[0] in KINDS:
            raise
        raise ConfigurationError(
            f"evaluator: the run was scored by {configuration.evaluator!r}, an evaluator of your own, which archsearch cannot "
            "find by its name. Use the result that run_search returned, or evaluations.parquet in the folder of the report."
        ) from error


def summary_of(
    folder: RunFolder, configuration: SearchConfiguration, evaluator: Evaluator, evaluations: pa.Table
) -> SearchSummary:
    """Return the summary of a run from its settings and its evaluations; costs are left empty."""
    next_steps = advice(folder.address, configuration, evaluator.space)
    return SearchSummary(
        name=folder.name,
        space=evaluator.space.name,
        task=evaluator.task,
        searcher=configuration.searcher,
        evaluator=configuration.evaluator,
        seed=configuration.seed,
        num_candidates=configuration.num_candidates,
        score_name=evaluator.score_name,
        percent=evaluator.score_is_fraction,
        lower_is_better=evaluator.lower_is_better,
        evaluations=evaluations,
        settings=configuration.as_dict(),
        costs={},
        version=__version__,
        command=next_steps.resume,
        use=next_steps.use,
        chance=evaluator.chance,
        score_images=evaluator.score_images,
        facts=evaluator.facts(),
        cautions=evaluator.cautions(),
        early_stopping=None
        if configuration.scheduler is None or not isinstance(evaluator, StepwiseEvaluator)
        else EarlyStopping.of(configuration.scheduler, evaluator.fidelity_name, evaluator.max_fidelity, evaluations),
    )


def evaluations_table(
    observations: Sequence[Observation],
    recorded: Mapping[str, Evaluation],
    paid: Set[str],
    evaluator: Evaluator,
    *,
    scheduled: bool = False,
) -> pa.Table:
    """Return the evaluations of a search in order of proposal.

    Args:
        observations: Outcomes as the searcher received them.
        recorded: Evaluations in the ledger, with all metrics, by key.
        paid: Keys that this run evaluated itself.
        evaluator: Counts parameters and MACs if the evaluations lack them.
        scheduled: Whether a scheduler may have stopped candidates early: the column `fidelity` then says after how many steps.
    """
    ordered = sorted(observations, key=lambda observation: (observation.batch, observation.position))
    evaluations = [recorded.get(observation.evaluation.key, observation.evaluation) for observation in ordered]
    metrics = [_with_cost(evaluation, evaluator) for evaluation in evaluations]
    names = sorted({name for row in metrics for name in row})
    columns: dict[str, Any] = {
        "candidate": pa.array(range(len(ordered)), pa.int64()),
        "architecture": pa.array([str(evaluation.architecture) for evaluation in evaluations], pa.string()),
        "key": pa.array([evaluation.key for evaluation in evaluations], pa.string()),
        "score": pa.array([evaluation.score for evaluation in evaluations], pa.float64()),
        "seconds": pa.array([evaluation.seconds for evaluation in evaluations], pa.float64()),
        "error": pa.array([evaluation.error for evaluation in evaluations], pa.string()),
        "reused": pa.array(
            [observation.reused and observation.evaluation.key not in paid for observation in ordered], pa.bool_()
        ),
    }
    if scheduled:
        columns[FIDELITY] = pa.array([evaluation.fidelity for evaluation in evaluations], pa.int64())
    for name in names:
        if name not in columns:
            columns[name] = pa.array([row.get(name) for row in metrics], pa.float64())
    return pa.table(columns)


def _with_cost(evaluation: Evaluation, evaluator: Evaluator) -> dict[str, float]:
    if "macs" in evaluation.metrics:
        return dict(evaluation.metrics)
    cost = evaluator.space.cost(evaluation.architecture, **evaluator.cost_arguments)
    return {**evaluation.metrics, "params": float(cost.params), "macs": float(cost.macs)}

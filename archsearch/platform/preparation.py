"""Preparation of a search: space, searcher, evaluator, run folder and ledger from its settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TextIO

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster import Ledger
from archsearch.cluster.ledger.function_sources import note_source
from archsearch.cluster.ledger.rungs import RungEvent
from archsearch.cluster.schedulers import registry
from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ArchSearchError, ConfigurationError, TableError, check_kind, wrong_kind
from archsearch.evaluators import Evaluation, Evaluator, StepwiseEvaluator, from_text
from archsearch.evaluators.evaluator_forms import FORMS
from archsearch.evaluators.function.signature import check_function
from archsearch.evaluators.options import check_options, options_of
from archsearch.evaluators.registry import of_function
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.known_starts import start_texts
from archsearch.platform.learned import Learned, given_evaluations, learn, read_learned, stored_learned, write_learned
from archsearch.platform.progress import Progress
from archsearch.platform.run_folder import LEDGER, RunFolder, run_name
from archsearch.platform.tracking.store import check_store
from archsearch.platform.tracking.system_metrics import check_system_metrics
from archsearch.searchers import ArchitectureSearcher, Goals, TuneAlgorithm, goals_for
from archsearch.searchers import get as get_searcher
from archsearch.spaces import SearchSpace
from archsearch.spaces import get as get_space

_log = logging.getLogger(__name__)

# A look-up is too fast to be timed well. With a fixed value the same seed gives the same batches, and so the same search.
_LOOKUP_SECONDS = 5e-4
_SEARCHER = "the name of a searcher, an ArchitectureSearcher, or a function of (domains, seed) that returns a Ray Tune Searcher"


@dataclass
class Search:
    """The parts of a search that is ready to run."""

    configuration: SearchConfiguration
    space: SearchSpace
    searcher: ArchitectureSearcher
    evaluator: Evaluator
    folder: RunFolder
    ledger: Ledger
    resumed: bool
    learned: tuple[Learned, ...] = ()
    scheduler: TrialScheduler | None = None
    simulated: list[RungEvent] = field(default_factory=list)  # what the scheduler decided on the simulated clock

    @property
    def stepwise(self) -> StepwiseEvaluator | None:
        """The evaluator, if a scheduler decides how far it goes; else None."""
        return self.evaluator if self.scheduler is not None and isinstance(self.evaluator, StepwiseEvaluator) else None

    def progress(self, stream: TextIO | None, label: str = "") -> Progress:
        """Return the progress of the search, before any outcome.

        Args:
            stream: Where to show it; None is silent.
            label: Word before the line.
        """
        total, percent = self.configuration.num_candidates, self.evaluator.score_is_fraction
        steps = (self.stepwise.max_fidelity, self.stepwise.fidelity_name) if self.stepwise is not None else None
        return Progress(total, percent, stream, label, steps, self.evaluator.lower_is_better)


def prepare(
    configuration: SearchConfiguration,
    space: str | SearchSpace,
    searcher: str | ArchitectureSearcher | Any,
    evaluator: str | Evaluator | Callable[..., Any],
    resume: bool,
    scheduler: TrialScheduler | None = None,
    outcomes: Sequence[Evaluation] = (),
) -> Search:
    """Return a search with its folder and ledger; settings that cannot be used raise here, before anything runs.

    Args:
        configuration: All other settings.
        space: As for `make_parts`.
        searcher: As for `make_parts`.
        evaluator: As for `make_parts`.
        resume: Whether the run's folder exists already.
        scheduler: The scheduler, if it is an object; None takes the one that the settings name, if any.
        outcomes: Outcomes to learn from, beside those of `configuration.learn_from`.

    Raises:
        ConfigurationError: The settings cannot be used.
        TableError: The table cannot be used.
        DatasetError: The images cannot be read.
        RunError: The run's folder exists already (or does not, when resuming).
    """
    if configuration.system_metrics:
        check_system_metrics(configuration.tracking)
    if configuration.scheduler is not None and configuration.simulated_workers is None and _is_lookup(configuration, evaluator):
        configuration = replace(configuration, simulated_workers=1)  # a table has seconds of its own, on a simulated clock
    space, made, evaluator = make_parts(configuration, space, searcher, evaluator)
    chosen = make_scheduler(configuration, evaluator, scheduler)
    fingerprint = evaluator.fingerprint()  # reads the data, so that a bad dataset raises before the search starts
    learned = [] if resume else read_learned(configuration.learn_from, space, evaluator)
    if outcomes and not resume:
        learned.append(given_evaluations(outcomes, space, evaluator))
    if configuration.start:
        configuration = replace(configuration, start=[str(each) for each in made.starts])
    name = configuration.name or run_name(configuration.method, space.name, evaluator.task, configuration.seed)
    place = StoragePlace.of(configuration.storage)
    configuration = replace(configuration, name=name, storage=place.address)
    check_store(configuration.tracking, place.address)
    folder = RunFolder.open(place.child(name).address) if resume else RunFolder.create(configuration, name)
    try:
        folder.bind(configuration, fingerprint)
        if resume:
            learned = stored_learned(folder.path, space)
        else:
            write_learned(learned, folder.path)
        learned = learn(made, evaluator, learned)
        folder.upload()
        ledger = Ledger(place.child(LEDGER).address, space, fingerprint, seed=evaluator.seed)
        made.ledger_root = ledger.root
        if note_source(ledger, evaluator):
            functions = [configuration.evaluator] if "source" in evaluator.settings() else []
            if callable(getattr(space, "build_function", None)):
                functions.append(f"the function that builds the modules of {space.name}")
            _log.warning(
                "The source of %s has changed since it last scored candidates in %s; these count as scores of another function.",
                ", or of ".join(functions),
                place.address,
            )
    except ArchSearchError:
        if not resume:
            folder.discard()
        raise
    return Search(configuration, space, made, evaluator, folder, ledger, resume, tuple(learned), chosen)


def _is_lookup(configuration: SearchConfiguration, evaluator: str | Evaluator | Callable[..., Any]) -> bool:
    return evaluator.is_lookup if isinstance(evaluator, Evaluator) else configuration.evaluator.startswith("table:")


def make_scheduler(
    configuration: SearchConfiguration, evaluator: Evaluator, scheduler: TrialScheduler | None = None
) -> TrialScheduler | None:
    """Return the scheduler of a search; None if all candidates are evaluated to the end.

    Args:
        configuration: The settings.
        evaluator: The evaluator of the candidates.
        scheduler: The scheduler, if it is an object.

    Raises:
        ConfigurationError: There is no such scheduler, an option cannot be used, or the evaluator does not report as it goes.
    """
    if configuration.scheduler is None:
        return None
    if not isinstance(evaluator, StepwiseEvaluator):
        own = "" if configuration.evaluator.startswith(("train:", "table:")) else " Derive it from StepwiseEvaluator;"
        raise ConfigurationError(
            f"scheduler: {configuration.scheduler} needs an evaluator that reports a score as it goes, such as train:digits or a "
            f"table with learning curves; {configuration.evaluator} has one score for each candidate.{own} or leave the "
            "scheduler out."
        )
    if evaluator.max_fidelity < 2:
        raise ConfigurationError(
            f"scheduler: {configuration.scheduler} stops candidates between steps, but {configuration.evaluator} has a single "
            "one. Give a function steps=N, the number of steps that it reports, and a training several epochs; or leave the "
            "scheduler out."
        )
    if configuration.batch_size not in (None, 1):
        raise ConfigurationError(
            f"batch_size: with a scheduler each candidate is a trial of its own; got {configuration.batch_size}. Leave it out."
        )
    return registry.get(
        configuration.scheduler if scheduler is None else scheduler,
        configuration.scheduler_options,
        max_fidelity=evaluator.max_fidelity,
        fidelity_name=evaluator.fidelity_name,
    )


def check_simulation(configuration: SearchConfiguration, lookups: bool) -> None:
    """Raise ConfigurationError if workers cannot be simulated with these settings.

    Args:
        configuration: The settings.
        lookups: Whether scores are looked up in a table.
    """
    if not lookups:
        raise ConfigurationError(
            f"simulated_workers: expected an evaluator that looks scores up, such as table:digits201; got "
            f"{configuration.evaluator}. Trainings run on real workers: leave simulated_workers out, and give workers."
        )
    if configuration.workers is not None:
        raise ConfigurationError(
            f"workers: with a table, workers are simulated; got workers={configuration.workers}. Give simulated_workers instead."
        )
    if configuration.batch_size not in (None, 1):
        raise ConfigurationError(
            f"batch_size: simulated workers take one candidate at a time; got {configuration.batch_size}. Leave batch_size out; "
            "for outcomes that arrive later give more simulated_workers."
        )


def check_parts(space: object, searcher: object, evaluator: object) -> None:
    """Raise ConfigurationError unless the three parts of a search are names or objects of the right kinds."""
    check_kind("space", space, (str, SearchSpace), "the name of a search space or a SearchSpace")
    if callable(evaluator) and not isinstance(evaluator, type | Evaluator):
        check_function(evaluator, "evaluator")
    else:
        check_kind("evaluator", evaluator, (str, Evaluator), f"{FORMS}, a function of (model, context), or an Evaluator")
    if isinstance(searcher, type):  # the class of a Ray Tune Searcher may be a function of (domains, seed)
        fits = issubclass(searcher, Searcher) and not issubclass(searcher, ArchitectureSearcher)
    else:
        fits = isinstance(searcher, str | Searcher) or callable(searcher)
    if not fits:
        raise ConfigurationError(wrong_kind("searcher", _SEARCHER, searcher))


def make_parts(
    configuration: SearchConfiguration,
    space: str | SearchSpace,
    searcher: str | ArchitectureSearcher | Any,
    evaluator: str | Evaluator | Callable[..., Any],
) -> tuple[SearchSpace, ArchitectureSearcher, Evaluator]:
    """Return space, searcher and evaluator of a search; the data is not read.

    Args:
        configuration: All other settings.
        space: The search space or its name.
        searcher: The searcher, its name, or a function that makes a Ray Tune search algorithm.
        evaluator: The evaluator, its string form, or a function as for `FunctionEvaluator`.

    Raises:
        ConfigurationError: The settings cannot be used.
        TableError: The table cannot be used.
        DatasetError: There is no such dataset.
    """
    check_parts(space, searcher, evaluator)
    space = get_space(space) if isinstance(space, str) else space
    space.check_declared()
    if isinstance(evaluator, str):
        evaluator = _evaluator(evaluator, space, configuration)
        space = evaluator.space
    elif not isinstance(evaluator, Evaluator):
        evaluator = of_function(evaluator, space, {"seed": configuration.seed, **configuration.score_options})
    if evaluator.space.name != space.name:
        raise ConfigurationError(
            f"evaluator: expected one of the space {space.name}; got one of {evaluator.space.name}. Give both the same space."
        )
    if configuration.simulated_workers is not None:
        check_simulation(configuration, evaluator.is_lookup)
    goals = goals_for(evaluator, configuration.objectives, configuration.constraints)
    goals.require_feasible(space, np.random.default_rng(configuration.seed))
    made = _make_searcher(searcher, space, evaluator, configuration, goals)
    if configuration.start:
        made.start_with([space.parse(text) for text in start_texts(configuration.start, space)])
    if evaluator.is_lookup:
        made.sizer.assume(_LOOKUP_SECONDS)
    return space, made, evaluator


def _evaluator(text: str, space: SearchSpace, configuration: SearchConfiguration) -> Evaluator:
    try:
        return from_text(text, space, configuration.seed, configuration.score_options)
    except TableError as error:
        if configuration.scheduler is None or "_eN" not in str(error):
            raise
        raise TableError(f"scheduler: {configuration.scheduler} needs a table with learning curves. {error}") from error


def _make_searcher(
    searcher: str | ArchitectureSearcher | Any,
    space: SearchSpace,
    evaluator: Evaluator,
    configuration: SearchConfiguration,
    goals: Goals,
) -> ArchitectureSearcher:
    simulated = configuration.simulated_workers is not None  # as repeatable as a deterministic search, without its delays
    settings = {
        "num_candidates": configuration.num_candidates,
        "batch_size": 1 if simulated or configuration.scheduler is not None else configuration.batch_size,
        "deterministic": configuration.deterministic and not simulated,
        "goals": goals,
    }
    if isinstance(searcher, ArchitectureSearcher):
        for name, own, ours in (("metric", searcher.metric, "score"), ("mode", searcher.mode, "max")):
            if own not in (None, ours):
                raise ConfigurationError(
                    f"searcher: a search reports the evaluator's score, larger is better; got one made with {name}={own!r}. "
                    f"Leave {name} out."
                )
        if simulated and (searcher.deterministic or searcher.batch_size != 1):
            raise ConfigurationError(
                "searcher: simulated workers need one that proposes one candidate at a time and does not wait for others; got "
                f"batch_size={searcher.batch_size}, deterministic={searcher.deterministic}. Make it with batch_size=1."
            )
        if settings["deterministic"] and not searcher.deterministic:
            raise ConfigurationError(
                "deterministic: expected a deterministic searcher; got another one. Make it with deterministic=True."
            )
        for name in ("batch_size", "searcher_options"):
            if getattr(configuration, name):
                raise ConfigurationError(
                    f"{name}: a setting of the searcher, which is made already; give it to the constructor of the searcher."
                )
        searcher.num_candidates = configuration.num_candidates
        if goals.constraints or not goals.single:
            searcher.adopt(goals)
        return searcher
    if isinstance(searcher, Searcher):
        raise ConfigurationError(
            "searcher: expected a function of (domains, seed), because a Ray Tune search algorithm needs the choices of the "
            "space; got an algorithm. Give a function that returns it, with the metric 'score' and the mode 'max'."
        )
    given, kind = configuration.searcher_options, get_searcher(searcher) if isinstance(searcher, str) else TuneAlgorithm
    check_searcher_options(configuration.searcher, kind, given)
    try:
        if isinstance(searcher, str):
            return kind(space, configuration.seed, **{**settings, **kind.options_for(evaluator, given)})
        return TuneAlgorithm(space, configuration.seed, algorithm=searcher, **{**settings, **given})
    except TypeError as error:
        check_searcher_options(configuration.searcher, kind, given, strict=True)
        raise ConfigurationError(f"searcher_options: {configuration.searcher} does not accept them ({error}).") from error


def check_searcher_options(
    searcher: str, kind: type[ArchitectureSearcher], given: Mapping[str, Any], *, strict: bool = False
) -> None:
    """Raise ConfigurationError for options that a searcher does not have, and for values of other types than it takes.

    Args:
        searcher: Name of the searcher.
        kind: Its class.
        given: The options.
        strict: Whether the names must be those of arguments of the constructors; a searcher of a user may take others as well.

    Raises:
        ConfigurationError: There is no such option, or its value is of another type.
    """
    own = strict or kind.__module__.startswith("archsearch.")
    known = options_of(kind)
    checked = given if own else {name: value for name, value in given.items() if name in known}
    check_options(f"searcher_options: {searcher}", kind, checked, without=kind.fixed_options)

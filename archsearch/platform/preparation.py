"""Preparation of a search: space, searcher, evaluator, run folder and ledger from its settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.search import Searcher

from archsearch.cluster import Ledger
from archsearch.errors import ConfigurationError, check_kind, wrong_kind
from archsearch.evaluators import Evaluator, from_text
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.known_starts import start_texts
from archsearch.platform.learned import Learned, learn, read_learned, stored_learned, write_learned
from archsearch.platform.run_folder import LEDGER, RunFolder, run_name
from archsearch.platform.tracking.system_metrics import check_system_metrics
from archsearch.searchers import ArchitectureSearcher, Goals, TuneAlgorithm, goals_for
from archsearch.searchers import get as get_searcher
from archsearch.spaces import SearchSpace
from archsearch.spaces import get as get_space

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


def prepare(
    configuration: SearchConfiguration,
    space: str | SearchSpace,
    searcher: str | ArchitectureSearcher | Any,
    evaluator: str | Evaluator,
    resume: bool,
) -> Search:
    """Return a search with its folder and ledger; settings that cannot be used raise here, before anything runs.

    Args:
        configuration: All other settings.
        space: As for `make_parts`.
        searcher: As for `make_parts`.
        evaluator: As for `make_parts`.
        resume: Whether the run's folder exists already.

    Raises:
        ConfigurationError: The settings cannot be used.
        TableError: The table cannot be used.
        DatasetError: The images cannot be read.
        RunError: The run's folder exists already (or does not, when resuming).
    """
    if configuration.system_metrics:
        check_system_metrics(configuration.tracking)
    space, made, evaluator = make_parts(configuration, space, searcher, evaluator)
    fingerprint = evaluator.fingerprint()  # reads the data, so that a bad dataset raises before the search starts
    learned = [] if resume else read_learned(configuration.learn_from, space, evaluator)
    if configuration.start:
        configuration = replace(configuration, start=[str(each) for each in made.starts])
    name = configuration.name or run_name(configuration.searcher, space.name, evaluator.task, configuration.seed)
    configuration = replace(configuration, name=name, storage=str(Path(configuration.storage).expanduser().absolute()))
    folder = RunFolder.open(Path(configuration.storage) / name) if resume else RunFolder.create(configuration, name)
    folder.bind(configuration, fingerprint)
    if resume:
        learned = stored_learned(folder.path, space)
    else:
        write_learned(learned, folder.path)
    learned = learn(made, evaluator, learned)
    ledger = Ledger(f"{configuration.storage}/{LEDGER}", space, fingerprint, seed=evaluator.seed)
    return Search(configuration, space, made, evaluator, folder, ledger, resume, tuple(learned))


def check_parts(space: object, searcher: object, evaluator: object) -> None:
    """Raise ConfigurationError unless the three parts of a search are names or objects of the right kinds."""
    check_kind("space", space, (str, SearchSpace), "the name of a search space or a SearchSpace")
    check_kind("evaluator", evaluator, (str, Evaluator), "train:DATASET, table:NAME, table:PATH#COLUMN or an Evaluator")
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
    evaluator: str | Evaluator,
) -> tuple[SearchSpace, ArchitectureSearcher, Evaluator]:
    """Return space, searcher and evaluator of a search; the data is not read.

    Args:
        configuration: All other settings.
        space: The search space or its name.
        searcher: The searcher, its name, or a function that makes a Ray Tune search algorithm.
        evaluator: The evaluator or its string form.

    Raises:
        ConfigurationError: The settings cannot be used.
        TableError: The table cannot be used.
        DatasetError: There is no such dataset.
    """
    check_parts(space, searcher, evaluator)
    space = get_space(space) if isinstance(space, str) else space
    if isinstance(evaluator, str):
        evaluator = from_text(evaluator, space, configuration.seed, configuration.score_options)
        space = evaluator.space
    if evaluator.space.name != space.name:
        raise ConfigurationError(
            f"evaluator: expected one of the space {space.name}; got one of {evaluator.space.name}. Give both the same space."
        )
    goals = goals_for(evaluator, configuration.objectives, configuration.constraints)
    goals.require_feasible(space, np.random.default_rng(configuration.seed))
    made = _make_searcher(searcher, space, evaluator, configuration, goals)
    if configuration.start:
        made.start_with([space.parse(text) for text in start_texts(configuration.start, space)])
    if evaluator.is_lookup:
        made.sizer.assume(_LOOKUP_SECONDS)
    return space, made, evaluator


def _make_searcher(
    searcher: str | ArchitectureSearcher | Any,
    space: SearchSpace,
    evaluator: Evaluator,
    configuration: SearchConfiguration,
    goals: Goals,
) -> ArchitectureSearcher:
    settings = {
        "num_candidates": configuration.num_candidates,
        "batch_size": configuration.batch_size,
        "deterministic": configuration.deterministic,
        "goals": goals,
    }
    if isinstance(searcher, ArchitectureSearcher):
        if configuration.deterministic and not searcher.deterministic:
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
    try:
        if isinstance(searcher, str):
            kind = get_searcher(searcher)
            options = kind.options_for(evaluator, configuration.searcher_options)
            return kind(space, configuration.seed, **{**settings, **options})
        return TuneAlgorithm(space, configuration.seed, algorithm=searcher, **{**settings, **configuration.searcher_options})
    except TypeError as error:
        raise ConfigurationError(f"searcher_options: {configuration.searcher} does not accept them ({error}).") from error

"""Commands, or lines of Python, that continue a search and use its best architecture."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from archsearch.evaluators.evaluator_forms import KINDS
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.quick_checks import SCHEDULERS, SEARCHERS
from archsearch.spaces import SearchSpace
from archsearch.spaces.imported import PREFIX, reference_to
from archsearch.spaces.registry import is_built_in


@dataclass(frozen=True)
class Advice:
    """What to run next.

    Args:
        resume: Continues the search.
        use: Trains the best architecture and exports it.
        is_command: Whether both are commands of a shell; else they are lines of Python.
    """

    resume: str
    use: str
    is_command: bool = True


def advice(run: str | Path, configuration: SearchConfiguration, space: SearchSpace) -> Advice:
    """Return what continues a search and what uses its best architecture.

    The command line knows built-in spaces, searchers and evaluators, and classes of importable modules. A search that was given
    other objects goes on in Python only.

    Args:
        run: Path of the run's folder, or its URI in a bucket.
        configuration: Settings of the search.
        space: Its search space.
    """
    run = str(run)
    storage, name = _parts(run)
    kind, _, dataset = configuration.evaluator.partition(":")
    own_score, own_searcher = kind not in KINDS, configuration.searcher not in SEARCHERS
    named = configuration.space.startswith(PREFIX) or is_built_in(configuration.space)
    reference = None if named else reference_to(space)
    wanted = dataset if kind == "train" else "DATASET"
    scheduler = configuration.scheduler
    own_scheduler = scheduler is not None and scheduler not in SCHEDULERS and ":" not in scheduler
    if not (own_score or own_searcher or own_scheduler) and (named or reference):
        where = shlex.quote(run) + (f" --space {shlex.quote(reference)}" if reference else "")
        # A search that trained knows its dataset; one that read a table has none.
        retrain = " --retrain" if kind == "train" else " --retrain DATASET"
        return Advice(f"archsearch resume {where}", f"archsearch export {where}{retrain}")
    made = "" if named else f", space={type(space).__name__}()"
    winner = f".best.retrain({wanted!r}).export('winner')"
    if own_score or own_searcher:
        again = f"platform.run_search(..., name={name!r}, storage={storage!r}, resume=True)"
        again += f"  # with the same space, searcher{', scheduler' * own_scheduler} and evaluator"
    else:
        given = f", scheduler={scheduler}(...)" if own_scheduler else ""
        again = f"platform.resume_search({run!r}{made}{given})"
    use = f"result{winner}" if own_score else f"platform.finished_run({run!r}{made}){winner}"
    return Advice(again, use, is_command=False)


def _parts(run: str) -> tuple[str, str]:
    """Return the storage and the name of a run."""
    if "://" not in run:
        return str(Path(run).parent), Path(run).name
    from archsearch.cluster.storage_place import StoragePlace

    place = StoragePlace.of(run)
    return place.parent().address, place.name

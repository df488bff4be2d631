"""The tracker that the settings of a search ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archsearch import __version__
from archsearch.evaluators import Evaluator
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.ranking import RankedRow
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.summary import SearchSummary
from archsearch.platform.tracking.run_summary import searcher_settings
from archsearch.platform.tracking.tracker import Tracker
from archsearch.searchers import ArchitectureSearcher, Observation


class NoTracker:
    """Stands in for a tracker where tracking is off."""

    run_id = None

    def start(self, wait: bool = True) -> None:
        """Do nothing."""

    def record(self, observations: Sequence[Observation]) -> None:
        """Do nothing."""

    def record_values(self, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def log_artifacts(self, directory: Path) -> None:
        """Do nothing."""

    def log_finalists(self, rows: Sequence[RankedRow]) -> None:
        """Do nothing."""

    def finish(self, status: str = "FINISHED", summary: SearchSummary | None = None, top: int = 10) -> None:
        """Do nothing."""


def open_tracker(
    configuration: SearchConfiguration, space: str, searcher: ArchitectureSearcher, evaluator: Evaluator, folder: RunFolder
) -> Tracker | NoTracker:
    """Return the started tracker of a search, which takes up the run that the folder remembers.

    Args:
        configuration: The settings; `tracking` says where to.
        space: Name of the space.
        searcher: What proposes; its settings are logged with their defaults, so that charts over them have all runs.
        evaluator: What scores the candidates.
        folder: Folder of the run.
    """
    if configuration.tracking == "off":
        return NoTracker()
    tags: dict[str, Any] = {"kind": "search", "space": space, "dataset": evaluator.task, "searcher": configuration.searcher}
    tags |= {"evaluator": configuration.evaluator, "seed": configuration.seed, "version": __version__}
    if configuration.study:
        tags["study"] = configuration.study
    options = searcher_settings(searcher, configuration.searcher_options)
    tracker = Tracker(
        None if configuration.tracking == "auto" else configuration.tracking,
        f"{space}/{evaluator.task}",
        folder.name,
        tags,
        {**configuration.as_dict(), "searcher_options": options},
        folder.tracking_id,
        directory=folder.path,
        gpus_per_worker=configuration.gpus_per_worker,
        system_metrics=configuration.system_metrics,
        on_run=lambda run_id: setattr(folder, "tracking_id", run_id),
    )
    tracker.start(wait=False)
    return tracker

"""The tracker that the settings of a search ask for."""

from __future__ import annotations

from typing import Any

from archsearch import __version__
from archsearch.evaluators import Evaluator
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.tracking.run_summary import searcher_settings
from archsearch.platform.tracking.store import tracking_uri
from archsearch.platform.tracking.tracker import Tracker
from archsearch.searchers import ArchitectureSearcher


def open_tracker(
    configuration: SearchConfiguration, space: str, searcher: ArchitectureSearcher, evaluator: Evaluator, folder: RunFolder
) -> Tracker | None:
    """Return the started tracker of a search, or None where tracking is off. It continues the MLflow run noted in the folder.

    Args:
        configuration: The settings; `tracking` says where to.
        space: Name of the space.
        searcher: What proposes; its settings are logged with their defaults, so that charts over them have all runs.
        evaluator: What scores the candidates.
        folder: Folder of the run.
    """
    if configuration.tracking == "off":
        return None
    tags: dict[str, Any] = {"kind": "search", "space": space, "dataset": evaluator.task, "searcher": configuration.searcher}
    tags |= {"evaluator": configuration.evaluator, "seed": configuration.seed, "version": __version__}
    if configuration.study:
        tags["study"] = configuration.study
    options = searcher_settings(searcher, configuration.searcher_options)
    tracker = Tracker(
        tracking_uri(configuration.tracking),
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

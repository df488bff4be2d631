"""Creates the tracker of a search from its settings."""

from __future__ import annotations

from typing import Any

from archsearch import __version__
from archsearch.evaluators import Evaluator
from archsearch.platform.advice import advice
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
        configuration: The settings, with the store in `tracking`.
        space: Name of the space.
        searcher: The searcher; its settings are logged including defaults, so that charts over them have all runs.
        evaluator: The evaluator.
        folder: Folder of the run.
    """
    if configuration.tracking == "off":
        return None
    tags: dict[str, Any] = {"kind": "search", "space": space, "dataset": evaluator.task, "searcher": configuration.method}
    tags |= {"evaluator": configuration.evaluator, "seed": configuration.seed, "version": __version__}
    tags["study"] = configuration.study or _kind(configuration)
    options = searcher_settings(searcher, configuration.searcher_options)
    tracker = Tracker(
        tracking_uri(configuration.tracking, configuration.storage, begun=folder.tracking_id is not None),
        experiment=f"{space}/{evaluator.task}",
        run_name=folder.name,
        tags=tags,
        params={**configuration.as_dict(), "searcher_options": options},
        run_id=folder.tracking_id,
        directory=folder.path,
        command=advice(folder.address, configuration, evaluator.space).resume,
        gpus_per_worker=configuration.gpus_per_worker,
        system_metrics=configuration.system_metrics,
        on_run=lambda run_id: setattr(folder, "tracking_id", run_id),
    )
    tracker.start(wait=False)
    return tracker


def _kind(configuration: SearchConfiguration) -> str:
    """Return what searches must have in common for a comparison: evaluator, its options and the budget.

    It groups searches without a study in MLflow's charts, which would otherwise average those of other sizes.
    """
    options = [f"{name}={value}" for name, value in configuration.evaluator_options.items()]
    limits = [f"{name} {limit}" for name, limit in configuration.constraints.items()]
    parts = [configuration.evaluator, *options, *limits, f"{configuration.num_candidates} candidates"]
    return ", ".join(parts)[:200]

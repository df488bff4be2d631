"""Allocation of the CPUs and GPUs of the connected cluster to the trials of a search and the actors of its searcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archsearch.cluster.placement import (
    Limits,
    Node,
    Request,
    cluster_nodes,
    count_fitting,
    place_spread,
    require_device,
    require_room,
)
from archsearch.evaluators import Evaluator
from archsearch.platform.configuration import SearchConfiguration
from archsearch.searchers import ArchitectureSearcher


@dataclass(frozen=True)
class Allocation:
    """The processes of a search.

    Args:
        workers: Number of trials at once that the search asks for.
        fitting: Number of trials for which there is room now.
        actor_cpus: CPUs that all actors of the searcher reserve together.
        trial: What a trial reserves.
        actors: Number of processes that the searcher keeps beside the trials.
        lacking: What an autoscaling cluster must add before a trial can run; empty if nothing.
    """

    workers: int
    fitting: int
    actor_cpus: float
    trial: Request
    actors: int
    lacking: str


def trial_request(configuration: SearchConfiguration) -> Request:
    """Return what one trial of a search reserves."""
    return Request("a trial", configuration.cpus_per_worker, configuration.gpus_per_worker)


def allocate(
    configuration: SearchConfiguration,
    searcher: ArchitectureSearcher,
    evaluator: Evaluator,
    machines: Callable[[], list[Node]] | None = None,
    limits: Limits | None = None,
) -> Allocation:
    """Return which processes a search will run on the connected cluster.

    Actors of the searcher may reserve all CPUs except those of one trial. If there is no room for a trial beside them, they share
    its cores, and reserve none.

    Args:
        configuration: The search.
        searcher: Its searcher.
        evaluator: Its evaluator; look-ups have one worker unless the settings name a number.
        machines: Returns the machines with all that they have; None asks the connected cluster.
        limits: As for `require_room`.

    Raises:
        ConfigurationError: A trial does not fit on any node, or not beside the actors; the search would wait forever. Or a device
            is `cuda`, and no node has a GPU.
    """
    trial = trial_request(configuration)
    machines = machines or cluster_nodes
    require_device("searcher_options.device", "the surrogate", getattr(searcher, "device", ""), machines(), limits)
    require_device("evaluator_options.device", "a training", getattr(evaluator, "device", ""), machines(), limits)
    lacking = require_room([trial], machines(), limits)
    nodes = machines()
    total = max(1.0, sum(node.cpus for node in nodes))
    actor_cpus = min(searcher.reserved_cpus, max(0.0, total - trial.cpus))
    actors = searcher.actor_requests(actor_cpus)
    if actor_cpus and place_spread(nodes, [*actors, trial]) is not None:
        actor_cpus = 0.0
        actors = searcher.actor_requests(actor_cpus)
    nodes = machines()
    lacking = require_room([*actors, trial], nodes, limits) or lacking
    slots = 1 + count_fitting(nodes, trial)
    workers = configuration.workers or (1 if evaluator.is_lookup else slots)
    return Allocation(workers, slots, actor_cpus, trial, len(actors), lacking)

"""Making the actors of a model pool."""

from __future__ import annotations

import logging
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from archsearch.cluster.pool.actor import ModelActor
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.layout import NAMESPACE, PoolLayout
from archsearch.cluster.pool.newest_state import ask_patiently
from archsearch.cluster.pool.registry import PoolRegistry
from archsearch.errors import first_line

logger = logging.getLogger(__name__)


def is_there(layout: PoolLayout) -> bool:
    """Return whether a shared pool of this name is in the cluster already.

    Raises:
        PoolError: It is made otherwise.
    """
    try:
        registry: Any = ray.get_actor(layout.name, namespace=NAMESPACE)
        there = ask_patiently(registry.layout)
    except (ValueError, RayError):
        return False
    if there != layout:
        raise PoolError(f"name: the pool {layout.name!r} is there, but made otherwise ({there}); attach to it.")
    return True


def make_registry(layout: PoolLayout) -> Any:
    """Return the actor that all find by the name of the pool.

    Raises:
        PoolError: The name is taken, or Ray cannot start it.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = _options(layout, layout.name)
    try:
        registry: Any = ray.remote(PoolRegistry).options(num_cpus=0, scheduling_strategy=here, **options).remote(layout)
        ask_patiently(registry.layout)
    except ValueError as error:
        raise PoolError(
            f"name: a pool {layout.name!r} is in this cluster already; attach to it, or choose another name."
        ) from error
    except RayError as error:
        raise PoolError(f"pool {layout.name}: Ray could not start it ({first_line(error)}).") from error
    return registry


def make_actor(layout: PoolLayout, index: int, pickled: bytes) -> Any:
    """Return one of the actors, which makes its model by the pickled function."""
    made = ray.remote(ModelActor).options(
        num_cpus=layout.cpus,
        num_gpus=layout.gpus,
        scheduling_strategy="SPREAD",  # over nodes; and not within the resources of a trial
        max_task_retries=0,
        **_options(layout, layout.actor_name(index)),
    )
    return made.remote(pickled, layout.threads, layout.gpus, layout.name)


def _options(layout: PoolLayout, name: str) -> dict[str, Any]:
    lifetime = {"lifetime": "detached", "get_if_exists": True} if layout.shared else {}
    return {"name": name, "namespace": NAMESPACE, "max_restarts": -1, **lifetime}


def needs(layout: PoolLayout) -> str:
    """Return what the pool needs beside what there is, as a sentence."""
    there = ray.cluster_resources()
    return (
        f"Each of the {layout.actors} needs {layout.cpus:g} CPUs and {layout.gpus:g} GPUs; "
        f"the cluster has {there.get('CPU', 0):g} and {there.get('GPU', 0):g}."
    )


def warn_if_too_many(layout: PoolLayout) -> None:
    """Log that some actors will wait for resources."""
    there = ray.cluster_resources()
    if layout.actors * layout.cpus > there.get("CPU", 0) or layout.actors * layout.gpus > there.get("GPU", 0):
        logger.warning("pool %s: the cluster has no room for all of it. %s", layout.name, needs(layout))

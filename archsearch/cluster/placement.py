"""Placement of processes that reserve CPUs and GPUs on the nodes of the connected cluster."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from archsearch.errors import ConfigurationError

logger = logging.getLogger(__name__)

# Ray notes amounts of resources in ten-thousandths.
_ROUNDING = 1e-4
# The monitor of a cluster that has just started writes its first status after some seconds.
_MONITOR_SECONDS = 10.0
_SHOWN_NODES = 4


@dataclass(frozen=True)
class Request:
    """What one process reserves.

    Args:
        what: What the process is, such as `a trial`.
        cpus: CPU cores.
        gpus: GPUs; a fraction up to 1, or a whole number.
        cpu_setting: Name of the setting that says how many CPUs.
        gpu_setting: Name of the setting that says how many GPUs.
    """

    what: str
    cpus: float
    gpus: float = 0.0
    cpu_setting: str = "cpus_per_worker"
    gpu_setting: str = "gpus_per_worker"

    @property
    def amounts(self) -> str:
        """The amounts in words, such as `1 CPU and 0.5 GPUs`."""
        return amounts(self.cpus, self.gpus)


@dataclass
class Node:
    """What is free on one machine.

    Args:
        name: Its address.
        cpus: CPU cores.
        gpus: Share that is free of each GPU.
    """

    name: str
    cpus: float
    gpus: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, cpus: float, gpus: float) -> Node:
        """Return a machine on which all is free; `gpus` that are no whole number end with a share of one."""
        whole = math.floor(gpus + _ROUNDING)
        rest = gpus - whole
        return cls(name, cpus, [1.0] * whole + ([rest] if rest > _ROUNDING else []))

    def has_room(self, request: Request) -> bool:
        """Return whether the process fits."""
        return self.cpus + _ROUNDING >= request.cpus and self._taken(request.gpus) is not None

    def place(self, request: Request) -> None:
        """Reserve what the process asks for; there must be room."""
        taken = self._taken(request.gpus)
        assert taken is not None
        self.cpus -= request.cpus
        for index in taken:
            self.gpus[index] -= min(1.0, request.gpus)

    def _taken(self, gpus: float) -> list[int] | None:
        """Return the GPUs that a process would get, or None if there are too few; a fraction is never spread over several."""
        if gpus <= 0.0:
            return []
        count, each = (1, gpus) if gpus < 1.0 else (round(gpus), 1.0)
        # A share goes to the fullest GPU on which it fits, as Ray places it.
        fitting = sorted((index for index, free in enumerate(self.gpus) if free + _ROUNDING >= each), key=self.gpus.__getitem__)
        return fitting[:count] if len(fitting) >= count else None


def cluster_nodes() -> list[Node]:
    """Return the living machines of the connected cluster, with all that they have, whether it is in use or not."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    return [Node.of(node["NodeManagerAddress"], _amount(node, "CPU"), _amount(node, "GPU")) for node in alive]


def _amount(node: dict[str, Any], resource: str) -> float:
    return float(node["Resources"].get(resource, 0.0))


def place_spread(nodes: Sequence[Node], requests: Iterable[Request]) -> Request | None:
    """Reserve room for processes that Ray spreads over the nodes; return the first one without room, or None."""
    for request in requests:
        fitting = [node for node in nodes if node.has_room(request)]
        if not fitting:
            return request
        max(fitting, key=lambda node: node.cpus).place(request)
    return None


def count_fitting(nodes: Sequence[Node], request: Request, most: int = 10_000) -> int:
    """Return how many copies of a process fit at once, at most `most`, and reserve their room."""
    count = 0
    for node in nodes:
        while count < most and node.has_room(request):
            node.place(request)
            count += 1
    return count


Limits = Callable[[], "list[Node] | None"]
"""Returns what `autoscaling_limits` does."""


def require_room(requests: Sequence[Request], nodes: Sequence[Node] | None = None, limits: Limits | None = None) -> str:
    """Raise ConfigurationError if processes can never run at the same time on the connected cluster.

    What other programs have reserved counts as free: they end. A cluster that adds nodes itself is waited for, unless it is
    known that none of its kinds of nodes would do.

    Args:
        requests: The processes, those that Ray places first at the front.
        nodes: The machines, which are filled; None takes those of the cluster.
        limits: The machines that the cluster can add; None asks the connected one.

    Returns:
        What an autoscaling cluster must add before all can run, in words; empty if there is room.

    Raises:
        ConfigurationError: A process does not fit on any node, or not beside the others.
    """
    for request in requests:
        check_amounts(request)
    nodes = cluster_nodes() if nodes is None else nodes
    there = describe(nodes)
    for request in requests:
        if not any(node.has_room(request) for node in _copies(nodes)):
            problem = f"{_setting(request, nodes)}: {request.what} asks for {request.amounts}, but {_largest(nodes)}"
            return _grown([request], problem, f"Ask for less, or {_start_with(request)}.", limits)
    without = place_spread(nodes, requests)
    if without is None:
        return ""
    settings = dict.fromkeys(name for each in requests for name in _asked(each))
    problem = f"{', '.join(settings)}: {_listing(requests)} do not fit at once on {there}"
    return _grown(requests, problem, "They would wait for each other forever: ask for less.", limits)


def require_device(setting: str, what: str, device: str, nodes: Sequence[Node], limits: Limits | None = None) -> None:
    """Raise ConfigurationError for a GPU as a device where no node of the cluster has one, nor any that it can add.

    Args:
        setting: Name of the setting, for the message.
        what: What uses the device.
        device: Its name; only `cuda` and `cuda:N` need a GPU.
        nodes: The machines.
        limits: As for `require_room`.

    Raises:
        ConfigurationError: There is no GPU.
    """
    if not device.startswith("cuda") or any(node.gpus for node in nodes):
        return
    kinds = (limits or autoscaling_limits)()
    if kinds is None or (kinds and not any(kind.gpus for kind in kinds)):
        raise ConfigurationError(
            f"{setting}: {what} is to use {device}, but Ray knows no GPU on {describe(nodes)}. Give device=auto or cpu, or start "
            "Ray on a machine with a GPU that it sees."
        )


def check_amounts(request: Request) -> None:
    """Raise ConfigurationError for amounts that Ray does not place: no finite number of at least 0, 1.5 GPUs, and the like."""
    for setting, amount in ((request.cpu_setting, request.cpus), (request.gpu_setting, request.gpus)):
        if not 0.0 <= amount < math.inf:
            raise ConfigurationError(f"{setting}: expected a finite number of at least 0 for {request.what}; got {amount:g}.")
    if request.gpus > 1.0 and abs(request.gpus - round(request.gpus)) > _ROUNDING:
        raise ConfigurationError(
            f"{request.gpu_setting}: expected a fraction up to 1 or a whole number, because {request.what} can have a share of "
            f"one GPU only; got {request.gpus:g}."
        )


def autoscaling_limits() -> list[Node] | None:
    """Return one node of each kind that the connected cluster can add; an empty list if the kinds are not known.

    None means that the cluster adds no nodes.
    """
    from ray._private.state import state
    from ray._private.worker import global_worker
    from ray.experimental.internal_kv import _internal_kv_get

    own = cast(Any, global_worker).node
    if own is not None and own.head:
        return None  # this process has started the Ray of this machine
    get_configuration: Any = state.get_cluster_config  # Ray's annotations say less than it returns
    configuration = get_configuration()
    if configuration is not None and configuration.node_group_configs:
        groups = [group for group in configuration.node_group_configs if group.max_count != 0]
        return [Node.of(group.name, group.resources.get("CPU", 0), group.resources.get("GPU", 0)) for group in groups]
    if (kinds := _kinds_by_second_autoscaler()) is not None:
        return [] if adds_nodes(kinds) else None
    deadline = time.monotonic() + _MONITOR_SECONDS
    ask: Any = _internal_kv_get  # it returns None where there is no such key
    while (status := ask("__autoscaling_status")) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    if status is None:
        return None
    report = json.loads(status).get("autoscaler_report") or {}
    return [] if adds_nodes(report.get("node_type_mapping") or {}) else None


def _kinds_by_second_autoscaler() -> dict[str, str] | None:
    """Return the kind of each node if the cluster has version 2 of Ray's autoscaler, which writes no status of version 1."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    if not is_autoscaler_v2(fetch_from_server=True):
        return None
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return {str(node.node_id): str(node.ray_node_type_name) for node in [*status.active_nodes, *status.idle_nodes]}


def adds_nodes(kinds: Mapping[str, str]) -> bool:
    """Return whether a cluster has an autoscaler, from the kind of each node as its monitor reports it."""
    # Without an autoscaler each node is its own kind, `node_` and its id.
    return any(not str(kind).startswith("node_") for kind in kinds.values())


def amounts(cpus: float, gpus: float) -> str:
    """Return numbers of CPUs and GPUs in words, without GPUs if there are none."""
    words = f"{cpus:g} CPU{'' if cpus == 1 else 's'}"
    return f"{words} and {gpus:g} GPU{'' if gpus == 1 else 's'}" if gpus else words


def describe(nodes: Sequence[Node]) -> str:
    """Return the machines in words."""
    if len(nodes) == 1:
        return f"this cluster of one node, which has {_both(nodes[0])}"
    shown = "; ".join(f"{node.name} has {_both(node)}" for node in nodes[:_SHOWN_NODES])
    return f"the {len(nodes)} nodes ({shown}{'; ...' if len(nodes) > _SHOWN_NODES else ''})"


def _grown(requests: Sequence[Request], problem: str, advice: str, limits: Limits | None) -> str:
    """Return what an autoscaling cluster must add for these requests.

    Raises:
        ConfigurationError: The cluster adds no nodes, or none that would do.
    """
    kinds = (limits or autoscaling_limits)()
    if kinds is None:
        raise ConfigurationError(f"{problem}. {advice}")
    if kinds and (unplaceable := [each for each in requests if not any(kind.has_room(each) for kind in kinds)]):
        known = "; ".join(f"{kind.name}: {_both(kind)}" for kind in kinds)
        raise ConfigurationError(
            f"{problem}, and of the kinds of nodes that the cluster can add none has room for {unplaceable[0].what} ({known}). "
            f"{advice}"
        )
    return f"{_listing(requests)}"


def _copies(nodes: Sequence[Node]) -> list[Node]:
    return [Node(node.name, node.cpus, list(node.gpus)) for node in nodes]


def _setting(request: Request, nodes: Sequence[Node]) -> str:
    """Return the setting that asks for too much."""
    without_gpus = Request(request.what, request.cpus)
    return request.gpu_setting if any(node.has_room(without_gpus) for node in nodes) else request.cpu_setting


def _asked(request: Request) -> list[str]:
    return [*([request.cpu_setting] if request.cpus else []), *([request.gpu_setting] if request.gpus else [])]


def _start_with(request: Request) -> str:
    return "start Ray on a machine with a GPU that it sees" if request.gpus else "use a cluster with larger nodes"


def _largest(nodes: Sequence[Node]) -> str:
    if len(nodes) == 1:
        return f"the only node of the cluster, {nodes[0].name}, has {_both(nodes[0])}"
    return f"no node of the cluster has as much: {describe(nodes)}"


def _both(node: Node) -> str:
    gpus = sum(node.gpus)
    return f"{node.cpus:g} CPU{'' if node.cpus == 1 else 's'} and {gpus:g} GPU{'' if gpus == 1 else 's'}"


def _listing(requests: Sequence[Request]) -> str:
    """Return the requests in words, equal ones together: `2 times an actor (1 CPU), and a trial (1 CPU and 1 GPU)`."""
    counts: dict[tuple[str, str], int] = {}
    for each in requests:
        counts[each.what, each.amounts] = counts.get((each.what, each.amounts), 0) + 1
    parts = [f"{f'{count} times ' if count > 1 else ''}{what} ({needs})" for (what, needs), count in counts.items()]
    return " and ".join(parts)

"""Which processes fit on which nodes, and what is said of those that never will."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from archsearch.cluster import ModelPool, placement
from archsearch.cluster.placement import Node, Request, count_fitting, place_spread, require_room
from archsearch.cluster.process_group import run_group
from archsearch.errors import ConfigurationError


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that adds no nodes; what Ray itself says of that is tested with a real one below."""
    monkeypatch.setattr(placement, "autoscaling_limits", lambda: None)


@pytest.mark.parametrize("cpus", [0.25, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("gpus", [0.0, 0.1, 0.3, 0.5, 1.0, 2.0])
def test_as_many_fit_as_packed_one_by_one(cpus: float, gpus: float) -> None:
    free_cpus, free_gpus, count = 800, [100, 100, 100], 0  # in hundredths
    wanted = round(100 * gpus)
    while free_cpus >= 100 * cpus:
        holders = [number for number, free in enumerate(free_gpus) if free >= min(wanted, 100)]
        if wanted and len(holders) < max(1, wanted // 100):
            break
        for number in holders[: max(1, wanted // 100)]:
            free_gpus[number] -= min(wanted, 100)
        free_cpus -= round(100 * cpus)
        count += 1
    assert count_fitting([Node.of("here", 8.0, 3.0)], Request("a trial", cpus, gpus)) == count


def test_processes_that_are_spread_may_leave_no_room() -> None:
    actor, trial = Request("an actor", 1.0), Request("a trial", 2.0)
    assert place_spread([Node.of("a", 2, 0), Node.of("b", 2, 0)], [actor, actor, trial]) is trial
    assert place_spread([Node.of("a", 2, 0), Node.of("b", 3, 0)], [actor, trial]) is None


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize(
    ("requests", "nodes", "message"),
    [
        ([(1, 1)], [(2, 0)], "gpus_per_worker: a trial asks for 1 CPU and 1 GPU, but the only node .* has 2 CPUs and 0 GPUs"),
        ([(4096, 0)], [(2, 0)], "cpus_per_worker: a trial asks for 4096 CPUs, but the only node .* has 2 CPUs"),
        ([(4, 0)], [(2, 0), (2, 0)], "cpus_per_worker: .* no node of the cluster has as much: the 2 nodes .n0 has 2 CPUs"),
        ([(1, 2)], [(8, 1), (8, 1)], "gpus_per_worker: a trial asks for 1 CPU and 2 GPUs, but no node"),
        (
            [(1, 0.7), (1, 0.7)],
            [(8, 1)],
            "cpus_per_worker, gpus_per_worker: 2 times a trial .* do not fit at once",
        ),
        ([(1, 1.5)], [(8, 4)], "gpus_per_worker: expected a fraction up to 1 or a whole number"),
    ],
)
def test_what_can_never_run_is_refused(
    requests: list[tuple[float, float]], nodes: list[tuple[float, float]], message: str
) -> None:
    machines = [Node.of(f"n{number}", *node) for number, node in enumerate(nodes)]
    with pytest.raises(ConfigurationError, match=message):
        require_room([Request("a trial", *request) for request in requests], machines)


@pytest.mark.parametrize(("cpus", "gpus"), itertools.product([0.5, 2.0], [0.0, 0.5, 1.0, 2.0]))
def test_what_fits_is_not_refused(cpus: float, gpus: float) -> None:
    assert require_room([Request("a trial", cpus, gpus)], [Node.of("a", 1, 0), Node.of("b", 2, 2)]) == ""


def test_a_cluster_that_grows_is_waited_for_unless_no_kind_of_node_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    here, trial = [Node.of("head", 2, 0)], Request("a trial", 1.0, 1.0)
    monkeypatch.setattr(placement, "autoscaling_limits", lambda: [])  # it grows, in an unknown way
    assert require_room([trial], here) == "a trial (1 CPU and 1 GPU)"
    monkeypatch.setattr(placement, "autoscaling_limits", lambda: [Node.of("gpu-worker", 4, 1)])
    assert require_room([trial], here) == "a trial (1 CPU and 1 GPU)"
    with pytest.raises(ConfigurationError, match="that the cluster can add none has room for a trial .gpu-worker: 4 CPUs"):
        monkeypatch.setattr(placement, "autoscaling_limits", lambda: [Node.of("gpu-worker", 4, 0)])
        require_room([trial], here)


@pytest.mark.usefixtures("shared_ray")
def test_actors_and_groups_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gpus: an actor of the pool asks for 0 CPUs and 1 GPU, but the only node"):
        ModelPool.start(dict, gpus=1.0)
    with pytest.raises(ConfigurationError, match="cpus: an actor of the pool asks for 4096 CPUs"):
        ModelPool.start(dict, cpus=4096.0)
    with pytest.raises(ConfigurationError, match="3 times a process of the training .1 CPU. do not fit at once"):
        run_group(print, {}, "group", tmp_path, workers=3)
    with pytest.raises(ConfigurationError, match="gpus_per_worker: a process of the training asks for 1 CPU and 1 GPU"):
        run_group(print, {}, "group", tmp_path, workers=2, gpus_per_worker=1.0)

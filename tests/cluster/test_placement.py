"""Which processes fit on which nodes, and what is said of those that never will."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from archsearch.cluster import ModelPool, placement
from archsearch.cluster.placement import Node, Request, count_fitting, place_spread, require_room
from archsearch.cluster.process_group import run_group
from archsearch.errors import ConfigurationError


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that adds no nodes. What Ray itself says is tested with a cluster of one node and with an autoscaler below."""
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
        ([(1, math.nan)], [(8, 4)], "gpus_per_worker: expected a finite number of at least 0 for a trial; got nan"),
        ([(-1, 0)], [(8, 4)], "cpus_per_worker: expected a finite number of at least 0 for a trial; got -1"),
        ([(math.inf, 0)], [(8, 4)], "cpus_per_worker: expected a finite number of at least 0 for a trial; got inf"),
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
    """The kinds are made up here: Ray's own autoscalers do not tell them, those of managed clusters may."""
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


# Ray's provider of nodes that are processes of this machine. `ray.cluster_utils.AutoscalingCluster` starts it too, but ends all
# clusters of the machine first, and needs a file that Ray's wheel lacks.
_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
_HEAD = "f" * 51 + "00000"
_ASK = """
import sys
import ray
from archsearch.cluster import connect
from archsearch.cluster.placement import Request, autoscaling_limits, cluster_nodes, require_room
connect(sys.argv[1])
print("limits", autoscaling_limits())
print("lacking", require_room([Request("a trial", 2.0)]))
print("ran", ray.get(ray.remote(num_cpus=2)(lambda: "there").remote(), timeout=200))
print("nodes", sorted(node.cpus for node in cluster_nodes()))
"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", [1, 2])
def test_an_autoscaling_cluster_is_waited_for(version: int) -> None:
    """A head of one CPU adds a node of two for a task that needs them, with either version of Ray's autoscaler."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    head = {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0}
    larger = {"resources": {"CPU": 2, "object_store_memory": 100_000_000}, "node_config": {}, "min_workers": 0, "max_workers": 1}
    provider = {"type": "external", "module": _PROVIDER, "gcs_address": f"127.0.0.1:{ports[0]}", "head_node_id": _HEAD}
    lists = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    cluster = {
        **{f"{name}_commands": [] for name in lists},
        **{name: {} for name in ("auth", "file_mounts", "docker", "head_node", "worker_nodes")},
        **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
        "file_mounts_sync_continuously": False,
        "upscaling_speed": 1.0,
        "cluster_name": "growing",
        "max_workers": 1,
        "provider": {**provider, "launch_multiple": version == 2},
        "available_node_types": {"ray.head.default": head, "larger": larger},
        "head_node_type": "ray.head.default",
        "idle_timeout_minutes": 5,
    }
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # Ray's sockets need a short path
    (folder / "cluster.yaml").write_text(json.dumps(cluster))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_AUTH_MODE": "disabled"}
    environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_NODE_TYPE_NAME": "ray.head.default"}
    if version == 2:
        environment |= {
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": _HEAD,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD,
        }
    names = ["port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port"]
    command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--num-cpus", "1"]
    command += ["--autoscaling-config", str(folder / "cluster.yaml"), "--temp-dir", str(folder), "--include-dashboard", "false"]
    command += ["--node-ip-address", "127.0.0.1", "--object-store-memory", "100000000"]
    command += [f"--{name}={port}" for name, port in zip(names, ports, strict=True)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
    try:
        assert started.stdout is not None
        assert any("Ray runtime started" in line for line in started.stdout)
        ask = [sys.executable, "-c", _ASK, f"127.0.0.1:{ports[0]}"]
        asked = {**environment, "RAY_enable_autoscaler_v2": ""}  # a driver elsewhere does not know the version
        done = subprocess.run(ask, env={k: v for k, v in asked.items() if v}, timeout=400, check=False, **pipes)
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    rest = started.stdout.read()
    for line in ("limits []", "lacking a trial (2 CPUs)", "ran there", "nodes [1.0, 2.0]"):
        assert line in done.stdout, done.stdout + rest

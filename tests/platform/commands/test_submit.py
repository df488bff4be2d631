"""Searches as jobs of a real cluster: a head with a job server, on this machine and reachable from it alone."""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from archsearch.errors import ConfigurationError
from archsearch.platform.commands.submit import _with_inputs, for_cluster, modules_of, submit_search
from archsearch.platform.configuration import SearchConfiguration

pytestmark = pytest.mark.timeout(1800)
RAY = str(Path(sys.executable).parent / "ray")
TINY = ["--searcher", "evolution", "--train", "epochs=12", "--train", "scale={channels: 4, cells_per_stage: 1}"]


@dataclass
class Cluster:
    """A head of two CPUs: its job server, its own address, and the environment that holds its token."""

    server: str
    address: str
    environment: dict[str, str]

    def run(self, *command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env={**self.environment, **environment}, capture_output=True, text=True, timeout=600, check=False
        )

    def archsearch(self, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "archsearch", *arguments, folder=folder, **environment)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    temporary = tempfile.mkdtemp(prefix="ray")  # Ray's sockets need a short path
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "200"}
    started = []
    try:
        for _ in range(3):  # another program may take a port before Ray does
            head, server, agent, *others = free_ports(6)
            started.append(start_head(temporary, environment, [head, server, agent, *others]))
            if is_up(started[-1], [server, agent]):
                break
            stop(started[-1])
        else:
            pytest.fail("ray start ended three times")
        yield Cluster(f"http://127.0.0.1:{server}", f"127.0.0.1:{head}", environment)
    finally:
        for process in started[-1:]:
            stop(process)
        shutil.rmtree(temporary, ignore_errors=True)


def start_head(temporary: str, environment: dict[str, str], ports: list[int]) -> subprocess.Popen[str]:
    names = ["port", "dashboard-port", "dashboard-agent-listen-port"]
    names += ["ray-client-server-port", "dashboard-agent-grpc-port", "metrics-export-port"]
    command = [RAY, "start", "--head", "--block", "--temp-dir", temporary, "--dashboard-host", "127.0.0.1", "--num-cpus", "2"]
    command += [f"--{name}={port}" for name, port in zip(names, ports, strict=True)] + ["--object-store-memory", "200000000"]
    # On a loopback of its own, the cluster listens on 127.0.0.1 alone.
    return subprocess.Popen(
        command,
        env={**environment, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def is_up(process: subprocess.Popen[str], ports: list[int]) -> bool:
    """Wait for a head, its job server, and its agent, without which jobs are refused; return whether all have come up.

    A server whose port is taken goes to the next one, where nobody looks for it.
    """
    assert process.stdout is not None
    if not any("Ray runtime started" in line for line in process.stdout):
        return False
    deadline = time.monotonic() + 120
    waiting = list(ports)
    while waiting and time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", waiting[0]), timeout=10):
            waiting.pop(0)
            continue
        time.sleep(0.1)
    return not waiting


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def stop(process: subprocess.Popen[str]) -> None:
    """End the head, then whatever is left of the session that was made for it, and nothing else."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def paid(folder: Path) -> list[str]:
    parts = sorted((folder / "runs/ledger").rglob("*.parquet"))
    return [key for part in parts for key in pq.read_table(part)["key"].to_pylist()]


def statuses(folder: Path) -> dict[str, str]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'runs/mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {run.info.run_name: run.info.status for run in runs}


@pytest.mark.slow
def test_a_search_is_sent_runs_and_leaves_its_results(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("searcher: random\nevaluator: table:digits201\nnum_candidates: 99\n")
    sent = ["submit", "--address", cluster.server, "--", "search.yaml", "--candidates", "30", "--tracking", "off"]
    done = cluster.archsearch(*sent, folder=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "30 candidates, 0 of them from the ledger." in done.stdout
    assert re.search(r"archsearch/ .*: \d+ files, \d\.\d MB\n  search.yaml: \d+ bytes\n", done.stderr)
    [report] = (tmp_path / "runs").glob("random-nasbench201-digits201-s0-*/report/report.html")
    assert report.stat().st_size > 10_000
    assert len(set(paid(tmp_path))) == 30


# The head of these tests is this machine, so that nothing would have to be sent.
_FROM_ELSEWHERE = """
import sys
from archsearch.cluster.jobs.job_server import JobServer
from archsearch.platform.command_line import main
JobServer.is_here = False
sys.exit(main(sys.argv[1:]))
"""
_SPACE = """
from archsearch.spaces import Cell, GeneSpace
from archsearch.spaces.operators import GlobalAveragePool, Linear, MaxPool, conv_bn_relu


class Pair(GeneSpace):
    name = "pair"
    operators = ("conv1x1", "conv3x3", "maxpool3x3")
    choices = {"first": ("conv1x1", "conv3x3", "maxpool3x3"), "second": ("conv1x1", "conv3x3", "maxpool3x3")}

    def cells(self, genes):
        return (Cell(4, ((0, 1), (1, 2), (2, 3)), ("input", genes["first"], genes["second"], "output")),)

    def genes(self, graphs):
        return dict(zip(self.choices, graphs[0].operators[1:3]))

    def network(self, build, architecture, num_classes):
        x = build.add("stem", conv_bn_relu(build.in_channels, 4, 3), build.input)
        for gene, name in self.params(architecture).items():
            x = build.add(gene, MaxPool(3) if name == "maxpool3x3" else conv_bn_relu(4, 4, int(name[-1])), x)
        return build.add("classifier", Linear(4, num_classes), build.add("pool", GlobalAveragePool(), x))
"""


@pytest.mark.long
def test_a_space_of_ones_own_and_what_is_known_already_go_along(cluster: Cluster, tmp_path: Path) -> None:
    here = tmp_path / "laptop"
    here.mkdir()
    (here / "pairs.py").write_text(_SPACE)
    (here / "known.csv").write_text('architecture,score\n"conv1x1 conv1x1",0.5\n"conv1x1 conv3x3",0.6\n')
    (here / "good.txt").write_text("conv3x3 conv3x3\n")
    texts = ["--start", "good.txt", "--learn-from", "known.csv", "--storage", str(tmp_path / "shared"), "--tracking", "off"]
    where = ["submit", "--address", cluster.server, "--python", sys.executable]
    sent = [*where, "--space", "python:pairs:Pair", "--train", "epochs=1", "--searcher", "random", *texts, "--name", "pair"]
    run = [sys.executable, "-c", _FROM_ELSEWHERE]
    done = cluster.run(*run, *sent, "--candidates", "2", folder=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pairs.py: " in done.stderr and "learned/1/known.csv: 63 bytes" in done.stderr
    assert "it only leaves out the 2 architectures of learned/1/known.csv." in done.stdout
    found = pq.read_table(tmp_path / "shared/pair/report/evaluations.parquet")["architecture"].to_pylist()
    assert found[0] == "conv3x3 conv3x3" and not {"conv1x1 conv1x1", "conv1x1 conv3x3"} & set(found)
    again = [*where, "--resume", str(tmp_path / "shared/pair"), "--candidates", "3"]
    more = cluster.run(*run, *again, folder=here)
    assert more.returncode == 0, more.stdout + more.stderr
    assert "3 candidates, 0 of them from the ledger." in more.stdout


@pytest.mark.slow
def test_requests_that_can_never_be_met_are_not_sent(cluster: Cluster, tmp_path: Path) -> None:
    for option, message in (
        ("--gpus-per-worker=1", "gpus_per_worker: a trial asks for 1 CPU and 1 GPU, but the only node of the cluster, 127.0.0.1"),
        ("--cpus-per-worker=4096", "cpus_per_worker: a trial asks for 4096 CPUs, but the only node of the cluster"),
    ):
        done = cluster.archsearch("submit", "--address", cluster.server, option, "--tracking", "off", folder=tmp_path)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_exit_code_is_that_of_the_search(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("evaluator: table:nowhere\n")
    done = cluster.archsearch("submit", "--address", cluster.server, "search.yaml", "--tracking", "off", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "archsearch: evaluator: no table 'nowhere'" in done.stdout
    assert "failed with exit code 2." in done.stderr


@pytest.mark.long
def test_ray_job_submit_runs_a_search(cluster: Cluster, tmp_path: Path) -> None:
    arguments = ["--table", "digits201", "--candidates", "30", "--searcher", "random", "--storage", str(tmp_path / "runs")]
    command = [RAY, "job", "submit", "--address", cluster.server, "--working-dir", ".", "--", sys.executable, "-m", "archsearch"]
    (tmp_path / "work").mkdir()
    done = cluster.run(*command, "run", "--tracking", "off", *arguments, folder=tmp_path / "work")
    assert done.returncode == 0, done.stderr
    assert "30 candidates, 0 of them from the ledger." in done.stdout
    assert len(set(paid(tmp_path))) == 30


@pytest.mark.slow
def test_a_wrong_token_ends_at_once(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.archsearch("submit", "--address", cluster.server, folder=tmp_path, RAY_AUTH_TOKEN="another")
    assert done.returncode == 2
    assert "does not accept Ray's token of this machine" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_waiting_ends_a_job_goes_on_is_stopped_cleanly_and_resumed(cluster: Cluster, tmp_path: Path) -> None:
    sent = ["submit", "--address", cluster.server, "--candidates", "24", "--name", "stopped", *TINY]
    waiting = subprocess.Popen(
        [sys.executable, "-m", "archsearch", *sent, "--set", "population_size=4", "--set", "tournament_size=2"],
        cwd=tmp_path,
        env=cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 200
    while len(paid(tmp_path)) < 1:
        assert waiting.poll() is None and time.monotonic() < deadline, waiting.stderr.read() if waiting.stderr else ""
        time.sleep(0.5)
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    before = len(paid(tmp_path))
    while len(paid(tmp_path)) <= before:  # the job has not noticed
        assert time.monotonic() < deadline
        time.sleep(0.5)
    advice = re.search(r"Stop:\s+(.*)", said)
    assert advice is not None, said
    assert cluster.run("sh", "-c", advice[1].replace(" ray ", f" {RAY} "), folder=tmp_path).returncode == 0
    stopped = paid(tmp_path)
    assert len(stopped) < 24
    assert statuses(tmp_path)["stopped"] == "KILLED"
    assert (tmp_path / "runs/stopped/report/report.html").exists()

    resumed = cluster.archsearch("submit", "--address", cluster.server, "--resume", "runs/stopped", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    keys = paid(tmp_path)
    assert set(stopped) <= set(keys)
    assert len(keys) == len(set(keys)) == 24
    assert statuses(tmp_path)["stopped"] == "FINISHED"


@pytest.mark.long
def test_a_job_that_is_not_waited_for_says_how_to_follow_it(cluster: Cluster, tmp_path: Path) -> None:
    sent = ["submit", "--address", cluster.server, "--no-wait", "--table", "digits201", "--candidates", "5", "--tracking", "off"]
    done = cluster.archsearch(*sent, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    follow = re.search(r"Follow:\s+(.*)", done.stderr)
    assert follow is not None, done.stderr
    log = cluster.run("sh", "-c", follow[1].replace(" ray ", f" {RAY} "), folder=tmp_path)
    assert "5 candidates, 0 of them from the ledger." in log.stdout + log.stderr


@pytest.mark.long
def test_doctor_and_dry_run_ask_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    seen = cluster.archsearch("doctor", "--address", cluster.address, "--storage", str(tmp_path), folder=tmp_path)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert f"1 nodes, 2 CPUs, 0 GPUs at {cluster.address}" in seen.stdout
    dry = cluster.archsearch("run", "--dry-run", "--address", cluster.address, "--table", "digits201", folder=tmp_path)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"1 node at {cluster.address}: 2 CPUs, 0 GPUs" in dry.stdout
    assert not list(tmp_path.iterdir())


def test_on_this_machine_relative_paths_are_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    given = SearchConfiguration(evaluator="table:scores.parquet#x", address="127.0.0.1:6379")
    made = for_cluster(given, is_here=True)
    assert made.storage == str(tmp_path / "runs")
    assert made.tracking == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert made.evaluator == f"table:{tmp_path}/scores.parquet#x"
    assert made.address is None
    assert re.fullmatch(r"evolution-nasbench201-scores-parquet-s0-\d{8}-\d{6}", str(made.name))
    named = SearchConfiguration(name="mine", tracking="sqlite:///mine.db", evaluator="train:imagefolder:cats")
    assert for_cluster(named, is_here=True).tracking == f"sqlite:///{tmp_path}/mine.db"
    assert for_cluster(named, is_here=True).evaluator == f"train:imagefolder:{tmp_path}/cats"
    assert for_cluster(named, is_here=True).name == "mine"


def test_the_images_of_functions_and_searchers_are_placed_as_those_of_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {
        "evaluator_options": {"dataset": "csv:labels.csv?image=file", "steps": 3},
        "searcher_options": {"dataset": "digits"},
    }
    shared: dict[str, Any] = {"storage": "/shared/runs", "tracking": "off"}
    made = for_cluster(SearchConfiguration(**shared, **options), is_here=True)
    assert made.evaluator_options == {"dataset": f"csv:{tmp_path}/labels.csv?image=file", "steps": 3}
    assert made.searcher_options == {"dataset": "digits"}
    for name in options:
        wrong = {name: {"dataset": "imagefolder:photos?size=48"}}
        with pytest.raises(ConfigurationError, match=f"{name}: dataset: expected data on storage that all nodes share.*'photos'"):
            for_cluster(SearchConfiguration(**shared, **wrong), is_here=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"storage": "/shared/runs", "tracking": "off"},
        {"storage": "s3://bucket/runs?endpoint_override=minio:9000", "tracking": "off"},
        {"storage": "/shared/runs", "tracking": "http://mlflow:5000"},
        {"storage": "/shared/runs", "tracking": "sqlite:////shared/mlflow.db", "evaluator": "train:cifar10"},
        {"storage": "/shared/runs", "tracking": "off", "evaluator": "table:digits201#valid_accuracy"},
        {"storage": "/shared/runs", "tracking": "off", "evaluator": "table:/shared/scores.parquet#x"},
        {"storage": "/shared/runs", "tracking": "off", "evaluator": "train:csv:s3://bucket/labels.csv?size=64"},
        {"storage": "/shared/runs", "tracking": "off", "evaluator": "train:imagefolder:gs://bucket/photos"},
    ],
)
def test_paths_that_all_nodes_see_stay_as_they_are(settings: dict[str, str]) -> None:
    made = for_cluster(SearchConfiguration(**settings), is_here=False)
    assert {name: getattr(made, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "storage: expected a folder that all nodes share.*got 'runs', which would be in a temporary folder of a node"),
        ({"storage": "~/runs"}, "storage: expected .*got '~/runs'"),
        ({"storage": "gs://bucket/runs"}, "storage: expected .*got 'gs://bucket/runs'. Mount other storage as a folder"),
        ({"storage": "s3://bucket/runs", "tracking": "auto"}, "tracking: .*s3://bucket/runs cannot hold MLflow's database"),
        ({"evaluator": "table:s3://bucket/scores.parquet#x"}, "evaluator: expected .*Mount a bucket as a folder"),
        ({"evaluator": "train:parquet:s3://key:word@bucket/x"}, "evaluator: expected no password or token, because"),
        ({"tracking": "sqlite:///mlflow.db"}, "tracking: expected .*got 'mlflow.db'"),
        ({"evaluator": "table:scores.parquet#x"}, "evaluator: expected data on storage.*got 'scores.parquet'"),
        ({"evaluator": "train:parquet:images"}, "evaluator: expected data on storage.*got 'images'"),
    ],
)
def test_elsewhere_relative_paths_are_refused(settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    whole = {"storage": "/shared/runs", "tracking": "off", **settings} if settings else {}
    with pytest.raises(ConfigurationError, match=message):
        for_cluster(SearchConfiguration(**whole), is_here=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"searcher": "evolution", "searcher_options": {"population": 5}},
            "searcher_options: evolution has no option 'population'. Did you mean",
        ),
        ({"evaluator_options": {"epochs": -1}}, "epochs: expected"),
        ({"objectives": ("accuracy", "-mcs")}, "mcs"),
    ],
)
def test_what_the_job_would_refuse_is_not_sent(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        submit_search(SearchConfiguration(**settings), "http://127.0.0.1:9")


def test_a_table_that_only_the_cluster_sees_is_no_reason_to_refuse() -> None:
    settings = SearchConfiguration(evaluator="table:/shared/scores.parquet#x")
    with pytest.raises(ConfigurationError, match="address: .*127.0.0.1:9"):
        submit_search(settings, "http://127.0.0.1:9")


def test_what_is_learned_from_is_sent_or_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text("architecture,score\n")
    (tmp_path / "runs/old/report").mkdir(parents=True)
    for name in ("run.yaml", "report/evaluations.parquet", "report/report.html"):
        (tmp_path / "runs/old" / name).write_text("x")
    given = ["scores.csv#score", "table:scores.csv", "runs/old", "digits201#valid_accuracy", "/shared/there.csv"]
    configuration = SearchConfiguration(learn_from=given)
    here, files = _with_inputs(configuration, is_here=True)
    whole = [f"{tmp_path}/scores.csv#score", f"table:{tmp_path}/scores.csv", f"{tmp_path}/runs/old", *given[3:]]
    assert (here.learn_from, files) == (whole, {})
    sent, files = _with_inputs(configuration, is_here=False)
    assert sent.learn_from == ["learned/1/scores.csv#score", "table:learned/2/scores.csv", "learned/3/old", *given[3:]]
    assert sorted(files) == [
        *("learned/1/scores.csv", "learned/2/scores.csv", "learned/3/old/report/evaluations.parquet", "learned/3/old/run.yaml")
    ]
    for wrong in ("scors.csv", "runs/nothing", "table:scors.parquet#x"):
        with pytest.raises(ConfigurationError, match="learn_from: there is no file and no run"):
            _with_inputs(SearchConfiguration(learn_from=[wrong]), is_here=False)


def test_the_server_that_the_environment_names_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert for_cluster(SearchConfiguration(storage="/shared/runs"), is_here=False).tracking == "http://mlflow:5000"


def test_modules_of_space_and_function_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sent_training.py").write_text("def train(model, context): return 1.0\n")
    (tmp_path / "sent_package").mkdir()
    for name in ("__init__", "spaces", "layers"):
        (tmp_path / "sent_package" / f"{name}.py").write_text(f"# {name}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sent_package" / "spaces.py").write_text("from archsearch.spaces.nasbench201 import NASBench201\n")
    importlib.import_module("sent_training")
    texts = modules_of("python:sent_package.spaces:NASBench201", "python:sent_training:train")
    modules = ["sent_package/__init__.py", "sent_package/layers.py", "sent_package/spaces.py", "sent_training.py"]
    assert sorted(texts) == modules
    assert texts["sent_training.py"] == "def train(model, context): return 1.0\n"
    assert modules_of("nasbench201", "train:digits") == {}

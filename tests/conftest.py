"""What all tests share: the folder of real data, one thread, and examples that are the same each time."""

from __future__ import annotations

import atexit
import faulthandler
import importlib.util
import itertools
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from archsearch import credentials, spaces

SESSION = pytest.StashKey[pytest.Session]()
SHARED_NODES = set[str]()
"""Nodes of the Rays that `shared_ray` has started."""
LONGEST = (
    "tests/platform/test_search.py",
    "tests/cluster/test_kills.py",
    "tests/platform/test_stops.py",
    "tests/cluster/pool/test_model_pool.py",
    "tests/cluster/pool/test_dispatcher.py",
    "tests/test_examples.py",
    "tests/platform/commands/test_submit.py",
    "tests/platform/test_command_line.py",
    "tests/searchers/test_conformance.py",
    "tests/searchers/surrogate/test_searcher.py",
    "tests/platform/training/test_worker_group.py",
    "tests/cluster/trials/test_tuning.py",
    "tests/platform/comparison/test_running.py",
    "tests/searchers/test_gates.py",
    "tests/searchers/test_ngae.py",
    "tests/compatibility/test_written_before.py",
    "tests/evaluators/predictors/test_predictor.py",
    "tests/cluster/test_fuzz_ledger.py",
    "tests/platform/tracking/test_model_registry.py",
    "tests/test_benchmarks.py",
)

for room in ("spaces", "evaluators", "searchers"):
    pytest.register_assert_rewrite(f"archsearch.{room}.conformance")
torch.set_num_threads(1)
os.environ.setdefault("RAY_worker_niceness", "0")  # else workers starve where other programs keep all cores busy
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else Ray kills workers when any programs fill the memory
# How long examples take, to run or to make, says nothing on a busy machine.
hypothesis.settings.register_profile("exploring", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("repeating", hypothesis.settings.get_profile("exploring"), derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Let all tiers but the long one draw the same examples each time; the long one looks for new examples."""
    with_long_tests = "long" in config.getoption("markexpr").replace("not long", "")
    hypothesis.settings.load_profile("exploring" if with_long_tests else "repeating")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that processes that share the tests end together."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.nodeid.partition("::")[0]) in LONGEST else len(LONGEST))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Note how the tests ended, for the end of the process."""
    session.config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process by the outcome of the tests, without the destructors of native libraries.

    Ray leaves threads of its own behind where a test killed the processes that they talk to. They have crashed the interpreter
    while it was being taken down, after all tests had passed.
    """
    session = config.stash.get(SESSION, None)
    if session is None or "ray" not in sys.modules:
        return
    faulthandler.enable(sys.__stderr__)
    atexit._run_exitfuncs()  # Ray ends its processes there
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(session.exitstatus))


@pytest.fixture(scope="session")
def pairs() -> ModuleType:
    """The module `digit_pairs.py`: images of two digits, for sets of labels and for numbers."""
    spec = importlib.util.spec_from_file_location("digit_pairs", Path(__file__).with_name("digit_pairs.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _forgotten_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords of MLflow stores that a test gives are unknown to the next one."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")  # so that what the test sets is undone
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    monkeypatch.setattr(credentials, "_kept", {})
    monkeypatch.setattr(credentials, "_secrets", set())


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    """Host and port of a server that speaks the protocol of S3."""
    from moto.server import ThreadedMotoServer  # only where it is needed: it takes a second

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield ":".join(map(str, server.get_host_and_port()))
    server.stop()


@pytest.fixture
def bucket(_s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URI of an empty folder in a bucket, which this process and those that it starts may write."""
    from pyarrow.fs import FileSystem

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-s3")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "cache"))
    name = f"test-{uuid.uuid4().hex}"
    options = f"?endpoint_override={_s3_server}&scheme=http&region=us-east-1"
    files, _ = FileSystem.from_uri(f"s3://{name}{options}&allow_bucket_creation=true")
    files.create_dir(name)
    return f"s3://{name}/runs{options}"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the benchmark tables and images."""
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        pytest.skip("ARCHSEARCH_DATA is unset; set it to the folder with the benchmark tables")
    return Path(folder)


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[None]:
    """The local Ray of two CPUs that all files of tests in this process share: its processes start once.

    A file that leaves CPUs taken, by an actor or a trial that goes on, has the next file begin with a new Ray, as does a test
    that has started one itself: its workers would look for the tests in the folder of that test.
    """
    import ray  # only where it is needed: it takes a second

    _start_shared_ray()
    yield
    if ray.is_initialized() and not _is_idle(seconds=5.0):
        ray.shutdown()


@pytest.fixture
def idle_ray(shared_ray: None) -> None:
    """The shared Ray with all its CPUs free.

    Ray 2.60 does not free the CPU of a worker that it ends before the worker has registered, as at the end of an experiment of
    Tune whose last trial is just starting. Then there is a new Ray.
    """
    import ray

    if ray.is_initialized() and not _is_idle(seconds=5.0):
        ray.shutdown()
    _start_shared_ray()


def _start_shared_ray() -> None:
    import ray

    from archsearch import cluster

    if ray.is_initialized() and ray.get_runtime_context().get_node_id() not in SHARED_NODES:
        ray.shutdown()
    if not ray.is_initialized():
        before = Path.cwd()
        os.chdir(Path(__file__).parent.parent)
        try:
            cluster.connect(num_cpus=2)
        finally:
            os.chdir(before)
        SHARED_NODES.add(ray.get_runtime_context().get_node_id())


@pytest.fixture(scope="module")
def no_ray() -> None:
    """No Ray runs in this process when the file of tests begins."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def ray_is_down(no_ray: None) -> None:
    """No Ray runs in this process when the test begins."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def _is_idle(seconds: float) -> bool:
    import ray

    end = time.monotonic() + seconds
    while ray.available_resources().get("CPU", 0.0) < ray.cluster_resources().get("CPU", 0.0):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, to be copied: making one takes seconds."""
    from mlflow import MlflowClient  # only where it is needed: it takes seconds

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of every nasbench201 structure with made-up scores, from 0.1 to 0.95: convolutions are good, zeros are bad."""
    space = spaces.get("nasbench201")
    worth = np.array([-3.0, 1.0, 2.0, 4.0, 0.5])
    rows: dict[str, tuple[str, float]] = {}
    for genotype in itertools.product(range(5), repeat=6):
        architecture = space.from_genotype(genotype)
        rows.setdefault(space.key(architecture), (str(architecture), float(worth[list(genotype)].sum())))
    texts, raw = zip(*rows.values(), strict=True)
    scores = 0.1 + 0.85 * (np.array(raw) - min(raw)) / (max(raw) - min(raw))
    columns = {"architecture": list(texts), "valid_accuracy": scores, "test_accuracy": scores - 0.01, "seconds": [2.0] * len(raw)}
    path = tmp_path_factory.mktemp("table") / "made-up.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "a disk ü"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here; that takes Linux and the rights of root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)

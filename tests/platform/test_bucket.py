"""Searches whose storage is a bucket of a server that speaks the protocol of S3: from the run to the exported model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import FileSelector, FileSystem

from archsearch.errors import ConfigurationError, RunError
from archsearch.platform.command_line import main
from archsearch.platform.commands.doctor import storage_state
from archsearch.platform.comparison.running import compare
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.result import finished_run
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_state import all_states, read_state
from archsearch.platform.search import resume_search, run_search

SETTINGS: dict[str, Any] = {"evaluator": "table:digits201", "searcher": "random", "num_candidates": 20, "tracking": "off"}


def names(bucket: str) -> set[str]:
    """Return the files in the bucket, by their names below the storage."""
    files, base = FileSystem.from_uri(bucket)
    infos = files.get_file_info(FileSelector(base, recursive=True))
    return {info.path.removeprefix(f"{base}/") for info in infos if info.is_file}


@pytest.mark.slow
@pytest.mark.usefixtures("no_ray")
def test_a_search_in_a_bucket(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    try:
        result = run_search(**SETTINGS, storage=bucket, name="r", seed=1, progress=False)
        found = names(bucket)
        assert {"r/run.yaml", "r/evaluator.txt", "r/report/report.html", "r/report/evaluations.parquet"} <= found
        assert any(name.startswith("ledger/nasbench201/") and name.endswith(".parquet") for name in found)
        assert not any("/tune/" in name or "_started" in name for name in found)
        assert not list(Path.cwd().iterdir())
        assert storage_state(bucket)[1]

        assert "r/state.json" in found

        shutil.rmtree(tmp_path / "cache")  # as on another machine
        state = read_state(result.address)
        assert (state.name, state.status, state.done, state.best) == ("r", "finished", 20, result.best.score)
        assert all_states(bucket) == [state]
        assert not (tmp_path / "cache" / "storage").exists()
        again = finished_run(result.address)
        assert again.evaluations.equals(result.evaluations) and again.best.score == result.best.score
        assert again.address == result.address == bucket.replace("/runs?", "/runs/r?")
        with pytest.raises(RunError, match=r"exists already.*archsearch resume 's3://test-.*/runs/r\?endpoint"):
            run_search(**SETTINGS, storage=bucket, name="r", progress=False)
        with pytest.raises(RunError, match="there is no run in s3://.*Did you mean 'r'"):
            finished_run(result.address.replace("/r?", "/rr?"))

        shutil.rmtree(tmp_path / "cache")
        resumed = resume_search(result.address, progress=False)
        assert resumed.evaluations["key"].equals(result.evaluations["key"])
        second = run_search(**SETTINGS, storage=bucket, name="second", seed=1, report=False, progress=False)
        assert any(second.evaluations["reused"].to_pylist())
        assert "second/reused.jsonl" in names(bucket)

        shutil.rmtree(tmp_path / "cache")
        assert main(["export", result.address]) == 0
        assert (Path.cwd() / "r-export/rank-1/model.py").exists()

        comparison = compare(
            ["random", "evolution"], 1, "s", storage=bucket, **{**SETTINGS, "searcher": "random"}, progress=False
        )
        assert {"s-report/table.txt", "s-report/best_so_far.png", "random-s0-s/run.yaml"} <= names(bucket)
        assert len(comparison.outcomes) == 2
    finally:
        ray.shutdown()


TWO_NODES = """
set -eu
ip link set lo up
mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=secret RAY_USAGE_STATS_ENABLED=0
export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=word AWS_EC2_METADATA_DISABLED=true ARCHSEARCH_CACHE="$FOLDER/cache"
export PYTHONPATH="$(cd "$FOLDER" && "$PYTHON" -c 'import archsearch, os; print(os.path.dirname(archsearch.__path__[0]))')"
bin="$(dirname "$PYTHON")"
"$bin/moto_server" -H 127.0.0.1 -p 5978 > "$FOLDER/s3.log" 2>&1 &
small="--num-cpus 1 --object-store-memory 80000000"
"$bin/ray" start --head --port 6379 --include-dashboard=false $small > /dev/null 2>&1
unshare --mount sh -c "mount -t tmpfs tmpfs $FOLDER && exec '$bin/ray' start --address 127.0.0.1:6379 $small" > /dev/null 2>&1
cd "$FOLDER"
server="endpoint_override=127.0.0.1:5978&scheme=http&region=us-east-1"
"$PYTHON" -c "
from pyarrow.fs import FileSystem
FileSystem.from_uri('s3://bucket?$server&allow_bucket_creation=true')[0].create_dir('bucket')"
exec "$PYTHON" -m archsearch run --address 127.0.0.1:6379 --storage "s3://bucket/runs?$server" --tracking off --table digits201 \\
    --searcher random --workers 2 --batch-size 4 --candidates 24 --name r
"""


@pytest.mark.long
def test_nodes_share_a_bucket_and_nothing_else(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip, to make a node that sees other folders")
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--net", "--mount-proc", "--kill-child", "bash", "-c", TWO_NODES],
        env={**os.environ, "PYTHON": sys.executable, "FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 candidates, 0 of them from the ledger" in done.stdout
    assert "Stored:    s3://bucket/runs/r?" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "s3.log"]


def test_the_files_of_a_run_survive_its_machine(bucket: str, tmp_path: Path) -> None:
    configuration = SearchConfiguration(storage=bucket, name="r", **SETTINGS)
    folder = RunFolder.create(configuration, "r")
    folder.bind(configuration, "fingerprint")
    folder.note_spent(3, 1.5)
    folder.upload()
    shutil.rmtree(tmp_path / "cache")
    assert RunFolder.exists(bucket, "r") and not RunFolder.exists(bucket, "other")
    found = RunFolder.open(folder.address)
    assert (found.address, found.storage, found.name) == (folder.address, bucket, "r")
    assert found.configuration() == configuration
    assert found.spent() == [(3, 1.5)]
    with pytest.raises(RunError, match="scored by an evaluator of fingerprint fingerprint"):
        found.bind(configuration, "other")
    with pytest.raises(RunError, match="exists already"):
        RunFolder.create(configuration, "r")


def test_a_bucket_without_a_store_for_mlflow_is_refused_before_anything_is_written(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigurationError, match="tracking: .*cannot hold MLflow's database.*--tracking off"):
        run_search(**{**SETTINGS, "tracking": "auto"}, storage=bucket, progress=False)
    files, base = FileSystem.from_uri(bucket)
    assert files.get_file_info(base).type.name == "NotFound"


@pytest.mark.parametrize(
    "command", ["run", "dry run", "compare", "doctor", "resume", "export", "submit", "submit --resume", "ui"]
)
@pytest.mark.parametrize("storage", ["gs://bucket/runs", "hdfs://host/runs", "memory://runs", "s3:runs", "file:runs"])
def test_other_uris_are_refused_in_one_line(
    command: str, storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("archsearch.platform.commands.doctor._calibration", lambda seconds: ("speed", "not measured", True))
    stored, run = ["--storage", storage], f"{storage}/r"
    given = {
        "run": ["run", *stored],
        "dry run": ["run", "--dry-run", *stored],
        "compare": ["compare", *stored],
        "doctor": ["doctor", "--tracking", "off", *stored],
        "resume": ["resume", run],
        "export": ["export", run],
        "submit": ["submit", "--address", "http://127.0.0.1:9", *stored],
        "submit --resume": ["submit", "--address", "http://127.0.0.1:9", "--resume", run],
        "ui": ["ui", *stored],
    }[command]
    assert main(given) == (1 if command == "doctor" else 2)
    printed = capsys.readouterr()
    told = [
        line for line in (printed.out + printed.err).splitlines() if "expected a folder: a path, file:///PATH or s3://" in line
    ]
    assert len(told) == 1
    assert not list(tmp_path.iterdir())

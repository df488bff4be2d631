"""Whether every node sees the storage, on a real cluster of which one node does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cluster.storage import check_storage
from archsearch.errors import ConfigurationError

# Two nodes: the second one has another folder where the first has the storage, if BLIND is set.
TWO_NODES = """
set -eu
ip link set lo up
mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=secret RAY_USAGE_STATS_ENABLED=0
small="--num-cpus 1 --object-store-memory 80000000"
"$RAY" start --head --port 6379 --include-dashboard=false $small > /dev/null 2>&1
blind=true
[ -z "$BLIND" ] || blind="mount -t tmpfs tmpfs $STORAGE"
unshare --mount sh -c "$blind && exec '$RAY' start --address 127.0.0.1:6379 $small" > /dev/null 2>&1
cd "$STORAGE"
exec "$PYTHON" - <<PROGRAM
import time, ray
from archsearch.cluster import connect
from archsearch.cluster.storage import check_storage
connect("127.0.0.1:6379")
while len(ray.nodes()) < 2:
    time.sleep(0.2)
try:
    check_storage("$STORAGE")
    print("seen by", len(ray.nodes()))
except Exception as error:
    print(type(error).__name__, error)
PROGRAM
"""


@pytest.mark.usefixtures("ray_cluster")
def test_a_single_node_is_not_asked(tmp_path: Path) -> None:
    check_storage(tmp_path / "runs")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("ray_cluster")
def test_a_bucket_is_tried_by_writing_and_left_clean(tmp_path: Path) -> None:
    check_storage(f"file://{tmp_path}/runs")
    assert [path.name for path in tmp_path.rglob("*")] == ["runs"]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("folder", ["taken/runs", "taken"])
def test_a_bucket_that_cannot_be_written_is_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, and no folder")
    with pytest.raises(ConfigurationError, match=f"storage: cannot write to file://{tmp_path}/{folder} .*choose one that can"):
        check_storage(f"file://{tmp_path}/{folder}")


@pytest.mark.usefixtures("ray_cluster")
def test_an_unknown_kind_of_bucket_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="storage: cannot write to floppy://a"):
        check_storage("floppy://a/runs")


@pytest.mark.long
@pytest.mark.parametrize("blind", [False, True])
def test_a_node_that_does_not_see_the_storage_is_named(blind: bool, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip, to make a node that sees other folders")
    names = {"PYTHON": sys.executable, "RAY": str(Path(sys.executable).parent / "ray"), "STORAGE": str(tmp_path)}
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--net", "--mount-proc", "--kill-child", "bash", "-c", TWO_NODES],
        env={**os.environ, **names, "BLIND": "yes" if blind else ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    said = done.stdout.strip()
    if not blind:
        assert said == "seen by 2", done.stderr
    else:
        assert said.startswith("ConfigurationError storage: the node 127.0.0.1 ("), done.stderr
        assert f"does not share {tmp_path} (what this machine writes there is not seen); choose a folder" in said
    assert not list(tmp_path.iterdir())

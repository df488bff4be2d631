"""The launch files: valid for Ray, safe as they are, and one of them run for real over ssh."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LAUNCH = ROOT / "launch"
OVER_SSH = ["on_premise", "aws", "gcp"]
LOOPBACK = {"head_ip: 192.0.2.10": "head_ip: 127.0.0.1", "worker_ips: [192.0.2.11, 192.0.2.12]": "worker_ips: []"}
LOOPBACK |= {"ssh_user: you": "ssh_user: root", "min_workers: 2": "min_workers: 0", "max_workers: 2": "max_workers: 0"}
ISOLATED = ["unshare", "--mount", "--pid", "--fork", "--net", "--mount-proc", "--kill-child"]
SESSION = """
set -u
cd "$PROJECT"
ray get-auth-token --generate > /dev/null
ray up --yes launch/loopback.yaml; echo "up: $?"
ray submit launch/loopback.yaml launch/archsearch_job.py -- run --table digits201 --candidates 30 --searcher random \
    --storage "$PROJECT/runs" --tracking off; echo "submit: $?"
ray submit launch/loopback.yaml launch/archsearch_job.py -- run --table nowhere --tracking off; echo "faulty: $?"
ray submit launch/loopback.yaml launch/archsearch_job.py -- run --space nasbench201 --searcher random --train epochs=12 \
    --candidates 500 --name lost --storage "$PROJECT/runs" --tracking "sqlite:///$PROJECT/mlflow.db" > lost.log 2>&1 &
until [ -n "$(find runs/ledger/nasbench201 -newer runs/lost/run.yaml -name '*.parquet' 2> /dev/null)" ]; do sleep 1; done
pkill --parent $! ssh; wait $!   # the connection breaks; all processes here are of this test
until [ -e runs/lost/report/report.html ] && ! pgrep --full 'archsearch_job[.]py run' > /dev/null; do sleep 1; done
"$PYTHON" -c "
import mlflow
client = mlflow.MlflowClient('sqlite:///$PROJECT/mlflow.db')
runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
print('lost:', [run.info.status for run in runs if run.info.run_name == 'lost'])"
tail -1 ~/archsearch_job.log
ray down --yes launch/loopback.yaml; echo "down: $?"
echo "left: $(pgrep --count raylet)"
"""


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((LAUNCH / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", OVER_SSH)
def test_ray_takes_the_file(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(load(name))
    validate_config(prepared)
    assert prepared["head_node_type"] in prepared["available_node_types"]


@pytest.mark.parametrize("name", OVER_SSH)
def test_the_package_is_installed_and_the_cluster_asks_for_its_token(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config

    prepared = prepare_config(load(name))
    for commands in (prepared["head_setup_commands"], prepared["worker_setup_commands"]):
        assert any("pip install" in command and "archsearch-*.whl" in command for command in commands)
        assert all("archsearch-env/bin" in command for command in commands if "pip" in command)
    assert {"~/archsearch-dist", "~/.ray/auth_token"} == set(prepared["file_mounts"])
    starts = [prepared[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker")]
    assert all("RAY_AUTH_MODE=token" in start and "unset OMP_NUM_THREADS" in start for start in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_the_kubernetes_job_is_whole() -> None:
    settings, job = yaml.safe_load_all((LAUNCH / "kuberay_rayjob.yaml").read_text())
    assert (settings["apiVersion"], settings["kind"]) == ("v1", "ConfigMap")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert set(spec) == {"entrypoint", "shutdownAfterJobFinishes", "runtimeEnvYAML", "rayClusterSpec"}
    environment = yaml.safe_load(spec["runtimeEnvYAML"])
    assert environment["env_vars"]["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert f"ray:{cluster['rayVersion']}" in container["image"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert "shared" in volumes
    assert [group["groupName"] for group in cluster["workerGroupSpecs"]] == ["workers"]


def test_the_settings_of_the_kubernetes_job_are_valid() -> None:
    from archsearch.platform.configuration import from_mapping

    settings, job = yaml.safe_load_all((LAUNCH / "kuberay_rayjob.yaml").read_text())
    [(file, text)] = settings["data"].items()
    assert job["spec"]["entrypoint"].endswith(f"run /settings/{file}")
    configuration = from_mapping(yaml.safe_load(text))
    assert configuration.storage.startswith("/shared/")


@pytest.mark.parametrize("path", sorted(LAUNCH.iterdir()), ids=lambda path: path.name)
def test_no_address_or_account_is_of_anyone(path: Path) -> None:
    addresses = set(re.findall(r"\d+\.\d+\.\d+\.\d+", path.read_text()))
    assert all(address == "127.0.0.1" or address.startswith("192.0.2.") for address in addresses)  # RFC 5737


def test_the_job_script_is_the_command() -> None:
    script = str(LAUNCH / "archsearch_job.py")
    done = subprocess.run([sys.executable, script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("archsearch ")
    done = subprocess.run([sys.executable, script, "rum"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "rum" in done.stderr


def test_the_job_script_drops_the_single_thread_that_ray_submit_sets() -> None:
    program = (
        f"import os, runpy, sys; job = runpy.run_path({str(LAUNCH / 'archsearch_job.py')!r}); sys.argv[1:] = ['--version']\n"
        "try: job['main']()\n"
        "finally: print(os.environ.get('OMP_NUM_THREADS'), os.environ['RAY_ADDRESS'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "None auto"


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_up_submit_and_down_over_ssh(tmp_path: Path) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin"
    if os.geteuid() != 0:
        pytest.skip("needs root, to run an ssh server in namespaces of its own")
    if lacking := [tool for tool in ("sshd", "rsync", "unshare", "ip", "pgrep") if not shutil.which(tool, path=path)]:
        pytest.skip(f"needs {', '.join(lacking)} (Debian: apt-get install openssh-server rsync procps iproute2 util-linux)")
    project, home = tmp_path / "project", tmp_path / "home"
    home.mkdir()
    shutil.copytree(LAUNCH, project / "launch")
    shutil.copytree(ROOT / "archsearch", project / "archsearch", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    text = (project / "launch/on_premise.yaml").read_text()
    for old, new in LOOPBACK.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (project / "launch/loopback.yaml").write_text(text)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    subprocess.run(wheel, cwd=project, check=True)
    done = subprocess.run(
        [*ISOLATED, "bash", str(ROOT / "tests/ssh_on_loopback.sh"), str(home), sys.executable, "bash", "-c", SESSION],
        env={**os.environ, "PATH": path, "PROJECT": str(project), "PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1100,
        check=False,
    )
    said = done.stdout
    assert "30 candidates, 0 of them from the ledger." in said, said
    assert "archsearch: evaluator: no table 'nowhere'" in said, said
    assert "continue with: archsearch resume" in said
    results = dict(re.findall(r"^(up|submit|faulty|lost|down|left): (.*)$", said, re.MULTILINE))
    assert results == {"up": "0", "submit": "0", "faulty": "1", "lost": "['KILLED']", "down": "0", "left": "0"}, said

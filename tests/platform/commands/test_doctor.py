"""What the doctor sees, and what it takes for a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.tune.schedulers import HyperBandScheduler

from archsearch.platform.command_line import main
from archsearch.platform.commands.doctor import doctor, format_checks, storage_state

pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("shared_ray")
def test_a_sound_machine_is_sound(tmp_path: Path) -> None:
    checks = doctor(seconds=0)
    assert all(fine for _, _, fine in checks)
    seen = {name: text for name, text, _ in checks}
    assert set(seen) >= {
        "python",
        "archsearch",
        "ray",
        "torch",
        "processor",
        "GPUs",
        "storage",
        "MLflow",
        "Ray token",
        "Ray cluster",
        "schedulers",
    }
    assert all(f"{name} " in seen["schedulers"] for name in ("asha", "hyperband", "median", "promotion"))
    assert seen["storage"].startswith(f"{tmp_path}/runs is writable, ")
    assert seen["MLflow"] == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("shared_ray")
def test_the_default_search_is_timed() -> None:
    [speed] = [text for name, text, fine in doctor(seconds=0.1) if name == "speed" and fine]
    assert "candidates per second on one worker" in speed
    assert "nasbench201, train:digits" in speed


@pytest.mark.usefixtures("shared_ray")
def test_a_scheduler_that_another_release_of_ray_has_broken_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*arguments: object) -> str:
        raise AttributeError("_live_trials")

    monkeypatch.setattr(HyperBandScheduler, "on_trial_result", changed)
    [bad] = [text for name, text, fine in doctor(seconds=0) if not fine]
    assert "HyperBandScheduler.on_trial_result raised AttributeError" in bad


@pytest.mark.usefixtures("ray_is_down")
def test_faults_are_marked_and_give_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    faulty = ["--storage", "/dev/null/runs", "--tracking", "http://127.0.0.1:9", "--address", "127.0.0.1:9"]
    assert main(["doctor", *faulty]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BAD")]
    assert [line.split()[1] for line in bad] == ["storage", "MLflow", "Ray"]
    assert "ray start --head" in bad[2]


def test_checks_are_aligned() -> None:
    assert format_checks([("a", "fine", True), ("long name", "not", False)]) == "ok   a          fine\nBAD  long name  not"


def test_a_storage_is_tried_in_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert storage_state(str(tmp_path / "a/b/c"))[1]
    (tmp_path / "file").write_text("")
    assert storage_state(str(tmp_path / "file/runs")) == (f"{tmp_path}/file/runs is not writable (Not a directory)", False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_folder_of_the_ledger_is_tried_too(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ledger").symlink_to("/proc/self")  # nobody can make files there, root included
    seen, fine = storage_state(str(tmp_path / "runs"))
    assert not fine
    assert "is not writable" in seen

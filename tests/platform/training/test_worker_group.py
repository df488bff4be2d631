"""A final training by two processes of a Ray cluster, against one process that works off the same shares one by one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import Recipe
from archsearch.platform.training.retraining import retrain
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
RECIPE = Recipe(epochs=2, batch_size=90, learning_rate=0.02, auxiliary=0.4, flip=True, gradient_clip=5.0)


pytestmark = pytest.mark.usefixtures("shared_ray")


def trained(checkpoint: Path | None, **changes: Any) -> TrainedModel:
    scale = {"channels": 4, "cells_per_stage": 1}
    settings = {"recipe": RECIPE, "scale": scale, "device": "cpu", "progress": False}
    return retrain(SPACE, CELL, "digits", checkpoint=checkpoint, **{**settings, **changes})


@pytest.mark.slow
def test_shares_of_two_processes_give_the_steps_of_whole_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = trained(tmp_path / "final.pt", workers=2, progress=True)
    alone = trained(None, accumulate=2)
    # Normalisation sees the same shares; its running statistics, which the gradients do not depend on, are those of one process.
    for name, parameter in alone.network.named_parameters():
        torch.testing.assert_close(several.network.get_parameter(name), parameter, rtol=1e-3, atol=1e-4)
    assert several.metrics["train_loss"] == pytest.approx(alone.metrics["train_loss"], rel=1e-4)
    assert several.metrics["seconds"] > 0
    assert several.recipe_name == "custom, 2 workers"
    assert "epoch 2/2, loss" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final.pt"]
    # One process goes on where several were; here nothing is left to do but to score all images, of which each had a share.
    again = trained(tmp_path / "final.pt")
    assert again.metrics["seconds"] == several.metrics["seconds"]
    for name in ("test_accuracy", "valid_accuracy", "test_loss", "valid_loss"):
        assert again.metrics[name] == pytest.approx(several.metrics[name], abs=1e-5)
    assert again.exit_accuracies == pytest.approx(several.exit_accuracies, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 0}, "workers: expected a whole number of at least 1; got 0"),
        (
            {"workers": 3},
            "cpus_per_worker: 3 times a worker of the training .1 CPU. do not fit at once",
        ),
        ({"workers": 2, "device": "cuda"}, "device: a worker of the training asks for 1 CPU and 1 GPU, but the only node"),
        ({"workers": 2, "checkpoint": None}, "checkpoint: expected a file in a folder that all 2 workers share; got None"),
    ],
)
def test_what_the_cluster_cannot_do_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trained(**{"checkpoint": tmp_path / "final.pt", **changes})


@pytest.mark.long
def test_what_is_wrong_with_a_training_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="recipe: the loss became .* in epoch 1 of 2; lower learning_rate"):
        trained(tmp_path / "final.pt", workers=2, learning_rate=1000.0, gradient_clip=0.0, momentum=1.0, weight_decay=10.0)
    with pytest.raises(ConfigurationError, match="workers: expected at most 1, so that each has a share of every batch; got 2"):
        trained(tmp_path / "other.pt", workers=2, batch_size=1)


def worker() -> int | None:
    """Return a process of the group, one of this process's cluster, if there is one."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    ours = [os.getpid()]
    for pid in ours:
        ours.extend(child for child, parent in parents.items() if parent == pid)
    for pid in ours:
        with contextlib.suppress(OSError):
            if b"TrainWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


@pytest.mark.long
def test_a_process_that_is_killed_begins_again_from_the_checkpoint(tmp_path: Path) -> None:
    path, killed = tmp_path / "final.pt", threading.Event()

    def kill() -> None:
        while not path.exists():
            time.sleep(0.02)
        if (pid := worker()) is not None:
            os.kill(pid, signal.SIGKILL)
            killed.set()

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    several = trained(path, workers=2, epochs=30)
    assert killed.is_set()
    alone = trained(None, epochs=30, accumulate=2)
    # Rounding errors grow, so that weights differ in the end; what was learned does not.
    assert several.metrics["train_loss"] == pytest.approx(alone.metrics["train_loss"], rel=0.1)


@pytest.mark.long
def test_the_command_ends_at_ctrl_c_and_keeps_its_checkpoint(tmp_path: Path) -> None:
    final = tmp_path / "final"
    command = [sys.executable, "-m", "archsearch", "train", str(CELL), "--dataset", "digits", "--workers", "2", "--epochs", "400"]
    with subprocess.Popen([*command, "--output", str(final)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1/400")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("give the same command again to continue where it was saved last\n")
    assert process.returncode == 130
    assert [path.name for path in final.iterdir()] == ["checkpoint.pt"]

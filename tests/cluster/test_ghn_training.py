"""A hypernetwork trained by two processes, against one process that does the work of both."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import cluster
from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN
from archsearch.evaluators.ghn.candidates import tensors_for
from archsearch.evaluators.ghn.training import drawn_architectures, drawn_images, learning_rate, loss_of
from archsearch.spaces.cells import Cells

SPACE = Cells(4)
SMALL: dict[str, Any] = {"scale": {"blocks": 3, "channels": 4}, "hidden": 8, "width": 16, "tile": 4, "batch_size": 16}
STEPS = 4


pytestmark = pytest.mark.usefixtures("shared_ray")


def twin(steps: int) -> dict[str, torch.Tensor]:
    """Return the weights after steps whose gradient is the mean over what two processes draw."""
    ghn = GHN(SPACE, "digits", 0, **SMALL)
    learned, settings = ghn._fresh(), ghn.ghn_settings
    model, images = learned.model, ghn.training_images()
    for number in range(steps):
        losses = []
        for rank in range(2):
            architectures = drawn_architectures(ghn.training_space, settings.meta_batch, 0, number, rank)
            layouts = [ghn._layout(ghn.training_space, each) for each in architectures]
            batch = drawn_images(images, settings, 0, number, rank)
            losses.append(loss_of(model, layouts, tensors_for(model, layouts), batch))
        learned.optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for group in learned.optimizer.param_groups:
            group["lr"] = learning_rate(settings, number, steps)
        learned.optimizer.step()
    return model.state_dict()


@pytest.mark.slow
def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    state = cluster.train_ghn(SPACE, "digits", STEPS, tmp_path / "ghn.pt", **SMALL)
    assert state["steps"] == STEPS
    for name, expected in twin(STEPS).items():
        torch.testing.assert_close(state["model"][name], expected, atol=1e-5, rtol=1e-4)
    assert GHN(SPACE, "digits", **SMALL).load(state).steps_done == STEPS


def mean_loss(state: dict[str, Any]) -> float:
    """Return the mean validation loss of generated networks."""
    rng = np.random.default_rng(0)
    found = GHN(SPACE, "digits", **SMALL).load(state).evaluate([SPACE.sample(rng) for _ in range(20)])
    return float(np.mean([each.metrics["valid_loss"] for each in found]))


def ours() -> list[int]:
    """Return the processes of the Ray cluster of this process."""
    found, parents = [os.getpid()], {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


@pytest.mark.long
def test_a_process_that_is_killed_begins_again_from_the_checkpoint(tmp_path: Path) -> None:
    path, killed = tmp_path / "ghn.pt", threading.Event()

    def kill() -> None:
        while not path.exists():
            time.sleep(0.05)
        os.kill(next(pid for pid in ours() if b"TrainWorker" in Path(f"/proc/{pid}/cmdline").read_bytes()), signal.SIGKILL)
        killed.set()

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    state = cluster.train_ghn(SPACE, "digits", 300, path, checkpoint_seconds=0.2, **SMALL)
    assert killed.is_set()
    assert state["steps"] == 300
    # Rounding errors grow over 300 steps, so that weights differ; what was learned does not.
    expected = mean_loss({**state, "model": twin(300)})
    assert mean_loss(state) == pytest.approx(expected, rel=0.05)
    assert expected < 0.95 * mean_loss({**state, "model": twin(1)})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"workers": 0}, "workers: expected a whole number of at least 1; got 0"),
        ({"steps": 0}, "steps: expected a whole number of at least 1; got 0"),
        ({"gpus_per_worker": 0.5}, "gpus_per_worker: expected 0 or 1"),
        ({"hiden": 3}, "no setting 'hiden'"),
    ],
)
def test_wrong_arguments(argument: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cluster.train_ghn(**{"space": SPACE, "dataset": "digits", "steps": 2, "checkpoint": tmp_path / "ghn.pt", **argument})


def test_a_fit_of_several_processes_needs_a_group() -> None:
    with pytest.raises(ConfigurationError, match="distributed: expected a process group"):
        GHN(SPACE, "digits", **SMALL).fit(1, distributed=True)

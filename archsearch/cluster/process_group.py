"""Runs a function in a group of `torch.distributed` processes by Ray Train."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archsearch.cluster.connection import connect
from archsearch.cluster.placement import Request, require_room
from archsearch.errors import ArchSearchError, ConfigurationError, RunError, check_whole_number, first_line

logger = logging.getLogger(__name__)


def run_group(
    function: Callable[[Mapping[str, Any]], None],
    config: Mapping[str, Any],
    name: str,
    folder: Path,
    *,
    workers: int,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
    restarts: int = 5,
) -> None:
    """Call a function in several processes at once, by Ray Train, and wait for all.

    The processes are one group of `torch.distributed`: NCCL with GPUs, gloo without. A group that loses a process starts again,
    so the function should continue from a checkpoint.

    Args:
        function: Function that each process calls.
        config: Its argument.
        name: Name of the training.
        folder: Folder for the temporary files of Ray Train, shared by all nodes.
        workers: Number of processes.
        cpus_per_worker: CPU cores that each process reserves.
        gpus_per_worker: GPUs that each process reserves, 0 or 1.
        restarts: How often the group may start again after it lost a process.

    Raises:
        ConfigurationError: A number is out of range, or the processes do not fit on the cluster at once.
        ArchSearchError: The function raised it.
        RunError: The group failed more than `restarts` times.
    """
    check_whole_number("workers", workers)
    check_whole_number("restarts", restarts, least=0)
    if gpus_per_worker not in (0.0, 1.0):
        raise ConfigurationError(f"gpus_per_worker: expected 0 or 1, as processes share no GPU; got {gpus_per_worker}.")
    connect()
    lacking = require_room([Request("a process of the training", cpus_per_worker, gpus_per_worker)] * workers)
    if lacking:
        logger.warning("%s: waiting until the cluster has added room for %s", name, lacking)
    resources = {"CPU": cpus_per_worker, **({"GPU": gpus_per_worker} if gpus_per_worker else {})}
    for attempt in range(restarts + 1):
        if not _failed(function, config, f"{name}-{attempt}", folder, workers, resources, last=attempt == restarts):
            return


def _failed(
    function: Callable[[Mapping[str, Any]], None],
    config: Mapping[str, Any],
    name: str,
    folder: Path,
    workers: int,
    resources: Mapping[str, float],
    last: bool,
) -> bool:
    """Run the group once; return whether it lost a process and may start again."""
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = "GPU" in resources
    trainer = TorchTrainer(
        function,
        train_loop_config=dict(config),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus, resources_per_worker=dict(resources)),
        run_config=RunConfig(name=name, storage_path=str(folder)),
    )
    try:
        with _interruptible():
            trainer.fit()
    except TrainingFailedError as error:
        # An error of the training would come again; the death of a process need not.
        for failure in getattr(error, "worker_failures", {}).values():
            cause = getattr(failure, "_base_exc", failure)  # Ray wraps it, with its traceback
            if isinstance(cause, ArchSearchError):
                raise cause from error
        if last:
            raise RunError(f"workers: the group of {workers} processes failed ({first_line(error)}). Try again.") from error
        return True
    finally:
        shutil.rmtree(folder / name, ignore_errors=True)
    return False


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the `SystemExit` of Ray Train's handler of SIGINT into KeyboardInterrupt, and restore the handler of before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:  # of Ray's handler, when it has ended the group
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, own)

"""A group of processes of a Ray cluster that train one model together."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archsearch.errors import ArchSearchError, ConfigurationError, RunError, check_whole_number, first_line


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

    They are one group of `torch.distributed`: NCCL with GPUs, gloo without. A group that loses a process begins again: the
    function is to go on from a checkpoint.

    Args:
        function: What each process calls.
        config: Its argument.
        name: Of the training.
        folder: Where Ray Train keeps its notes meanwhile; all nodes see it.
        workers: Processes.
        cpus_per_worker: CPU cores that each reserves.
        gpus_per_worker: GPUs that each reserves, 0 or 1.
        restarts: How often the group may begin again.

    Raises:
        ConfigurationError: A number is out of range.
        ArchSearchError: What the function raised.
        RunError: The group failed more often than it may begin again.
    """
    check_whole_number("workers", workers)
    check_whole_number("restarts", restarts, least=0)
    if gpus_per_worker not in (0.0, 1.0):
        raise ConfigurationError(f"gpus_per_worker: expected 0 or 1, as processes share no GPU; got {gpus_per_worker}.")
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
    """Run the group once; return whether it lost a process and may begin again."""
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
        # What is wrong with the training stays wrong; a process that died is another matter.
        for failure in getattr(error, "worker_failures", {}).values():
            cause = getattr(failure, "_base_exc", failure)  # the trace is what Ray wraps it for
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
    """Let Ctrl-C end a training as it ends all else: Ray Train puts a handler of its own in place, and leaves it there."""
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

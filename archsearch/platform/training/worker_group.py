"""Data-parallel final training by several processes on a Ray cluster."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archsearch import cluster
from archsearch.cluster.placement import Request, require_room
from archsearch.cluster.process_group import run_group
from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.training.loop import Throughput
from archsearch.evaluators.training.processes import Processes
from archsearch.platform.training.final_training import FinalTraining, Measured, Parts, Progress, measured
from archsearch.platform.training.progress import EpochProgress

if TYPE_CHECKING:
    from ray.util.queue import Queue

_MEASURED = "measured"
"""Name of the message with the figures of the trained network."""


def run_by_workers(
    training: FinalTraining,
    splits: Splits,
    progress: Progress,
    workers: int,
    cpus_per_worker: float,
    device: str,
    decoders: int | None = None,
    balanced: bool = False,
) -> Measured:
    """Run the epochs that the checkpoint does not have in several processes, and measure the network.

    The network is in the checkpoint. Of the images to measure it on, each process scores its share.

    Args:
        training: A training with a checkpoint.
        splits: The images.
        progress: Receives each epoch, in this process.
        workers: Number of processes.
        cpus_per_worker: CPU cores that each process reserves.
        device: `auto` takes GPUs if the cluster has any, `cuda` takes GPUs, `cpu` none.
        decoders: Processes that decode streamed images for each worker; None takes as many as it has cores.
        balanced: As for `measured`.

    Raises:
        ConfigurationError: There is no checkpoint, or the workers do not fit on the cluster at once.
        RunError: The loss became infinite, the checkpoint cannot be written, or workers failed again and again.
    """
    if training.checkpoint is None:
        raise ConfigurationError(f"checkpoint: expected a file in a folder that all {workers} workers share; got None.")
    cluster.connect()
    gpus = _takes_gpus(device)
    require_room([Request("a worker of the training", cpus_per_worker, float(gpus), gpu_setting="device")] * workers)
    import ray
    from ray.util.queue import Queue

    path = training.checkpoint.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    queue = Queue(actor_options={"num_cpus": 0})
    found: list[Measured] = []
    reader = threading.Thread(target=_pass_on, args=(queue, progress, found), daemon=True)
    reader.start()
    config = {"training": replace(training, checkpoint=path), "splits": [ray.put(splits)], "queue": queue, "gpus": gpus}
    config["balanced"] = balanced
    config["decoders"] = max(1, int(cpus_per_worker)) if decoders is None else decoders
    try:
        run_group(
            _train,
            config,
            f"{path.stem}-workers",
            path.parent,
            workers=workers,
            cpus_per_worker=cpus_per_worker,
            gpus_per_worker=float(gpus),
        )
    finally:
        queue.put(None)
        reader.join()
        queue.shutdown()
    return found[-1]


def _takes_gpus(device: str) -> bool:
    """Return whether each worker takes a GPU."""
    import ray

    return device.startswith("cuda") or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)


def _train(config: Mapping[str, Any]) -> None:
    """Train in one process of the group."""
    import ray

    training, splits = config["training"], ray.get(config["splits"][0])
    processes = Processes.of_group()
    for part in splits:
        part.decode_by(config["decoders"])
    progress = _RemoteProgress(config["queue"]) if processes.first else EpochProgress(training.recipe.epochs, None)
    parts = Parts.of(splits, training.data, training.with_validation, device_named("cuda" if config["gpus"] else "cpu"))
    network, _ = training.run(parts, progress, processes)
    found = measured(network, parts, config["balanced"], training.data, processes)
    if processes.first:
        config["queue"].put((_MEASURED, found))


@dataclass(frozen=True)
class _RemoteProgress:
    """Sends the progress to the process that started the group."""

    queue: Queue

    def begin(self, done: float) -> None:
        self.queue.put(("begin", (done,)))

    def move(self, done: float, throughput: Throughput) -> None:
        self.queue.put(("move", (done, throughput)))

    def show(self, epoch: int, loss: float, accuracy: float | None, throughput: Throughput | None = None) -> None:
        self.queue.put(("show", (epoch, loss, accuracy, throughput)))

    def end(self) -> None:
        self.queue.put(("end", ()))


def _pass_on(queue: Queue, progress: Progress, found: list[Measured]) -> None:
    """Pass messages of a worker on to `progress`, and figures of the network to `found`, until None arrives."""
    while (message := queue.get()) is not None:
        name, values = message
        if name == _MEASURED:
            found.append(values)
        else:
            getattr(progress, name)(*values)

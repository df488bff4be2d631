"""Training of a graph hypernetwork by several processes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.cluster.process_group import run_group
from archsearch.errors import check_whole_number
from archsearch.evaluators.saved_state import read_state
from archsearch.spaces import SearchSpace


def train_ghn(
    space: SearchSpace,
    dataset: str,
    steps: int,
    checkpoint: str | Path,
    *,
    workers: int = 2,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
    checkpoint_seconds: float = 60.0,
    restarts: int = 5,
    **arguments: Any,
) -> dict[str, Any]:
    """Train a `GHN` in several processes by Ray Train, and return its state.

    Each step takes a batch of images and random architectures in every process, and averages the gradients
    (`DistributedDataParallel`; NCCL with GPUs, gloo without). A group that loses a process starts again from the checkpoint.

    Args:
        space: Space of the architectures.
        dataset: What `datasets.load` takes, such as `digits`.
        steps: Number of training steps in all, those in the checkpoint included.
        checkpoint: File of the state, in a folder that all nodes share. Training continues from it if it exists.
        workers: Number of processes.
        cpus_per_worker: CPU cores that each process reserves.
        gpus_per_worker: GPUs that each process reserves, 0 or 1.
        checkpoint_seconds: Seconds between two checkpoints.
        restarts: How often the group may start again after it lost a process.
        **arguments: Further arguments of `GHN`, such as `seed` and `preset`.

    Raises:
        ConfigurationError: A number is out of range, a setting is unknown, the checkpoint is of another GHN, or the processes do
            not fit on the cluster at once.
        RunError: The group lost a process more than `restarts` times.

    Example:
        >>> state = train_ghn(spaces.get("cells"), "digits", 2000, "ghn.pt", workers=4, gpus_per_worker=1)
        >>> ghn = GHN(spaces.get("cells"), "digits").load(state)
    """
    from archsearch.evaluators.ghn.ghn import GHN  # it needs torch, which the rest of `cluster` does without

    check_whole_number("steps", steps)
    GHN(space, dataset, **arguments)  # wrong arguments raise here, not in a worker
    path = Path(checkpoint).expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {
        # Workers run in other folders: relative paths start from the folder of this process.
        "arguments": {"space": space, "dataset": dataset, **({"root": str(Path.cwd())} if ":" in dataset else {}), **arguments},
        "fit": {"steps": steps, "checkpoint": str(path), "checkpoint_seconds": checkpoint_seconds},
    }
    run_group(
        _fit,
        config,
        f"{path.stem}-training",
        path.parent,
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        restarts=restarts,
    )
    return read_state(path)


def _fit(config: Mapping[str, Any]) -> None:
    """Train in one process of the group."""
    from archsearch.evaluators.ghn.ghn import GHN

    GHN(**config["arguments"]).fit(**config["fit"], distributed=True)

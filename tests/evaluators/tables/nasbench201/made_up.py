"""The files of NAS-Bench-201 and NATS-Bench with three cells and made-up figures."""

from __future__ import annotations

import bz2
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch import spaces

SPACE = spaces.get("nasbench201")
CELLS = [  # the first three of the benchmark: |avg_pool...| is number 0, and its figures are published
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
]
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("ori-test", "x-valid", "x-test"),
    "ImageNet16-120": ("ori-test", "x-valid", "x-test"),
}
CLASSES = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
SEEDS = {12: [[111, 777]] * 3, 200: [[777, 888, 999], [777], [777, 888]]}


def number(*what: int) -> float:
    """Make a percentage up, different for all."""
    value = 0.0
    for part in what:
        value = (value * 7919 + (part + 1) * 0.6180339887498949) % 1
    return 100 * value


def counted(index: int, dataset: str) -> tuple[int, int]:
    size = 16 if dataset == "ImageNet16-120" else 32
    cost = SPACE.cost(SPACE.parse(CELLS[index]), (3, size, size), CLASSES[dataset])
    return cost.params, cost.macs


def result(index: int, dataset: str, seed: int, epochs: int) -> dict[str, Any]:
    """Return the state of a ResultsCount, as the benchmark's own programs write it."""
    which = list(SETS).index(dataset)
    params, macs = counted(index, dataset)
    evals = {
        f"{name}@{epoch}": number(index, which, seed, epochs, place, epoch)
        for place, name in enumerate(SETS[dataset])
        # The long trainings were evaluated after each epoch on one set only, and on the others at the end.
        for epoch in (range(epochs) if place == 0 or epochs == 12 else (epochs - 1,))
    }
    return {
        "name": dataset,
        "net_state_dict": None,
        "train_acc1es": {epoch: number(index, which, seed, epochs, epoch) for epoch in range(epochs)},
        "train_acc5es": dict.fromkeys(range(epochs), 100.0) if epochs == 12 else None,
        "train_losses": dict.fromkeys(range(epochs), 0.5),
        "train_times": OrderedDict((epoch, 10.0 + index) for epoch in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": CELLS[index], "class_num": CLASSES[dataset]},
        "params": np.float64(params / 1e6),
        "flop": macs / 1e6,
        "seed": str(seed),
        "epochs": epochs,
        "latency": [0.01 * (1 + index)],
        "eval_names": list(SETS[dataset]),
        "eval_acc1es": evals,
        "eval_times": {f"{name}@{epoch}": 3.0 + place for place, name in enumerate(SETS[dataset]) for epoch in range(epochs)},
        "eval_losses": dict.fromkeys(evals, 0.5),
    }


def state(index: int, epochs: int) -> dict[str, Any]:
    """Return the state of an ArchResults."""
    seeds = SEEDS[epochs][index]
    return {
        "arch_index": index,
        "arch_str": CELLS[index],
        "all_results": {(dataset, seed): result(index, dataset, seed, epochs) for dataset in SETS for seed in seeds},
        "dataset_seed": {dataset: list(seeds) for dataset in SETS},
        "clear_net_done": True,
    }


@cache
def pickled() -> bytes:
    infos = {index: OrderedDict({"12": state(index, 12), "200": state(index, 200)}) for index in range(len(CELLS))}
    content = {"meta_archs": list(CELLS), "total_archs": len(CELLS), "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}
    return pickle.dumps(content, 4)


def benchmark(short: str = "12", long: str = "200") -> dict[str, Any]:
    """Return the content of a file, which may be changed."""
    content: dict[str, Any] = pickle.loads(pickled())
    for index, info in content["arch2infos"].items():
        content["arch2infos"][index] = OrderedDict({short: info["12"], long: info["200"]})
    return content


def write_folder(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir()
    meta = {**content, "arch2infos": None, "evaluated_indexes": set()}
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta, 4)))
    for index, info in content["arch2infos"].items():
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(info, 4)))
    return folder


def write_packed(path: Path, content: dict[str, Any]) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content, 4)))
    return path


def write_plain(path: Path, content: dict[str, Any]) -> Path:
    path.write_bytes(pickle.dumps(content, 4))
    return path


def write_torch(path: Path, content: dict[str, Any]) -> Path:
    torch.save(content, path)
    return path


def write_old_torch(path: Path, content: dict[str, Any]) -> Path:
    """As torch before 1.6 did, with which the file of NAS-Bench-201 was written."""
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


WRITERS: dict[str, tuple[Callable[[Path, dict[str, Any]], Path], tuple[str, str]]] = {
    "NATS-tss-v1_0-3ffb9-simple": (write_folder, ("12", "200")),
    "NATS-tss-v1_0-3ffb9.pickle.pbz2": (write_packed, ("12", "200")),
    "unpacked.pickle": (write_plain, ("12", "200")),
    "NAS-Bench-201-v1_1-096897.pth": (write_old_torch, ("less", "full")),
    "saved-again.pth": (write_torch, ("less", "full")),
}

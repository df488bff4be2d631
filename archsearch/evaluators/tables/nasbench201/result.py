"""Parser of one training in the official files of NAS-Bench-201 and NATS-Bench.

A training is a dictionary, the state of the benchmark's class `ResultsCount`:

    name, seed, epochs             the dataset it was trained on, the seed, how long
    train_acc1es, train_losses     by epoch, from 0; accuracies in percent
    train_times                    by epoch, seconds; None in the first version of the file
    eval_names                     the sets it was evaluated on: x-valid, x-test, ori-test
    eval_acc1es, eval_losses       by set and epoch, as `x-valid@199`
    eval_times                     seconds of a pass over the set, likewise
    params, flop                   in millions
    latency                        seconds of a batch of 256 images, a list
    arch_config, net_state_dict, train_acc5es

Source: D-X-Y/NATS-Bench, `nats_bench/api_utils.py` (class ResultsCount), and D-X-Y/AutoDL-Projects,
`exps/NATS-Bench/tss-collect.py` and `exps/NAS-Bench-201/statistics-v2.py`, which wrote the files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_UNUSED = ("train_acc5es", "train_losses", "eval_losses", "net_state_dict")
_TOTAL = "total"


class Training(NamedTuple):
    """The figures at the end of a training.

    Attributes:
        train_accuracy: Accuracy on the training images, in percent.
        accuracies: Accuracy in percent, by set of images.
        train_seconds: Seconds of the whole training; NaN where unknown.
        pass_seconds: Seconds of one pass over a set, mean over the epochs, by set; sets are missing where unknown.
        latency: Seconds of a batch; NaN where unknown.
        params: Parameters.
    """

    train_accuracy: float
    accuracies: Mapping[str, float]
    train_seconds: float
    pass_seconds: Mapping[str, float]
    latency: float
    params: float


def thin(dictionary: dict[Any, Any]) -> None:
    """Shorten the curves of a training in place to what `training` needs; leave any other dictionary alone.

    The curves are nearly all of a file; with them, the whole takes some 30 GB of memory. Trainings may share curves, which are
    then thinned twice.
    """
    if "train_acc1es" not in dictionary or "eval_acc1es" not in dictionary:
        return
    epochs, sets = dictionary.get("epochs"), dictionary.get("eval_names")
    if type(epochs) is not int or not isinstance(sets, list):
        return
    last = epochs - 1
    _keep(dictionary["train_acc1es"], [last])
    _keep(dictionary["eval_acc1es"], [f"{name}@{last}" for name in sets])
    _add_up(dictionary.get("train_times"), {_TOTAL: list(range(epochs))}, 1)
    _add_up(dictionary.get("eval_times"), {name: [f"{name}@{epoch}" for epoch in range(epochs)] for name in sets}, epochs)
    for name in _UNUSED:
        _keep(dictionary.get(name), [])


def training(result: dict[Any, Any]) -> Training:
    """Return the figures at the end of a training.

    Raises:
        KeyError, TypeError, ValueError: The dictionary is no training, or its numbers make no sense.
    """
    thin(result)
    last = result["epochs"] - 1
    accuracies = {name: result["eval_acc1es"][f"{name}@{last}"] for name in result["eval_names"]}
    train_accuracy = result["train_acc1es"][last]
    for accuracy in (train_accuracy, *accuracies.values()):
        if not 0 <= accuracy <= 100:
            raise ValueError(f"the accuracy {accuracy}, which is not a percentage")
    latencies = result["latency"] or [math.nan]
    return Training(
        train_accuracy=float(train_accuracy),
        accuracies=accuracies,
        train_seconds=float((result["train_times"] or {}).get(_TOTAL, math.nan)),
        pass_seconds=result["eval_times"] or {},
        latency=math.fsum(latencies) / len(latencies),
        params=round(result["params"] * 1e6),
    )


def _keep(curve: Any, keys: Iterable[Any]) -> None:
    """Leave out of a curve all but some keys."""
    if isinstance(curve, dict):
        kept = {key: curve[key] for key in keys if key in curve}
        curve.clear()
        curve.update(kept)


def _add_up(curve: Any, sums: Mapping[str, list[Any]], divisor: int) -> None:
    """Replace a curve by sums over some of its keys, each divided by a number; sums that are there already stay."""
    if isinstance(curve, dict):
        found = {name: curve[name] for name in sums if name in curve}
        for name, keys in sums.items():
            if name not in found and all(key in curve for key in keys):
                found[name] = math.fsum(curve[key] for key in keys) / divisor
        curve.clear()
        curve.update(found)

"""Reader of the tables of NAS-Bench-201 and of the topology space of NATS-Bench, from their official files.

X. Dong, Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020, arXiv 2001.00326;
X. Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021, arXiv 2009.00437. Each
of the 15,625 cells was trained for 200 epochs with one to three seeds, and for 12 epochs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from archsearch.errors import ArchitectureError, ConfigurationError, TableError, unknown_name
from archsearch.evaluators.tables.draft import Progress, TableDraft
from archsearch.evaluators.tables.nasbench201.files import Results, read_results
from archsearch.evaluators.tables.nasbench201.protocol import PROTOCOLS, Protocol
from archsearch.evaluators.tables.nasbench201.result import Training, training
from archsearch.spaces.nasbench201 import NASBench201

_CELLS, _LONG, _SHORT, _RUNS = 15_625, 200, 12, 3


def read_nasbench201(path: str | Path, *, dataset: str = "cifar10", progress: Progress | None = None) -> TableDraft:
    """Return the table of a dataset in an official file or folder, its cells by the benchmark's numbers.

    The columns are `valid_accuracy`, `test_accuracy` and `train_accuracy` after 200 epochs, means over the seeds;
    `valid_accuracy_run1` to `_run3`, the single seeds, of which the benchmark's own search draws one; `seconds`, the time of
    training and of one validation, as `simulate_train_eval` of the benchmark has it; the same after 12 epochs with the ending
    `_e12`; `latency_ms`; `params` and `macs`. Columns that the file has no values for are left out.

    `params` and `macs` are those of the space. The files give the same, but are wrong for some trainings (D-X-Y/NATS-Bench,
    issue 36); so theirs are only compared, and must agree for most cells.

    Args:
        path: `NAS-Bench-201-v1_1-096897.pth`, `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or the folder `NATS-tss-v1_0-3ffb9-simple`.
            Each takes some minutes; the folder takes the least memory, the others up to 2 GB.
        dataset: cifar10, cifar100 or ImageNet16-120.
        progress: Called repeatedly with the bytes of the file, or the files of the folder, that are read, and with all.

    Raises:
        ConfigurationError: The dataset is unknown.
        TableError: A file is missing, corrupt, cut short or none of the benchmark's, or holds more than plain data.
    """
    if dataset not in PROTOCOLS:
        raise ConfigurationError(unknown_name("dataset", dataset, PROTOCOLS))
    protocol, file = PROTOCOLS[dataset], Path(path)
    cost = {"input_shape": list(protocol.input_shape), "num_classes": protocol.num_classes, "channels": 16, "cells_per_stage": 5}
    rows = [_row(results, protocol, cost, file.name) for results in read_results(file, progress=progress)]
    _check_params(rows, file.name)
    names = [name for name in _meanings(protocol) if any(name in row for row in rows)]
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    for name in ("params", "macs"):
        columns[name] = columns[name].astype(np.int64)
    table = pa.table({"architecture": [row["architecture"] for row in rows], **columns})
    part = "" if len(rows) == _CELLS else f"; {len(rows):,} of the {_CELLS:,} cells"
    source = f"NAS-Bench-201 (Dong and Yang 2020; NATS-Bench, Dong et al. 2021), {protocol.dataset}, {file.name}{part}"
    meanings = {name: meaning for name, meaning in _meanings(protocol).items() if name in names}
    return TableDraft(
        space="nasbench201",
        rows=table,
        score="valid_accuracy",
        source=source,
        chance=1 / protocol.num_classes,
        cost=cost,
        columns=meanings,
    )


def _row(results: Results, protocol: Protocol, cost: dict[str, Any], file: str) -> dict[str, Any]:
    """Return the values of a cell that are known, and whether its parameters are those of the space (`agrees`)."""
    try:
        architecture = NASBench201().parse(results.architecture)
        counted = NASBench201().cost(architecture, **cost)
        row: dict[str, Any] = {"architecture": str(architecture), "params": counted.params, "macs": counted.macs}
        seen = []
        for epochs, ending in ((_LONG, ""), (_SHORT, "_e12")):
            state = results.by_epochs.get(epochs, {})
            searched, tested = _trainings(state, protocol.searched), _trainings(state, protocol.tested)
            seen += searched + tested
            row.update(_measured(searched, tested, protocol, ending))
        row["agrees"] = any(one.params == counted.params for one in seen)
    except ArchitectureError as error:
        raise TableError(f"{file}: architecture {results.number} is not in the space nasbench201: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableError(
            f"{file}: the results of architecture {results.number} are not those of the benchmark ({error!r}). Fetch it again."
        ) from error
    for name in ("valid_accuracy", "test_accuracy"):
        if name not in row:
            raise TableError(
                f"{file}: architecture {results.number} has no {name} after {_LONG} epochs on {protocol.dataset}. Choose another "
                "dataset, or fetch the file again."
            )
    return row


def _trainings(state: dict[Any, Any], dataset: str) -> list[Training]:
    """Return the trainings on a dataset, by seed."""
    seeds = state.get("dataset_seed", {}).get(dataset, [])
    return [training(state["all_results"][dataset, seed]) for seed in seeds]


def _measured(searched: list[Training], tested: list[Training], protocol: Protocol, ending: str) -> dict[str, float]:
    """Return the columns of one length of trainings, as far as they are known."""
    valid = [one.accuracies[protocol.valid] / 100 for one in searched if protocol.valid in one.accuracies]
    values = {
        "valid_accuracy": valid,
        "test_accuracy": [one.accuracies[protocol.test] / 100 for one in tested if protocol.test in one.accuracies],
        "train_accuracy": [one.train_accuracy / 100 for one in searched],
        "seconds": [one.train_seconds + one.pass_seconds.get(protocol.valid, math.nan) for one in searched],
    }
    if not ending:
        values["latency_ms"] = [1000 * one.latency for one in searched]
        values |= {f"valid_accuracy_run{run}": [value] for run, value in enumerate(valid[:_RUNS], 1)}
    means = {f"{name}{ending}": math.fsum(given) / len(given) for name, given in values.items() if given}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _check_params(rows: list[dict[str, Any]], file: str) -> None:
    agreeing = sum(row["agrees"] for row in rows)
    if 2 * agreeing < len(rows):
        raise TableError(
            f"{file}: expected the parameters of the published networks; {len(rows) - agreeing:,} of {len(rows):,} cells have "
            "others. Give the path of an official file."
        )


def _meanings(protocol: Protocol) -> dict[str, str]:
    """Return the meaning of each column, in order."""
    valid = f"accuracy on {protocol.valid_images}, trained on {protocol.train_images}"
    runs = {
        f"valid_accuracy_run{run}": f"{valid}, {_LONG} epochs, seed {run} of up to {_RUNS}, a fraction"
        for run in range(1, _RUNS + 1)
    }
    meanings: dict[str, str] = {}
    for epochs, ending in ((_LONG, ""), (_SHORT, "_e12")):
        mean = f"{epochs} epochs, mean over the seeds, a fraction"
        meanings |= {
            f"valid_accuracy{ending}": f"{valid}, {mean}",
            **({} if ending else runs),
            f"test_accuracy{ending}": f"accuracy on {protocol.test_images}, {mean}",
            f"train_accuracy{ending}": f"accuracy on {protocol.train_images}, {mean}",
            f"seconds{ending}": f"training for {epochs} epochs on {protocol.train_images} and one validation, seconds",
        }
    return {
        **meanings,
        "latency_ms": "latency of a batch of 256 images on the benchmark's GPU, milliseconds",
        "params": "parameters, as the space counts them",
        "macs": "multiply-accumulates of one image (what the benchmark calls FLOPs), as the space counts them",
    }

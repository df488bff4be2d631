"""The official files of NAS-Bench-201 and NATS-Bench, made small."""

from __future__ import annotations

import bz2
import math
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators.tables.nasbench201.reader import read_nasbench201
from archsearch.evaluators.tables.nasbench201.result import thin

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


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return benchmark()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> Path:
    return write_folder(tmp_path_factory.mktemp("nats") / "NATS-tss-v1_0-3ffb9-simple", content)


def mean(values: list[float]) -> Any:
    return pytest.approx(sum(values) / len(values), rel=1e-12)


def expected(index: int, searched: str, valid: str, tested: str, test: str) -> dict[str, Any]:
    """Return the row of a cell, from what was made up."""
    row: dict[str, Any] = {"architecture": CELLS[index]}
    row["params"], row["macs"] = counted(index, tested)
    row["latency_ms"] = pytest.approx(10.0 * (1 + index))
    for epochs, ending in ((200, ""), (12, "_e12")):
        places = {name: (list(SETS).index(data), SETS[data].index(name)) for data, name in ((searched, valid), (tested, test))}
        accuracy = {
            name: [number(index, which, seed, epochs, place, epochs - 1) / 100 for seed in SEEDS[epochs][index]]
            for name, (which, place) in places.items()
        }
        which = places[valid][0]
        row[f"valid_accuracy{ending}"] = mean(accuracy[valid])
        row[f"test_accuracy{ending}"] = mean(accuracy[test])
        row[f"train_accuracy{ending}"] = mean(
            [number(index, which, seed, epochs, epochs - 1) / 100 for seed in SEEDS[epochs][index]]
        )
        row[f"seconds{ending}"] = pytest.approx(epochs * (10.0 + index) + 3.0 + places[valid][1])
        if not ending:
            runs = [pytest.approx(value) for value in accuracy[valid]] + [pytest.approx(math.nan, nan_ok=True)] * 3
            row |= {f"valid_accuracy_run{run}": runs[run - 1] for run in (1, 2, 3)}
    return row


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_the_same_table(tmp_path: Path, folder: Path, name: str) -> None:
    write, keys = WRITERS[name]
    path = write(tmp_path / name, benchmark(*keys))
    draft = read_nasbench201(path)
    assert draft.rows.to_pylist() == [expected(index, "cifar10-valid", "x-valid", "cifar10", "ori-test") for index in range(3)]
    assert draft.rows.column_names == read_nasbench201(folder).rows.column_names
    assert (draft.space, draft.score, draft.chance) == ("nasbench201", "valid_accuracy", 0.1)
    assert name in draft.source


@pytest.mark.parametrize("dataset", ["cifar100", "ImageNet16-120"])
def test_other_datasets(folder: Path, dataset: str) -> None:
    draft = read_nasbench201(folder, dataset=dataset)
    assert draft.rows.to_pylist() == [expected(index, dataset, "x-valid", dataset, "x-test") for index in range(3)]
    assert draft.chance == 1 / CLASSES[dataset]
    for row in draft.rows.to_pylist():
        cost = SPACE.cost(SPACE.parse(row["architecture"]), **draft.cost)
        assert (cost.params, cost.macs) == (row["params"], row["macs"])


def test_figures_that_the_benchmark_publishes(folder: Path) -> None:
    # D-X-Y/NATS-Bench, issue 24, gives the FLOPs of number 0 in millions, and issue 36 the parameters of the second cell here.
    rows = {name: read_nasbench201(folder, dataset=name).rows.to_pylist() for name in ("cifar10", "cifar100", "ImageNet16-120")}
    assert [rows[name][0]["macs"] / 1e6 for name in rows] == [15.64737, 15.65322, 3.91948]
    assert (rows["cifar10"][1]["params"], rows["cifar10"][1]["macs"]) == (802_426, 113_951_370)


def test_columns_are_explained(folder: Path) -> None:
    draft = read_nasbench201(folder)
    assert set(draft.columns) == set(draft.rows.column_names) - {"architecture"}
    assert draft.columns["valid_accuracy"] == (
        "accuracy on the other 25,000 training images, trained on 25,000 training images, 200 epochs, mean over the seeds, "
        "a fraction"
    )
    assert "trained on all 50,000 training images" in draft.columns["test_accuracy_e12"]
    assert "3 of the 15,625 cells" in draft.source


def test_unknown_dataset_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="dataset: expected one of ImageNet16-120, cifar10, cifar100; got 'cifar'"):
        read_nasbench201(folder, dataset="cifar")


def test_progress_of_file_and_folder(tmp_path: Path, folder: Path, content: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    read_nasbench201(folder, progress=lambda done, whole: told.append((done, whole)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    path = write_packed(tmp_path / "nats.pickle.pbz2", content)
    told.clear()
    read_nasbench201(path, progress=lambda done, whole: told.append((done, whole)))
    assert told == sorted(told)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_what_a_file_does_not_know_is_left_out(tmp_path: Path) -> None:
    # The first version of the file knew 12 epochs on cifar10-valid only, and no times of 200 epochs.
    content = benchmark("less", "full")
    for info in content["arch2infos"].values():
        for name in ("cifar10", "cifar100", "ImageNet16-120"):
            del info["less"]["dataset_seed"][name]
        for one in info["full"]["all_results"].values():
            one["train_times"], one["eval_times"], one["latency"] = None, {}, None
    draft = read_nasbench201(write_old_torch(tmp_path / "first.pth", content))
    whole = expected(1, "cifar10-valid", "x-valid", "cifar10", "ori-test")
    missing = {"seconds", "latency_ms", "test_accuracy_e12"}
    assert draft.rows.to_pylist()[1] == {name: value for name, value in whole.items() if name not in missing}
    assert not missing & set(draft.columns)


def test_trainings_may_share_their_curves(tmp_path: Path) -> None:
    content = benchmark()
    results = content["arch2infos"][0]["200"]["all_results"]
    results["cifar10-valid", 999] = dict(results["cifar10-valid", 888])
    row = read_nasbench201(write_packed(tmp_path / "nats.pickle.pbz2", content)).rows.to_pylist()[0]
    assert row["valid_accuracy_run3"] == row["valid_accuracy_run2"] != row["valid_accuracy_run1"]
    assert row["seconds"] == pytest.approx(200 * 10.0 + 3.0)


def test_thinning_leaves_little_and_may_be_repeated() -> None:
    once = result(0, "cifar100", 777, 200)
    other = {"train_acc1es": {1: 2.0}}
    thin(once)
    thin(other)
    assert other == {"train_acc1es": {1: 2.0}}
    assert sum(len(value) for value in once.values() if isinstance(value, dict)) < 20
    again = {name: dict(value) if isinstance(value, dict) else value for name, value in once.items()}
    thin(again)
    assert again == once


def test_wrong_parameters_of_some_trainings_do_not_matter(tmp_path: Path) -> None:
    # D-X-Y/NATS-Bench, issue 36: 0.6403993 instead of 0.802426, the mean of three trainings.
    content = benchmark()
    content["arch2infos"][1]["200"]["all_results"]["cifar10", 777]["params"] = 0.316346
    assert read_nasbench201(write_folder(tmp_path / "nats", content)).rows["params"].to_pylist()[1] == 802_426


def test_other_networks_are_refused(tmp_path: Path) -> None:
    content = benchmark()
    for index in (0, 2):
        for info in content["arch2infos"][index].values():
            for one in info["all_results"].values():
                one["params"] *= 2
    with pytest.raises(TableError, match="nats: expected the parameters of the published networks; 2 of 3 cells have others"):
        read_nasbench201(write_folder(tmp_path / "nats", content))


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for info in content["arch2infos"].values():
            for one in info["200"]["all_results"].values():
                del one[name]

    return change


def rename_cell(content: dict[str, Any]) -> None:
    content["meta_archs"][1] = "8:8:8:8:8"
    for info in content["arch2infos"][1].values():
        info["arch_str"] = "8:8:8:8:8"


def exchange(content: dict[str, Any]) -> None:
    content["meta_archs"].reverse()


def forget_long(content: dict[str, Any]) -> None:
    content["arch2infos"][2]["90"] = content["arch2infos"][2].pop("200")


def forget_dataset(content: dict[str, Any]) -> None:
    del content["arch2infos"][1]["200"]["dataset_seed"]["cifar10"]


def forget_training(content: dict[str, Any]) -> None:
    del content["arch2infos"][1]["200"]["all_results"]["cifar10", 777]


def too_good(content: dict[str, Any]) -> None:
    content["arch2infos"][1]["200"]["all_results"]["cifar10", 777]["eval_acc1es"]["ori-test@199"] = 101.0


def cut_training(content: dict[str, Any]) -> None:
    content["arch2infos"][1]["200"]["all_results"]["cifar10", 777]["epochs"] = 201


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (rename_cell, "architecture 1 is not in the space nasbench201"),
        (exchange, "architecture 0: expected results of |none~0|"),
        (forget_long, "architecture 2: expected results of 12 and 200 epochs; got 12, 90"),
        (forget_dataset, "architecture 1 has no test_accuracy after 200 epochs on CIFAR-10"),
        (forget_training, "the results of architecture 1 are not those of the benchmark (KeyError"),
        (too_good, "the results of architecture 1 are not those of the benchmark (ValueError('the accuracy 101.0"),
        (cut_training, "the results of architecture 1 are not those of the benchmark (KeyError"),
        (without("params"), "the results of architecture 0 are not those of the benchmark (KeyError('params')"),
        (without("eval_names"), "the results of architecture 0 are not those of the benchmark (KeyError('eval_names')"),
    ],
)
def test_results_of_another_form_are_named(tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str) -> None:
    content = benchmark()
    change(content)
    with pytest.raises(TableError) as caught:
        read_nasbench201(write_packed(tmp_path / "nats.pickle.pbz2", content))
    assert str(caught.value).startswith("nats.pickle.pbz2: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "expected the texts of the architectures under 'meta_archs'"),
        ({"meta_archs": []}, "expected the texts of the architectures under 'meta_archs'"),
        ({"meta_archs": CELLS, "arch2infos": None}, "expected results under 'arch2infos'; got NoneType"),
        ({"meta_archs": CELLS, "arch2infos": {1: {}}}, "2 of 3 architectures have no results; the first is number 0"),
        ({"meta_archs": CELLS[:1], "arch2infos": {0: None}}, "architecture 0: expected a dictionary of results; got NoneType"),
        ({"meta_archs": CELLS[:1], "arch2infos": {0: {"200": None}}}, "architecture 0: expected results of |avg_pool"),
    ],
)
def test_file_of_another_form_is_refused(tmp_path: Path, value: Any, reason: str) -> None:
    with pytest.raises(TableError) as caught:
        read_nasbench201(write_plain(tmp_path / "file", value))
    assert reason in str(caught.value)


def test_folder_without_some_files_names_the_first(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = write_folder(tmp_path / "nats", content)
    (folder / "000001.pickle.pbz2").rename(folder / "1.pickle.pbz2")
    assert len(read_nasbench201(folder).rows) == 3  # the benchmark takes this name as well
    (folder / "1.pickle.pbz2").unlink()
    with pytest.raises(TableError, match="1 of 3 architectures have no file in .*; the first is 000001.pickle.pbz2"):
        read_nasbench201(folder)
    (folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(TableError, match="expected meta.pickle.pbz2 in the folder"):
        read_nasbench201(folder)


def test_cut_file_of_a_folder_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = write_folder(tmp_path / "nats", content)
    file = folder / "000002.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(TableError, match="000002.pickle.pbz2: the file ends in the middle"):
        read_nasbench201(folder)


def test_cut_file_says_which_architecture_was_last(tmp_path: Path, content: dict[str, Any]) -> None:
    for write in (write_plain, write_old_torch):
        path = write(tmp_path / "file", content)
        whole = path.read_bytes()
        for share, last in ((0.3, "0"), (0.7, "[12]")):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(
                TableError, match=f"file: the file ends in the middle, .* The last architecture in it is number {last}"
            ):
                read_nasbench201(path)
    path = write_packed(tmp_path / "packed", content)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TableError, match="packed: the file ends in the middle"):
        read_nasbench201(path)
    path = write_torch(tmp_path / "zip", content)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TableError, match="zip: the zip is damaged or cut short"):
        read_nasbench201(path)


def test_damage_in_packed_files_is_found(tmp_path: Path, content: dict[str, Any]) -> None:
    for name, write in (("packed", write_packed), ("zip", write_torch)):
        path = write(tmp_path / name, content)
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 255
        path.write_bytes(damaged)
        with pytest.raises(TableError, match=f"{name}: "):
            read_nasbench201(path)


class Attack:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("name", WRITERS)
def test_code_in_a_file_is_not_run(tmp_path: Path, name: str) -> None:
    witness = tmp_path / "witness"
    content = benchmark()
    content["arch2infos"][1]["200"]["clear_net_done"] = Attack(witness)
    path = WRITERS[name][0](tmp_path / name, content)
    with pytest.raises(TableError, match=r"expected plain data; the file asks for (posix|nt)\.system"):
        read_nasbench201(path)
    assert not witness.exists()


def test_weights_are_refused(tmp_path: Path) -> None:
    content = benchmark()
    content["arch2infos"][0]["12"]["all_results"]["cifar10", 777]["net_state_dict"] = {"weight": torch.ones(2)}
    with pytest.raises(TableError, match="asks for torch._utils._rebuild_tensor_v2.*without weights"):
        read_nasbench201(write_old_torch(tmp_path / "full.pth", content))


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("architecture,accuracy\n")
    with pytest.raises(TableError, match="table.csv: expected a pickle, plain, packed with bz2 or by torch.save"):
        read_nasbench201(path)
    with pytest.raises(TableError, match="there is nothing at .*nowhere"):
        read_nasbench201(tmp_path / "nowhere")

"""The tables of small files of NAS-Bench-201 and NATS-Bench."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators.tables.nasbench201.reader import read_nasbench201

_SPEC = importlib.util.spec_from_file_location("nasbench201_made_up", Path(__file__).with_name("made_up.py"))
assert _SPEC is not None and _SPEC.loader is not None
made_up = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made_up)


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return made_up.benchmark()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> Path:
    return made_up.write_folder(tmp_path_factory.mktemp("nats") / "NATS-tss-v1_0-3ffb9-simple", content)


def mean(values: list[float]) -> Any:
    return pytest.approx(sum(values) / len(values), rel=1e-12)


def expected(index: int, searched: str, valid: str, tested: str, test: str) -> dict[str, Any]:
    """Return the expected row of a cell, from the made-up figures."""
    row: dict[str, Any] = {"architecture": made_up.CELLS[index]}
    row["params"], row["macs"] = made_up.counted(index, tested)
    row["latency_ms"] = pytest.approx(10.0 * (1 + index))
    datasets = list(made_up.SETS)
    places = {
        name: (datasets.index(dataset), made_up.SETS[dataset].index(name))
        for dataset, name in ((searched, valid), (tested, test))
    }
    for epochs, ending in ((200, ""), (12, "_e12")):
        seeds = made_up.SEEDS[epochs][index]
        accuracy = {
            name: [made_up.number(index, which, seed, epochs, place, epochs - 1) / 100 for seed in seeds]
            for name, (which, place) in places.items()
        }
        which = places[valid][0]
        row[f"valid_accuracy{ending}"] = mean(accuracy[valid])
        row[f"test_accuracy{ending}"] = mean(accuracy[test])
        row[f"train_accuracy{ending}"] = mean([made_up.number(index, which, seed, epochs, epochs - 1) / 100 for seed in seeds])
        row[f"seconds{ending}"] = pytest.approx(epochs * (10.0 + index) + 3.0 + places[valid][1])
        if not ending:
            runs = [pytest.approx(value) for value in accuracy[valid]] + [pytest.approx(math.nan, nan_ok=True)] * 3
            row |= {f"valid_accuracy_run{run}": runs[run - 1] for run in (1, 2, 3)}
    return row


@pytest.mark.parametrize("name", made_up.WRITERS)
def test_every_form_gives_the_same_table(tmp_path: Path, folder: Path, name: str) -> None:
    write, keys = made_up.WRITERS[name]
    path = write(tmp_path / name, made_up.benchmark(*keys))
    draft = read_nasbench201(path)
    assert draft.rows.to_pylist() == [expected(index, "cifar10-valid", "x-valid", "cifar10", "ori-test") for index in range(3)]
    assert draft.rows.column_names == read_nasbench201(folder).rows.column_names
    assert (draft.space, draft.score, draft.chance) == ("nasbench201", "valid_accuracy", 0.1)
    assert name in draft.source


@pytest.mark.parametrize("dataset", ["cifar100", "ImageNet16-120"])
def test_other_datasets(folder: Path, dataset: str) -> None:
    draft = read_nasbench201(folder, dataset=dataset)
    assert draft.rows.to_pylist() == [expected(index, dataset, "x-valid", dataset, "x-test") for index in range(3)]
    assert draft.chance == 1 / made_up.CLASSES[dataset]
    for row in draft.rows.to_pylist():
        cost = made_up.SPACE.cost(made_up.SPACE.parse(row["architecture"]), **draft.cost)
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


def test_columns_without_values_are_left_out(tmp_path: Path) -> None:
    # The first version of the file has 12 epochs on cifar10-valid only, and no times of 200 epochs.
    content = made_up.benchmark("less", "full")
    for info in content["arch2infos"].values():
        for name in ("cifar10", "cifar100", "ImageNet16-120"):
            del info["less"]["dataset_seed"][name]
        for one in info["full"]["all_results"].values():
            one["train_times"], one["eval_times"], one["latency"] = None, {}, None
    draft = read_nasbench201(made_up.write_old_torch(tmp_path / "first.pth", content))
    whole = expected(1, "cifar10-valid", "x-valid", "cifar10", "ori-test")
    missing = {"seconds", "latency_ms", "test_accuracy_e12"}
    assert draft.rows.to_pylist()[1] == {name: value for name, value in whole.items() if name not in missing}
    assert not missing & set(draft.columns)


def test_trainings_may_share_their_curves(tmp_path: Path) -> None:
    content = made_up.benchmark()
    results = content["arch2infos"][0]["200"]["all_results"]
    results["cifar10-valid", 999] = dict(results["cifar10-valid", 888])
    row = read_nasbench201(made_up.write_packed(tmp_path / "nats.pickle.pbz2", content)).rows.to_pylist()[0]
    assert row["valid_accuracy_run3"] == row["valid_accuracy_run2"] != row["valid_accuracy_run1"]
    assert row["seconds"] == pytest.approx(200 * 10.0 + 3.0)


def test_wrong_parameters_of_some_trainings_do_not_matter(tmp_path: Path) -> None:
    # D-X-Y/NATS-Bench, issue 36: 0.6403993 instead of 0.802426, the mean of three trainings.
    content = made_up.benchmark()
    content["arch2infos"][1]["200"]["all_results"]["cifar10", 777]["params"] = 0.316346
    assert read_nasbench201(made_up.write_folder(tmp_path / "nats", content)).rows["params"].to_pylist()[1] == 802_426


def test_other_networks_are_refused(tmp_path: Path) -> None:
    content = made_up.benchmark()
    for index in (0, 2):
        for info in content["arch2infos"][index].values():
            for one in info["all_results"].values():
                one["params"] *= 2
    with pytest.raises(TableError, match="nats: expected the parameters of the published networks; 2 of 3 cells have others"):
        read_nasbench201(made_up.write_folder(tmp_path / "nats", content))


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
    content = made_up.benchmark()
    change(content)
    with pytest.raises(TableError) as caught:
        read_nasbench201(made_up.write_packed(tmp_path / "nats.pickle.pbz2", content))
    assert str(caught.value).startswith("nats.pickle.pbz2: ")
    assert reason in str(caught.value)

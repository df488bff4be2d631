"""The containers of the official files, intact, cut short and corrupt."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench201.files import Results, read_results

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


def read(path: Path) -> list[Results]:
    return list(read_results(path))


def test_progress_of_file_and_folder(tmp_path: Path, folder: Path, content: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    list(read_results(folder, progress=lambda done, whole: told.append((done, whole))))
    assert told == [(1, 3), (2, 3), (3, 3)]
    path = made_up.write_packed(tmp_path / "nats.pickle.pbz2", content)
    told.clear()
    list(read_results(path, progress=lambda done, whole: told.append((done, whole))))
    assert told == sorted(told)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "expected the texts of the architectures under 'meta_archs'"),
        ({"meta_archs": []}, "expected the texts of the architectures under 'meta_archs'"),
        ({"meta_archs": made_up.CELLS, "arch2infos": None}, "expected results under 'arch2infos'; got NoneType"),
        ({"meta_archs": made_up.CELLS, "arch2infos": {1: {}}}, "2 of 3 architectures have no results; the first is number 0"),
        (
            {"meta_archs": made_up.CELLS[:1], "arch2infos": {0: None}},
            "architecture 0: expected a dictionary of results; got NoneType",
        ),
        ({"meta_archs": made_up.CELLS[:1], "arch2infos": {0: {"200": None}}}, "architecture 0: expected results of |avg_pool"),
    ],
)
def test_file_of_another_form_is_refused(tmp_path: Path, value: Any, reason: str) -> None:
    with pytest.raises(TableError) as caught:
        read(made_up.write_plain(tmp_path / "file", value))
    assert reason in str(caught.value)


def test_folder_without_some_files_names_the_first(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = made_up.write_folder(tmp_path / "nats", content)
    (folder / "000001.pickle.pbz2").rename(folder / "1.pickle.pbz2")
    assert len(read(folder)) == 3  # the benchmark takes this name as well
    (folder / "1.pickle.pbz2").unlink()
    with pytest.raises(TableError, match="1 of 3 architectures have no file in .*; the first is 000001.pickle.pbz2"):
        read(folder)
    (folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(TableError, match="expected meta.pickle.pbz2 in the folder"):
        read(folder)


def test_cut_file_of_a_folder_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = made_up.write_folder(tmp_path / "nats", content)
    file = folder / "000002.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(TableError, match="000002.pickle.pbz2: the file ends in the middle"):
        read(folder)


def test_cut_file_says_which_architecture_was_last(tmp_path: Path, content: dict[str, Any]) -> None:
    for write in (made_up.write_plain, made_up.write_old_torch):
        path = write(tmp_path / "file", content)
        whole = path.read_bytes()
        for share, last in ((0.3, "0"), (0.7, "[12]")):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(
                TableError, match=f"file: the file ends in the middle, .* The last architecture in it is number {last}"
            ):
                read(path)
    path = made_up.write_packed(tmp_path / "packed", content)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TableError, match="packed: the file ends in the middle"):
        read(path)
    path = made_up.write_torch(tmp_path / "zip", content)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TableError, match="zip: the zip is corrupt or cut short"):
        read(path)


def test_corrupt_packed_files_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    for name, write in (("packed", made_up.write_packed), ("zip", made_up.write_torch)):
        path = write(tmp_path / name, content)
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 255
        path.write_bytes(damaged)
        with pytest.raises(TableError, match=f"{name}: "):
            read(path)


class Attack:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("name", made_up.WRITERS)
def test_code_in_a_file_is_not_run(tmp_path: Path, name: str) -> None:
    witness = tmp_path / "witness"
    content = made_up.benchmark()
    content["arch2infos"][1]["200"]["clear_net_done"] = Attack(witness)
    path = made_up.WRITERS[name][0](tmp_path / name, content)
    with pytest.raises(TableError, match=r"expected plain data; the file asks for (posix|nt)\.system"):
        read(path)
    assert not witness.exists()


def test_weights_are_refused(tmp_path: Path) -> None:
    content = made_up.benchmark()
    content["arch2infos"][0]["12"]["all_results"]["cifar10", 777]["net_state_dict"] = {"weight": torch.ones(2)}
    with pytest.raises(TableError, match="asks for torch._utils._rebuild_tensor_v2.*without weights"):
        read(made_up.write_old_torch(tmp_path / "full.pth", content))


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("architecture,accuracy\n")
    with pytest.raises(TableError, match="table.csv: expected a pickle, plain, packed with bz2 or by torch.save"):
        read(path)
    with pytest.raises(TableError, match="there is nothing at .*nowhere"):
        read(tmp_path / "nowhere")

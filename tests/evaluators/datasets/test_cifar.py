from __future__ import annotations

import hashlib
import pickle
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load

_CLASSES = {CIFAR10: 10, CIFAR100: 100}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address where it can be downloaded from."""
    folder = tmp_path_factory.mktemp("site")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _publish(source: type[CIFAR10], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a small archive in CIFAR's format and have torchvision take it for the real one; return its unpacked files."""
    rng = np.random.default_rng(0)
    base = folder / source.base_folder
    base.mkdir(parents=True)
    classes, key = _CLASSES[source], "labels" if source is CIFAR10 else "fine_labels"
    for attribute, rows in (("train_list", 10 * classes), ("test_list", classes)):
        files = []
        for name, _ in getattr(source, attribute):
            content = {"data": rng.integers(0, 256, (rows, 3072), dtype=np.uint8), key: np.arange(rows) % classes}
            files.append([name, _dump({**content, key: content[key].tolist()}, base / name)])
        monkeypatch.setattr(source, attribute, files)
    meta = dict(source.meta)
    meta["md5"] = _dump({meta["key"]: [f"class {number}" for number in range(classes)]}, base / meta["filename"])
    monkeypatch.setattr(source, "meta", meta)
    archive = folder / source.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base, source.base_folder)
    monkeypatch.setattr(source, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    return base


def _dump(content: object, path: Path) -> str:
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("name", "source", "training"), [("cifar10", CIFAR10, 500), ("cifar100", CIFAR100, 1000)])
def test_files_in_the_root_are_read(
    name: str, source: type[CIFAR10], training: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = _publish(source, tmp_path, monkeypatch)
    splits = load(name, tmp_path)
    assert [len(part) for part in splits] == [training * 9 // 10, training // 10, _CLASSES[source]]
    assert torch.bincount(splits.validation.labels).tolist() == [training // 10 // _CLASSES[source]] * _CLASSES[source]
    assert splits.test.classes[3] == "class 3"
    stored = pickle.loads((base / source.test_list[0][0]).read_bytes())["data"]
    assert np.array_equal(splits.test.images.numpy(), stored.reshape(-1, 3, 32, 32))


def test_missing_files_are_downloaded_once(site: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = site
    _publish(CIFAR10, folder, monkeypatch)
    monkeypatch.setattr(CIFAR10, "url", f"{address}/{CIFAR10.filename}")
    first = load("cifar10")
    (folder / CIFAR10.filename).unlink()
    assert [part.digest for part in load("cifar10")] == [part.digest for part in first]
    assert [found.name for found in (cache / "cifar").iterdir()] == ["cifar-10-batches-py"]


def test_a_download_cut_short_is_an_error_and_leaves_nothing(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    _publish(CIFAR10, folder, monkeypatch)
    monkeypatch.setattr(CIFAR10, "url", f"{address}/{CIFAR10.filename}")
    archive = folder / CIFAR10.filename
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(DatasetError, match="or use the dataset digits"):
        load("cifar10", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_in_the_root_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(CIFAR10, tmp_path / "published", monkeypatch)
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "gone.tar.gz").as_uri())
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "published" / CIFAR10.filename).rename(root / CIFAR10.filename)
    assert len(load("cifar10", root).train) == 450


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_without_files_or_network_the_error_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in _CLASSES:
        monkeypatch.setattr(source, "url", (tmp_path / "unreachable").as_uri())
    with pytest.raises(DatasetError, match=rf"dataset {name}: .*Give root= .* or use the dataset digits") as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_in_the_root_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = _publish(CIFAR10, tmp_path, monkeypatch)
    (base / "test_batch").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cifar-10-batches-py; some are missing or corrupt\. Remove this folder"):
        load("cifar10", tmp_path)

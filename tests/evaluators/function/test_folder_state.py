"""Files of a folder as tensors: they come back as they were, in their folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.function.folder_state import files_of, write_files


def test_files_come_back(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "er").mkdir(parents=True)
    target.mkdir()
    contents = {"deep/er/weights.pt": bytes(range(256)), "empty": b"", "Umlaut ä.txt": b"text"}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    (source / "link").symlink_to(source / "empty")
    files = files_of(source)
    torch.save(files, tmp_path / "state.pt")
    write_files(torch.load(tmp_path / "state.pt", weights_only=True), target)
    assert {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()} == contents


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", ""])
def test_paths_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected files in the checkpoint folder"):
        write_files({name: torch.zeros(1, dtype=torch.uint8)}, tmp_path / "folder")


@pytest.mark.parametrize("content", [torch.zeros(3), torch.zeros(1, 1, dtype=torch.uint8), b"bytes", None])
def test_contents_are_bytes(content: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="as a uint8 tensor"):
        write_files({"file": content}, tmp_path)  # type: ignore[dict-item]

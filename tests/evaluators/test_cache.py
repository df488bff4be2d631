from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from archsearch.evaluators.cache import cache_folder


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize("unset", [True, False])
def test_without_a_name_it_is_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unset: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ARCHSEARCH_CACHE", "")
    if unset:
        monkeypatch.delenv("ARCHSEARCH_CACHE")
    assert cache_folder() == tmp_path / ".cache" / "archsearch"


def test_an_account_without_a_home_folder_has_one_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ARCHSEARCH_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder() == Path(tempfile.gettempdir()) / "archsearch"

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import check_name, load


def test_digits_load_by_name_with_or_without_a_root(tmp_path: Path) -> None:
    assert [part.digest for part in load("digits")] == [part.digest for part in load("digits", tmp_path)]


@pytest.mark.parametrize("name", ["digit", "imagefolder", "imagefolder:a?side=8", "parquet:a?white=nan"])
def test_names_that_are_not_understood_are_an_error(name: str) -> None:
    with pytest.raises(DatasetError) as checked:
        check_name(name)
    with pytest.raises(DatasetError) as loaded:
        load(name)
    assert str(loaded.value) == str(checked.value)


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_a_missing_path_is_an_error_that_names_it_below_the_root(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match="gone") as caught:
        load(f"{kind}:gone", tmp_path)
    assert str(tmp_path / "gone") in str(caught.value)

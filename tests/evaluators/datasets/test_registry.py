from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import check_name, load, names


def test_names_are_listed() -> None:
    assert names() == ("digits", "cifar10", "cifar100", "imagefolder:PATH", "parquet:PATH")


def test_digits_load_by_name_with_or_without_a_root(tmp_path: Path) -> None:
    assert [part.digest for part in load("digits")] == [part.digest for part in load("digits", tmp_path)]


@pytest.mark.parametrize(
    "name", ["digits", "cifar10", "cifar100", "imagefolder:a/b", "parquet:x?image=img&label=y", "imagefolder:a?size=8"]
)
def test_names_that_load_understands_pass(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "Did you mean 'digits'"),
        ("CIFAR10", "cifar10"),
        ("imagefoldr:a", "Did you mean 'imagefolder:PATH'"),
        ("digits:a", "got 'digits:a'"),
        ("", "got ''"),
        ("imagefolder", "as in imagefolder:PATH"),
        ("parquet:", "as in parquet:PATH"),
        ("imagefolder:a?side=8", "expected one of size; got 'side'"),
        ("imagefolder:a?size=", "size=VALUE"),
        ("imagefolder:a?size=0", "got '0'"),
        ("imagefolder:a?size=big", "got 'big'"),
        ("imagefolder:a?size=-3", "got '-3'"),
        ("parquet:a?size=8", "expected one of image, label; got 'size'"),
    ],
)
def test_names_that_load_does_not_understand_are_an_error(name: str, message: str) -> None:
    with pytest.raises(DatasetError) as checked:
        check_name(name)
    assert message in str(checked.value)
    with pytest.raises(DatasetError) as loaded:
        load(name)
    assert str(loaded.value) == str(checked.value)


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_a_missing_path_is_an_error_that_names_it_below_the_root(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match="gone") as caught:
        load(f"{kind}:gone", tmp_path)
    assert str(tmp_path / "gone") in str(caught.value)

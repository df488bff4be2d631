"""Names of datasets and their options, without images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.dataset_names import NAMED, DatasetName, check_name, names, with_task
from archsearch.evaluators.datasets import registry


def test_names_are_listed() -> None:
    assert names() == ("digits", "cifar10", "cifar100", "imagefolder:PATH", "parquet:PATH", "csv:PATH")
    assert set(NAMED) == set(registry._NAMED), "each can be loaded"


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        "cifar10",
        "cifar100",
        "imagefolder:a/b",
        "parquet:x?image=img&label=y",
        "imagefolder:a?size=8",
        "imagefolder:a?size=24X96",
        "parquet:a?background=#808080",
        "parquet:a?white=0.5",
    ],
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
        ("imagefolder:a?side=8", "expected one of background, jpeg, on_error, size, white; got 'side'"),
        ("imagefolder:a?size=", "size=VALUE"),
        ("imagefolder:a?size=0", "got '0'"),
        ("imagefolder:a?size=big", "got 'big'"),
        ("imagefolder:a?size=-3", "got '-3'"),
        ("imagefolder:a?size=24x", "got '24x'"),
        ("imagefolder:a?size=24x0", "got '24x0'"),
        ("imagefolder:a?size=1x2x3", "got '1x2x3'"),
        ("imagefolder:a?white=much", "as in white=4095; got 'much'"),
        ("imagefolder:a?white=-1", "as in white=4095; got '-1'"),
        ("parquet:a?white=nan", "as in white=4095; got 'nan'"),
        ("parquet:a?background=blackish", "as in background=black or background=#808080; got 'blackish'"),
        ("parquet:a?folder=b", "one of background, image, jpeg, label, on_error, separator, size, task, white; got 'folder'"),
        ("imagefolder:a?jpeg=quick", "option jpeg: expected one of exact, fast; got 'quick'"),
    ],
)
def test_names_that_load_does_not_understand_are_an_error(name: str, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        check_name(name)
    assert message in str(caught.value)


def test_a_folder_or_file_of_that_name_is_named_with_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "digit", "tables"):
        Path(folder).mkdir()
    Path("tables/train.parquet").touch()
    expected = {
        "photos": "photos is a folder: write imagefolder:photos",
        "photos?size=64": "write imagefolder:photos?size=64",
        "./photos": "write imagefolder:./photos",
        "tables": "write parquet:tables",
        "tables/train.parquet": "tables/train.parquet is a file: write parquet:tables/train.parquet",
        "digit": "Did you mean 'digits'? digit is a folder: write imagefolder:digit",
    }
    for name, words in expected.items():
        with pytest.raises(DatasetError) as caught:
            check_name(name)
        assert words in str(caught.value)


def test_options_are_read() -> None:
    name = DatasetName.parse("imagefolder:a/b?size=24X96&white=4095&background=#102030")
    assert (name.kind, name.path, name.size, name.white, name.background) == (
        "imagefolder",
        "a/b",
        (24, 96),
        4095.0,
        (16, 32, 48),
    )
    assert DatasetName.parse("parquet:x?image=img&label=y").columns == {"image": "img", "label": "y"}
    assert DatasetName.parse("imagefolder:a?background=#10203040").background == (16, 32, 48), "opacity does not count"


def test_the_task_becomes_a_part_of_the_name() -> None:
    assert with_task("csv:a.csv", "regression") == "csv:a.csv?task=regression"
    assert with_task("parquet:a?label=x,y", "multilabel") == "parquet:a?label=x,y&task=multilabel"
    for name, task in (("digits", "classification"), ("csv:a?task=multilabel", "multilabel"), ("csv:a", None)):
        assert with_task(name, task) == name
    for name, known in (("imagefolder:a", "classification"), ("csv:a?task=multilabel", "multilabel")):
        with pytest.raises(ConfigurationError, match=f"task: expected {known}, which {re.escape(name)} has; got regression"):
            with_task(name, "regression")
    with pytest.raises(ConfigurationError, match="task: expected one of classification, multilabel, regression; got 'tags'"):
        with_task("csv:a", "tags")


def test_options_of_labels() -> None:
    parsed = DatasetName.parse("csv:a.csv?label=x%26y,z&separator=space&folder=p/q&part=split&size=8&task=regression")
    assert (parsed.columns, parsed.separator, parsed.folder) == ({"label": "x&y,z"}, " ", "p/q")
    assert (parsed.part, parsed.size, parsed.known_task) == ("split", (8, 8), "regression")
    assert DatasetName.parse("csv:a.csv?separator=;").separator == ";"
    assert DatasetName.parse("csv:a.csv").known_task is None
    with pytest.raises(DatasetError, match="option task: expected one of"):
        DatasetName.parse("parquet:a?task=tags")

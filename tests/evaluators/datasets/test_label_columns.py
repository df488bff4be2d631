"""Columns of labels: what the task is found to be, what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.datasets.label_columns import LabelReader, LabelRules, columns_named

Columns = dict[str, list[Any]]


def _place(row: int) -> str:
    return f"row {row}"


def reader(columns: Columns, task: str | None = None, separator: str | None = None) -> LabelReader:
    return LabelReader.of(columns, LabelRules(task, separator), _place, "t.csv")


def read(columns: Columns, task: str | None = None, separator: str | None = None) -> torch.Tensor:
    return reader(columns, task, separator).read(columns, _place, "t.csv")


@pytest.mark.parametrize(
    ("columns", "task", "classes"),
    [
        ({"a": ["dog", "cat", "dog"]}, "classification", ("cat", "dog")),
        ({"a": [10, 9, 10]}, "classification", ("9", "10")),
        ({"a": ["10", "9"]}, "classification", ("10", "9")),
        ({"a": [True, False]}, "classification", ("False", "True")),
        ({"a": ["none", "1", "?"]}, "classification", ("1", "?", "none")),
        ({"a": ["1.5", "2", "-3e2"]}, "regression", ("a",)),
        ({"a": [0.0, 1.0]}, "regression", ("a",)),
        ({"a": ["1.5"], "b": [2]}, "regression", ("a", "b")),
        ({"a": [["x", "y"], [], ["x"]]}, "multilabel", ("x", "y")),
        ({"a": [[7, 10], [9], None]}, "multilabel", ("7", "9", "10")),
        ({"a": ["x|y", "", "y"]}, "multilabel", ("x", "y")),
        ({"a": ["['x', 'y']", "[]", "['y']"]}, "multilabel", ("x", "y")),
        ({"a": ["x; y", "y;z"]}, "multilabel", ("x", "y", "z")),
        ({"a": ["0", "1"], "b": ["1", "1"]}, "multilabel", ("a", "b")),
        ({"a": [0.0, 1.0], "b": [True, False]}, "multilabel", ("a", "b")),
    ],
)
def test_the_task_is_found(columns: Columns, task: str, classes: tuple[str, ...]) -> None:
    found = reader(columns)
    assert (found.task, found.classes) == (task, classes)
    assert found.remark.startswith(f"Task: {task}, found from") == (task != "classification")


def test_many_whole_numbers_are_said_to_be_classes() -> None:
    assert "task=regression would predict them as numbers" in reader({"age": [*range(30)] * 3}).remark
    assert not reader({"age": [*range(10)] * 3}).remark
    assert not reader({"age": [*range(30)] * 3}, "classification").remark, "the user said it"


def test_labels_are_read() -> None:
    assert read({"a": ["dog", " cat "]}).tolist() == [1, 0]
    numbers = read({"a": ["1", "2.5"], "b": [3, 4]}, "regression")
    assert numbers.dtype == torch.float64 and numbers.tolist() == [[1.0, 3.0], [2.5, 4.0]]
    sets = read({"a": ["x,y", "", "y, y"]}, "multilabel")
    assert sets.dtype == torch.bool and sets.tolist() == [[True, True], [False, False], [False, True]]
    assert read({"a": ["['x', 'y']", "[]", '["y"]']}, "multilabel").tolist() == sets.tolist()
    assert read({"a": ["x y", "y"]}, separator=" ").tolist() == [[True, True], [False, True]]
    assert read({"ill": [1, 0, 1]}, "multilabel").tolist() == [[True], [False], [True]]
    assert read({"a": ["true", "0"], "b": ["No", "yes"]}).tolist() == [[True, False], [False, True]]
    assert read({"a": [0, 1, 1]}, "regression").tolist() == [[0.0], [1.0], [1.0]]


@pytest.mark.parametrize(
    ("columns", "task", "separator", "message"),
    [
        ({"a": ["1.5", "x", "2.5"]}, None, None, "numbers or classes in 'a'; got both: 'x' in row 1 beside numbers such as 1.5"),
        (
            {"a": ["x"], "b": ["1"]},
            None,
            None,
            "columns of numbers, or of 0 and 1 for labels; got other values in 'a', such as 'x'",
        ),
        ({"a": ["x"], "b": ["1"]}, "classification", None, "needs one column of classes; got 2 columns: a, b"),
        ({"a": ["1.5", "2.5"]}, "classification", None, "needs a class in each row; got numbers with decimals, such as '1.5'"),
        ({"a": [["x"], ["y"]]}, "classification", None, "needs a class in each row; got lists"),
        ({"a": ["1", "x"]}, "regression", None, "needs numbers; got 'x' in 'a'"),
        ({"a": ["1", "2"], "b": ["1", "0"]}, "multilabel", None, "columns of 0 and 1, one a label; got '2' in 'a'"),
        ({"a": ["1.5", "2"]}, "multilabel", None, "needs lists of labels; got numbers, such as '1.5'"),
        ({"a": ["x", "y"]}, "multilabel", None, "each cell has one text without a separator, such as 'x'"),
        ({"a": ["x|y", "y"]}, "multilabel", ";", r"';' is in none of them. They have '\|'"),
        ({"a": ["x", "y"]}, "classification", ";", "separator: only task=multilabel has one"),
        ({"a": ["x", None, ""]}, None, None, "expected a label in each row; got none in row 1, row 2"),
        ({"a": ["1.5", "", "2"]}, None, None, "expected a number in each row of 'a'; got none in row 1"),
        ({"a": ["1.5", "NA", "nan", "inf"]}, None, None, "finite numbers in 'a'; got 'NA' in row 1, row 2, row 3"),
        ({"a": [1.5, float("nan")]}, None, None, "a number in each row of 'a'; got none in row 1"),
        ({"a": [1.5, *[None] * 9]}, None, None, r"got none in 9 rows: row 1, row 2, row 3, row 4, row 5, \.\.\."),
        ({"a": ["1", None], "b": ["0", "1"]}, None, None, "expected 0 or 1 in 'a'; got None in row 1"),
    ],
)
def test_unsuitable_labels_are_an_error(columns: Columns, task: str | None, separator: str | None, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read(columns, task, separator)
    assert "t.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_other_parts_have_the_labels_of_training() -> None:
    classes, sets = reader({"a": ["cat", "dog"]}), reader({"a": ["cat|dog"]})
    for known, values in ((classes, ["dog", "dgo"]), (sets, ["dog", "cat|dgo"])):
        with pytest.raises(DatasetError, match=r"such as cat; got dgo in row 1\. Did you mean 'dog'"):
            known.read({"a": values}, _place, "t.csv")
    assert sets.read({"a": ["", "dog"]}, _place, "t.csv").tolist() == [[False, False], [False, True]]
    flags = reader({"a": [0, 1], "b": [1, 0]})
    assert flags.read({"a": [1, 1], "b": [1, 1]}, _place, "t.csv").all(), "also where a part has one value alone"


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'regression'"):
        LabelRules("regresion")


def test_several_columns_are_named_by_commas() -> None:
    assert columns_named("x, y", ["x", "y"]) == ("x", "y")
    assert columns_named("x,y", ["x,y"]) == ("x,y",)

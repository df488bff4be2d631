"""Numbers as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.written_numbers import read_numbers

NAN = float("nan")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["93.1", "-2", "1e-3"], [93.1, -2.0, 0.001]),
        (["93,1", "-2", "1e-3"], [93.1, -2.0, 0.001]),
        (["0,931", "0,922"], [0.931, 0.922]),
        (["93,125", "92,5"], [93.125, 92.5]),
        (["1.234,5", "7"], [1234.5, 7.0]),
        (["1,234.5", "7"], [1234.5, 7.0]),
        (["1,234,567", "2,000"], [1234567, 2000]),
        (["1.234.567", "2.000"], [1234567, 2000]),
        (["1 234 567", "2\u00a0000", "3\u202f000"], [1234567, 2000, 3000]),
        (["1'234'567", "2\u2019000"], [1234567, 2000]),
        (["1.5", "", "-", "None", "N/A", "#DIV/0!", "null", "\u2013", None], [1.5, *[NAN] * 8]),
        (["inf", "-Infinity", "1"], [np.inf, -np.inf, 1.0]),
        ([" 93.1", "93.2 ", "\u00a093.3"], [93.1, 93.2, 93.3]),
        (['="93.1"', '"93.2"', "\u22121"], [93.1, 93.2, -1.0]),
        (["+5", "007"], [5, 7]),
        (["1,5e6", "2e6"], [1.5e6, 2e6]),
    ],
)
def test_forms_of_numbers(cells: list[str | None], expected: list[float]) -> None:
    column = read_numbers({"x": cells})["x"]
    np.testing.assert_allclose(column.values, expected, rtol=1e-15)
    assert not column.percent
    assert (column.values.dtype == np.int64) == all(isinstance(value, int) for value in expected)


@pytest.mark.parametrize("cells", [["93.1%", "92.2%"], ["93,1 %", "92,2 %"], ["93.1\u00a0%", "92.2%", "-"]])
def test_percent_signs_make_fractions(cells: list[str]) -> None:
    column = read_numbers({"acc": cells})["acc"]
    assert column.percent
    np.testing.assert_allclose(column.values[:2], [0.931, 0.922])


@pytest.mark.parametrize(
    ("cells", "semicolons", "other", "expected"),
    [
        (["93,125", "92,250"], True, ["5", "6"], [93.125, 92.25]),
        (["93,125", "92,250"], False, ["5", "6"], [93125, 92250]),
        (["93,125", "92,250"], False, ["5,1", "6"], [93.125, 92.25]),
        (["93,125", "92,250"], True, ["5.1", "6"], [93125, 92250]),
        (["93.125", "92.250"], True, ["5", "6"], [93.125, 92.25]),
        (["93.125", "92.250"], True, ["5,1", "6"], [93125, 92250]),
    ],
)
def test_what_could_be_thousands_is_decided_by_the_other_columns(
    cells: list[str], semicolons: bool, other: list[str], expected: list[float]
) -> None:
    assert read_numbers({"x": cells, "y": other}, semicolons=semicolons)["x"].values.tolist() == expected


@pytest.mark.parametrize("cells", [["93,125", "92,250"], ["93.125", "92.250"]])
def test_accuracies_have_no_thousands(cells: list[str]) -> None:
    assert read_numbers({"valid_acc": cells})["valid_acc"].values.tolist() == [93.125, 92.25]


def test_columns_of_other_texts_are_left_out() -> None:
    columns = {"device": ["a", "b"], "hash": ["12e4", "fe01", "a7"], "empty": ["", "-"], "x": ["1", "2"]}
    assert list(read_numbers(columns)) == ["empty", "x"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["93.1", "high"], "row 1, column 'acc': expected a number; got 'high'. .*--missing"),
        (["a", "b"], "row 0, column 'acc': expected a number; got 'a'"),
        (["93.1 +- 0.2", "92"], "row 0, column 'acc': expected a number; got '93.1 [+]- 0.2'"),
        (["93.1", "92,25"], "row 0, column 'acc' has a decimal point .93.1., but row 1 a decimal comma .92,25.;.*--decimal"),
        (["93.1%", "0.922"], "row 1, column 'acc': expected a percent sign as in row 0; got '0.922'"),
        (["1,23,456.5", "2"], "row 0, column 'acc': expected a number; got '1,23,456.5'"),
        (["1_000", "2"], "row 0, column 'acc': expected a number; got '1_000'"),
    ],
)
def test_what_is_no_number_names_row_and_column(cells: list[str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_numbers({"acc": cells}, needed={"acc"})


def test_further_marks_and_the_separator_can_be_said() -> None:
    assert read_numbers({"x": ["93,125", "OOM", "-1"]}, decimal=",", missing=["oom", "-1"])["x"].values.tolist()[0] == 93.125
    np.testing.assert_array_equal(read_numbers({"x": ["5", "OOM", "-1"]}, missing=["oom", "-1"])["x"].values, [5.0, NAN, NAN])

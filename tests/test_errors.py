from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError, check_whole_number, first_line


@pytest.mark.parametrize(("value", "least"), [(1, 1), (0, 0), (7, 2)])
def test_whole_numbers_that_are_large_enough(value: int, least: int) -> None:
    check_whole_number("epochs", value, least)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_anything_else(value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^epochs: expected a whole number of at least 1; got {value!r}.$"):
        check_whole_number("epochs", value)


@pytest.mark.parametrize(
    ("message", "line"), [("what\nand why", "what"), ("\n what", "what"), ("", "ValueError"), ("\n", "ValueError")]
)
def test_the_first_line_of_an_error(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line

from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import (
    ConfigurationError,
    RunError,
    check_whole_number,
    first_line,
    is_out_of_memory,
    memory_errors,
    one_line,
)


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


def test_values_in_messages_take_one_line() -> None:
    assert one_line("a\nb") == "'a\\nb'"
    assert one_line(np.zeros((2, 1))) == "array([[0.], [0.]])"


def test_out_of_memory_is_told_by_kind_and_text() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch's."""

    for error in (MemoryError(), OutOfMemoryError("x"), RuntimeError("CUDA error: out of memory")):
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_too_little_memory_is_an_error_that_tells_what_to_do() -> None:
    @memory_errors("Take less.")
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(RunError, match=r"^memory: this machine or its GPU has too little of it \(3 bytes\). Take less.$"):
        fail(MemoryError("3 bytes\nand more"))
    with pytest.raises(ValueError, match="other"):
        fail(ValueError("other"))

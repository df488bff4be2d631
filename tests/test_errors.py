from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from archsearch.errors import (
    ConfigurationError,
    RunError,
    SearchStopped,
    check_whole_number,
    did_you_mean,
    first_line,
    is_out_of_memory,
    memory_errors,
    message_in_one_line,
    one_line,
    unknown_name,
)


@pytest.mark.parametrize(("value", "least"), [(1, 1), (0, 0), (7, 2)])
def test_ints_of_at_least_the_least_are_accepted(value: int, least: int) -> None:
    check_whole_number("epochs", value, least)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^epochs: expected a whole number of at least 1; got {value!r}.$"):
        check_whole_number("epochs", value)


@pytest.mark.parametrize(
    ("message", "line"), [("what\nand why", "what"), ("\n what", "what"), ("", "ValueError"), ("\n", "ValueError")]
)
def test_the_first_line_of_an_error(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line


@pytest.mark.parametrize(
    ("message", "limit", "line"),
    [("what\n  and why\n", None, "what and why"), ("what\nand why", 6, "what a"), ("", None, "ValueError"), (" \n", 5, "Value")],
)
def test_the_whole_message_in_one_line(message: str, limit: int | None, line: str) -> None:
    assert message_in_one_line(ValueError(message), limit) == line


def test_names_that_are_unknown_are_answered_by_similar_ones() -> None:
    assert did_you_mean("chanels", ["cells", "channels"]) == " Did you mean 'channels'?"
    assert did_you_mean("stages", ["blue"]) == ""
    assert unknown_name("space", "enas", ["nasnet", "enas12"]) == (
        "space: expected one of enas12, nasnet; got 'enas'. Did you mean 'enas12'?"
    )


def test_values_in_messages_take_one_line() -> None:
    assert one_line("a\nb") == "'a\\nb'"
    assert one_line(np.zeros((2, 1))) == "array([[0.], [0.]])"


def test_out_of_memory_is_recognised_by_type_and_message() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch's."""

    for error in (MemoryError(), OutOfMemoryError("x"), RuntimeError("CUDA error: out of memory")):
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_too_little_memory_is_an_error_that_says_what_to_do() -> None:
    @memory_errors("Take less.")
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(RunError, match=r"^memory: this machine or its GPU has too little of it \(3 bytes\). Take less.$"):
        fail(MemoryError("3 bytes\nand more"))
    with pytest.raises(ValueError, match="other"):
        fail(ValueError("other"))


def test_a_stopped_search_ends_a_script_with_its_message_alone() -> None:
    program = "from archsearch.errors import SearchStopped\nraise SearchStopped('stopped; continue with: x')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "stopped; continue with: x\n")
    caught = pickle.loads(pickle.dumps(SearchStopped("m")))
    assert isinstance(caught, Exception) and str(caught) == "m" and caught.exit_code == 130

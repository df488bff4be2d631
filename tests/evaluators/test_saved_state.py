"""Files of states, and errors of corrupt or foreign ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators.saved_state import check_identity, read_state, taking_over, write_state


def test_a_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.pt"
    write_state(path, {"steps": 3, "weights": torch.arange(4.0)})
    found = read_state(path)
    assert found["steps"] == 3
    torch.testing.assert_close(found["weights"], torch.arange(4.0))
    assert [each.name for each in path.parent.iterdir()] == ["state.pt"]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(st.binary(max_size=80))
def test_any_other_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "state.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"checkpoint: expected what `fit\(checkpoint=...\)` writes"):
        read_state(path)


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_state(path, {"weights": torch.arange(1000.0)})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_state(path)


def test_a_missing_file_and_something_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_state(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ConfigurationError, match="holds something else"):
        read_state(tmp_path / "list.pt")


def test_a_file_that_cannot_be_written_keeps_the_former_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match=r"checkpoint: cannot write .*; choose another place"):
        write_state(tmp_path / "file" / "state.pt", {})
    path = tmp_path / "state.pt"
    write_state(path, {"steps": 1})
    with pytest.raises(AttributeError):  # no error of a file: what cannot be pickled
        write_state(path, {"steps": lambda: 2})
    assert read_state(path) == {"steps": 1}
    assert {each.name for each in tmp_path.iterdir()} == {"file", "state.pt"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("weights"), "it lacks 'weights'"),
        (RuntimeError("shapes differ:\n[2] and [3]"), "shapes differ:"),
        (TypeError(), "TypeError"),
    ],
)
def test_errors_of_a_corrupt_state_become_one(error: Exception, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught, taking_over("predictor"):
        raise error
    assert str(caught.value) == (
        f"state: expected what `state()` of the same predictor returned; got one that is corrupt ({reason}). Fit anew."
    )


def test_other_errors_stay() -> None:
    with pytest.raises(OSError, match="disk"), taking_over("predictor"):
        raise OSError("disk")


def test_an_identity_names_what_differs() -> None:
    check_identity({"space": "a", "more": 1}, {"space": "a"}, "Fit anew.")
    with pytest.raises(ConfigurationError, match=r"state: expected one whose space is 'a'; got 'b'\. Fit anew\."):
        check_identity({"space": "b"}, {"space": "a"}, "Fit anew.")
    with pytest.raises(ConfigurationError, match="got None"):
        check_identity({}, {"version": 1}, "Fit anew.")


def test_checks_of_states_need_no_torch() -> None:
    code = "import sys, archsearch.evaluators.saved_state; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.saved_state import read_state, write_state


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

"""A complete copy of Tune's state of an experiment is put back where a kill cut the state short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archsearch.cluster.trials.experiment_state import keep_complete_state, mend_experiment
from archsearch.errors import RunError

FIRST, SECOND = "2026-01-01_10-00-00", "2026-01-02_10-00-00"


def state_of(folder: Path, session: str) -> Path:
    return folder / f"experiment_state-{session}.json"


def test_a_state_that_was_cut_short_is_put_back(tmp_path: Path) -> None:
    state, content = state_of(tmp_path, FIRST), json.dumps({"trial_data": list(range(100))})
    state.write_text(content)
    keep_complete_state(str(tmp_path), FIRST)
    state.write_text(content[:50])
    assert mend_experiment(str(tmp_path)) and state.read_text() == content
    assert not mend_experiment(str(tmp_path)), "it is complete now"


def test_a_complete_state_is_left_as_it_is(tmp_path: Path) -> None:
    state = state_of(tmp_path, FIRST)
    state.write_text("[1]")
    keep_complete_state(str(tmp_path), FIRST)
    state.write_text("[1, 2]")
    assert not mend_experiment(str(tmp_path)) and state.read_text() == "[1, 2]"


def test_the_state_of_the_last_process_counts(tmp_path: Path) -> None:
    """Tune reads the newest state; an older one may end anywhere."""
    state_of(tmp_path, FIRST).write_text("[1")
    state_of(tmp_path, SECOND).write_text("[1, 2]")
    keep_complete_state(str(tmp_path), SECOND)
    assert not mend_experiment(str(tmp_path))
    state_of(tmp_path, SECOND).write_text("")
    assert mend_experiment(str(tmp_path)) and state_of(tmp_path, SECOND).read_text() == "[1, 2]"
    assert state_of(tmp_path, FIRST).read_text() == "[1"


def test_folders_without_a_state(tmp_path: Path) -> None:
    keep_complete_state(str(tmp_path), FIRST)
    assert not list(tmp_path.iterdir()) and not mend_experiment(str(tmp_path)) and not mend_experiment(str(tmp_path / "none"))


@pytest.mark.parametrize("copy", [None, "", '{"trial_data": ['])
def test_without_a_complete_copy(copy: str | None, tmp_path: Path) -> None:
    state = state_of(tmp_path, FIRST)
    state.write_text("[1")
    if copy is not None:
        state.with_name(state.name + ".complete").write_text(copy)
    with pytest.raises(RunError, match=r"experiment_state-.*ends in the middle"):
        mend_experiment(str(tmp_path))
    assert state.read_text() == "[1"

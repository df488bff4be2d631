"""The file of metrics that could not be sent to MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.platform.tracking.curves import BEST_SCORE, Point
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.unsent import UNSENT, forget_unsent, unsent_points, write_unsent

RUN = MlflowRun("sqlite:///never-made.db", "experiment", "run", {"seed": 1}, {})
POINTS = [Point(BEST_SCORE, 0.5, 1, 1000), Point("surrogate/trust_tau", 0.25, 2, 2000)]


def test_points_are_read_back_except_curves(tmp_path: Path) -> None:
    path = write_unsent(tmp_path / "new", RUN, "FINISHED", POINTS, ["note"])
    assert path == tmp_path / "new" / UNSENT
    path.write_text(path.read_text() + '{"kind": "metric", "key": "truncat')
    assert unsent_points(path.parent) == POINTS[1:]
    forget_unsent(path.parent)
    forget_unsent(path.parent)
    assert unsent_points(path.parent) == []


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert write_unsent(tmp_path / "file", RUN, "FINISHED", POINTS, []) is None
    assert "cannot be written" in caplog.text

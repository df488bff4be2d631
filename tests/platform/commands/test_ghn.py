"""`archsearch ghn train` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.platform.command_line import main
from archsearch.searchers.pretrained_ghn import CARD, STATE


@pytest.mark.slow
def test_a_hypernetwork_is_trained_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["--scale", "channels=2", "--scale", "cells_per_stage=1", "--image-size", "4", "--threads", "1"]
    assert main(["ghn", "train", "nasbench201", "digits", "--steps", "1", *sizes]) == 0
    assert {STATE, CARD} <= {path.name for path in (tmp_path / "ghn" / "nasbench201-digits").iterdir()}
    assert "--searcher ghn --set hypernetwork=ghn/nasbench201-digits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "hours: expected either --hours or --steps"),
        (["--hours", "1", "--steps", "3"], "hours: expected either --hours or --steps"),
        (["--steps", "1", "--scale", "channels"], "scale: expected NAME=N"),
    ],
)
def test_wrong_arguments(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ghn", "train", "nasbench201", "digits", *words]) != 0
    assert message in capsys.readouterr().err

"""`archsearch export RUN --ensemble N`, as typed, after a real search."""

from __future__ import annotations

import json

import pytest

from archsearch.platform.command_line import main
from archsearch.platform.run_folder import RunFolder

TINY = ["--size", "channels=4", "--size", "cells_per_stage=1", "--epochs", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))


def test_an_ensemble_of_a_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run.path), "--ensemble", "2", "--from-best", "2", "--retrain", "digits", *TINY]) == 0
    printed = capsys.readouterr()
    assert "Ensemble of ranks " in printed.out and f"Model:     {run.path / 'export' / 'ensemble-2'}" in printed.out
    assert "Training 2 architectures of the search from new weights, ranks 1 to 2, 1 epoch each on digits" in printed.err
    content = json.loads((run.path / "export" / "ensemble-2" / "architecture.json").read_text())
    assert 1 <= len(content["members"]) <= 2 and content["training"]["settings"]["epochs"] == 1
    figures = json.loads((run.path / "ensemble" / "ensemble.json").read_text())
    assert figures["candidates"] == 2 and figures["metrics"]["test_accuracy"] == content["training"]["metrics"]["test_accuracy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ensemble", "2"], "dataset: the search took its scores from table:digits201"),
        (["--ensemble", "0", "--retrain", "digits"], "size: expected a whole number of at least 1; got 0"),
        (["--ensemble", "2", "--rank", "2"], "ensemble: --rank cannot be combined"),
        (["--ensemble", "2", "--with-validation"], "--with-validation cannot be combined"),
        (["--ensemble", "2", "--from-best", "0", "--retrain", "digits"], "candidates: expected a whole number"),
        (["--ensemble", "2", "--retrain", "digits", "--set", "epoch=3"], "epoch"),
        (["--ensemble", "2", "--retrain", "digits", "--recipe", "long"], "recipe: expected one of"),
        (["--from-best", "3"], "give --ensemble"),
    ],
)
def test_what_does_not_fit_is_refused(
    run: RunFolder, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run.path), *options]) == 2
    assert message in capsys.readouterr().err

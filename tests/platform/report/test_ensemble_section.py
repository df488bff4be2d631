"""The report shows an ensemble beside the best single network, when it was made before the report and after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archsearch import spaces
from archsearch.platform.report.ensemble_section import FILE, ensemble_section, put_into_report
from archsearch.platform.report.report import write_report

METRICS = {"valid_accuracy": 0.9876, "test_accuracy": 0.9712, "params": 12345.0, "macs": 6789.0}
SINGLE = {**METRICS, "valid_accuracy": 0.9512, "test_accuracy": 0.9412}
FIGURES: dict[str, Any] = {
    **{"size": 3, "candidates": 6, "dataset": "digits", "recipe": "short", "epochs": 4, "metrics": METRICS},
    "selected": [
        {"rank": 2, "architecture": "<first>", "count": 2, "metrics": SINGLE},
        {"rank": 1, "architecture": "second", "count": 1, "metrics": SINGLE},
    ],
    "single": {"rank": 2, "architecture": "<first>", "metrics": SINGLE},
}


def write(run: Path, content: str) -> None:
    (run / FILE).parent.mkdir(exist_ok=True)
    (run / FILE).write_text(content)


def test_an_ensemble_is_put_into_a_report_and_replaced(make_summary: Callable[..., Any], tmp_path: Path) -> None:
    space = spaces.get("nasbench201")
    page = write_report(make_summary([0.7, 0.9, 0.8]), space, tmp_path / "report", top=2)
    before = page.read_text()
    assert "Ensemble" not in before
    write(tmp_path, json.dumps(FIGURES))
    assert put_into_report(tmp_path)
    text = page.read_text()
    assert "98.76" in text and "97.12" in text and "95.12" in text and "&lt;first&gt;" in text and "2 / 3" in text
    assert "best single network, rank 2" in text and "The 6 best architectures were trained" in text
    write(tmp_path, json.dumps({**FIGURES, "candidates": 8}))
    assert put_into_report(tmp_path) and page.read_text().count("Ensemble, and the best") == 1
    assert "The 8 best architectures" in page.read_text()
    again = write_report(make_summary([0.7, 0.9, 0.8]), space, tmp_path / "report", top=2)
    assert "The 8 best architectures" in again.read_text(), "a report that is written again keeps it"


def test_without_a_report_or_with_a_broken_file_nothing_is_shown(tmp_path: Path) -> None:
    assert not put_into_report(tmp_path)
    for content in ("", "[]", "{}", '{"selected": 3}', "null"):
        write(tmp_path, content)
        assert ensemble_section(tmp_path) == "<!-- ensemble -->\n<!-- end of ensemble -->"
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>an older report</p>")
    assert not put_into_report(tmp_path)

"""The report of a search: its page, pictures and tables."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from archsearch import spaces
from archsearch.platform.ending import Ending
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.report.report import write_report
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

SPACE = spaces.get("nasbench201")
NAN = float("nan")
Read = Callable[[Path], Any]
METRICS = {"test_accuracy": [0.61, 0.79, NAN], "params": [1e4, 2e4, 3e4], "macs": [1e5, 2e6, 3e6]}


@pytest.fixture
def read(read_page: Any) -> Read:
    """Parses the page of a report."""
    return lambda path: read_page(path.read_text(encoding="utf-8"))


def test_the_report_tells_the_story_in_one_file(make_summary: Any, tmp_path: Path, read: Read) -> None:
    summary = make_summary([0.6, 0.8, NAN], [None, None, "out of memory"], columns=METRICS)
    page = read(write_report(summary, SPACE, tmp_path / "report"))
    best = ranked_rows(summary.evaluations, 1)[0]
    for words in (best.architecture, "80.00", "79.00", "20,000", "2,000,000", "out of memory", summary.command, "epochs", "36.0"):
        assert words in page.words
    assert len(page.pictures) == 4
    for picture in page.pictures:
        content = base64.b64decode(picture.removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(content)).format == "PNG"
    assert not [tag for tag, attrs in page.tags if tag in ("link", "iframe") or "href" in attrs or (tag == "script" and attrs)]
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def chain(choose: Choose) -> nn.Module:
    width = choose.one("width", [4, 8])
    return nn.Sequential(
        nn.Linear(3, width), *choose.repeat("depth", 0, 1, lambda i: nn.Linear(width, choose.one("out", [4, 8])))
    )


def test_the_best_of_a_module_space_is_told_by_the_choices_that_it_has(make_summary: Any, tmp_path: Path, read: Read) -> None:
    space = ModuleSpace(chain, torch.zeros(1, 3))
    texts = ["width=8 depth=0", "width=4 depth=1 depth.0.out=8"]
    columns = {"architecture": texts, "key": [space.key(space.parse(text)) for text in texts]}
    summary = make_summary([0.9, 0.6], columns=columns, space=space.name)
    page = read(write_report(summary, space, tmp_path / "report"))
    assert "Its genes: width 8, depth 0." in page.words


def test_the_report_leaves_tables_and_pictures(make_summary: Any, tmp_path: Path) -> None:
    summary = make_summary([0.6, 0.8, NAN], [None, None, "out of memory"], columns=METRICS)
    write_report(summary, SPACE, tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    stems = ("best_architecture", "best_so_far", "trade_off")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "top").iterdir()} == {"rank-01.png", "rank-02.png"}
    stored = pq.read_table(tmp_path / "evaluations.parquet")
    assert str(stored.to_pylist()) == str(summary.evaluations.to_pylist())
    with (tmp_path / "top.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], float(row["score"]), float(row["macs"])) for row in rows] == [("1", 0.8, 2e6), ("2", 0.6, 1e5)]


def test_the_report_of_a_search_that_failed_says_why(make_summary: Any, tmp_path: Path, read: Read) -> None:
    errors = ["CUDA error 12 at 0x1f\ntrace", "CUDA error 7 at 0x2f\ntrace", "no data"]
    page = read(write_report(make_summary([NAN] * 3, errors), SPACE, tmp_path))
    assert "No candidate has a score" in page.words
    assert "3 of 3 candidates have no score" in page.words
    assert "CUDA error 12" in page.words and "trace" not in page.words
    assert len(page.pictures) == 1


def test_the_report_of_one_candidate_without_costs(make_summary: Any, tmp_path: Path, read: Read) -> None:
    page = read(write_report(make_summary([0.5]), SPACE, tmp_path))
    assert "The only candidate with a score" in page.words
    assert "MACs" not in page.words
    assert not (tmp_path / "figures" / "trade_off.png").exists()


def test_the_report_of_an_empty_search(make_summary: Any, tmp_path: Path, read: Read) -> None:
    assert "No candidate has a score" in read(write_report(make_summary([]), SPACE, tmp_path)).words


def test_a_report_can_be_written_again(make_summary: Any, tmp_path: Path, read: Read) -> None:
    first = write_report(make_summary([0.5]), SPACE, tmp_path)
    assert "70.00" in read(write_report(make_summary([0.5, 0.7]), SPACE, tmp_path)).words
    assert first.exists()
    write_report(make_summary([0.5]), SPACE, tmp_path)
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["rank-01.png"]


def test_the_report_tells_what_the_surrogate_was_worth(make_summary: Any, tmp_path: Path, read: Read) -> None:
    course = [(5, {"surrogate/stages": 1.0}), (10, {"surrogate/trust_tau": 0.1}), (15, {"surrogate/trust_tau": 0.62})]
    summary = make_summary([0.5, 0.6])
    page = read(write_report(summary, SPACE, tmp_path, course=course))
    assert "How well the surrogate ranked candidates" in page.words
    assert "is 0.62: of two candidates, the surrogate ranked the better one higher in about 81 % of cases" in page.words
    assert (tmp_path / "figures" / "trust.png").exists()
    assert "How well the surrogate ranked" not in read(write_report(summary, SPACE, tmp_path, course=course[:1])).words


def test_the_report_tells_how_to_go_on(make_summary: Any, tmp_path: Path, read: Read) -> None:
    summary = make_summary([0.5], use="archsearch export runs/a --retrain")
    page = read(write_report(summary, SPACE, tmp_path)).words
    assert "archsearch export runs/a --retrain" in page and "--register NAME" in page
    assert summary.use not in read(write_report(make_summary([NAN], ["lost"], use=summary.use), SPACE, tmp_path)).words
    changes = {
        "use": "platform.finished_run('a', space=Mine()).best.retrain()",
        "command": "platform.resume_search('a', space=Mine())",
    }
    page = read(write_report(make_summary([0.5], **changes), SPACE, tmp_path)).words
    assert all(line in page for line in changes.values()) and "this is Python" in page and "--register" not in page


def test_the_report_says_what_ended_the_search_and_how_it_goes_on(make_summary: Any, tmp_path: Path, read: Read) -> None:
    summary = make_summary([0.5], num_candidates=6)
    for ending, expected in (
        (Ending("time", 1, 6, 2, 29.2, 20.0), "The time budget of 20 s ended the search after 29 s: 1 of 6"),
        (Ending("stopped", 1, 6, 2), "The search was stopped: 1 of 6 candidates are evaluated. Given up: 2 evaluations"),
    ):
        page = read(write_report(replace(summary, ending=ending), SPACE, tmp_path)).words
        assert expected in page and page.count(summary.command) == 2
    page = read(write_report(replace(summary, ending=Ending("complete", 6, 6)), SPACE, tmp_path)).words
    assert "ended" not in page and page.count(summary.command) == 1


def test_the_predicted_cost_is_beside_the_actual_cost(make_summary: Any, tmp_path: Path, read: Read) -> None:
    summary = make_summary([0.5] * 10, columns={"seconds": [10.0] * 5 + [20.0] * 5})
    assert "predicted from the first 5" in read(write_report(summary, SPACE, tmp_path)).words


def test_tables_scroll_in_a_box_of_their_own(make_summary: Any, tmp_path: Path, read: Read) -> None:
    page = read(write_report(make_summary([0.5, 0.6]), SPACE, tmp_path))
    tags = [(tag, attrs.get("class")) for tag, attrs in page.tags]
    tables = [index for index, (tag, _) in enumerate(tags) if tag == "table"]
    assert tables and all(tags[index - 1] == ("div", "wide") for index in tables)


def test_texts_cannot_become_markup(make_summary: Any, tmp_path: Path, read: Read) -> None:
    evil = '<script>alert("&")</script>'
    summary = make_summary([0.5, NAN], [None, evil], name=evil, task=evil, command=evil, settings={evil: {"a": evil}})
    page = read(write_report(summary, SPACE, tmp_path))
    assert [tag for tag, _ in page.tags].count("script") == 1, "the page's own, which sorts tables"
    assert page.words.count(evil) >= 6


def test_the_report_says_what_the_images_are_and_how_sure_a_score_is(make_summary: Any, tmp_path: Path, read: Read) -> None:
    facts = ("Images of photos: 240 for training, 32 for validation.", "Training images are mirrored.")
    summary = make_summary([0.66, 0.5], score_images=32.0, facts=facts, cautions=("32 images are few.",), remark="All guess.")
    words = read(write_report(summary, SPACE, tmp_path)).words
    for text in (
        *facts,
        "Warning: 32 images are few.",
        "Warning: All guess.",
        "its standard error by the number of images (%) 8.37",
    ):
        assert text in words
    assert "standard error" not in read(write_report(make_summary([0.66]), SPACE, tmp_path)).words

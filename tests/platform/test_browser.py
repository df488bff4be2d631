"""`archsearch ui` in a real browser: the list of searches, their charts, the files of one and its report."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from archsearch.platform.search import run_search
from archsearch.platform.tracking.saved_view import view_address

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing; get it with: pip install '.[browser]'")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PATIENCE = 240_000  # milliseconds


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        try:
            options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        except playwright.Error as error:
            pytest.skip(f"no Chromium starts here ({str(error).splitlines()[0]}); get one with: playwright install chromium")
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def folder(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three real searches."""
    folder = tmp_path_factory.mktemp("searches")
    shutil.copy(mlflow_store, folder / "mlflow.db")
    for searcher, seed in (("random", 0), ("random", 1), ("evolution", 0)):
        settings: dict[str, Any] = {"num_candidates": 30, "storage": folder / "runs", "tracking": f"sqlite:///{folder}/mlflow.db"}
        options = {"population_size": 10} if searcher == "evolution" else {}
        settings |= {"searcher": searcher, "seed": seed, "searcher_options": options, "name": f"{searcher}-{seed}"}
        run_search(evaluator="table:digits201", progress=False, **settings)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of `archsearch ui`, started in that folder."""
    command = [sys.executable, "-m", "archsearch", "ui"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, start_new_session=True
        )
    assert process.stdout is not None
    try:
        said = [process.stdout.readline(), process.stdout.readline()]
        address = said[0].split()[1].partition("/#/")[0]
        assert said[1].split() == ["nasbench201/digits201:", f"{address}/{view_address('1')}"]
        while not _answers(address):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/health", timeout=10).close()
    except OSError:
        return False
    return True


def test_the_list_of_runs_has_each_search(page: Any, address: str) -> None:
    page.goto(f"{address}/#/experiments/1/runs?searchFilter=tags.kind%20%3D%20%22search%22")
    page.get_by_text(re.compile(r"^3\s*matching runs")).wait_for()
    for name in ("random-0", "random-1", "evolution-0"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_the_saved_view_lays_the_curves_of_searchers_over_each_other(page: Any, address: str) -> None:
    page.goto("about:blank")
    page.goto(f"{address}/{view_address('1')}")
    page.get_by_text(re.compile(r"Searches side by side\s*\(\d+\)")).wait_for()
    page.get_by_text("Group: evolution").wait_for()
    page.get_by_text("Group: random").wait_for()
    page.locator(".js-plotly-plot .scatterlayer .trace .js-line").nth(5).wait_for(state="attached")
    titles = [page.get_by_text(name, exact=True).first for name in ("search/best_score", "anytime/accuracy", "anytime/auc")]
    boxes = [title.bounding_box() for title in titles]
    assert all(box is not None and box["y"] + box["height"] < 900 for box in boxes)  # seen without scrolling
    lines = page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace .js-line")
    assert lines.count() >= 2


def test_the_files_of_a_search_hold_the_best_cells_and_its_report(page: Any, address: str, folder: Path) -> None:
    [run] = MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(["1"], "attributes.run_name = 'evolution-0'")
    files = f"{address}/#/experiments/1/runs/{run.info.run_id}/artifacts"
    page.goto("about:blank")
    page.goto(f"{files}/top.json")
    page.get_by_text("architecture", exact=True).first.wait_for()
    for name in ("report.html", "evaluations.parquet", "top", "figures"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.goto("about:blank")
    page.goto(f"{files}/report.html")
    report = page.frame_locator("iframe")
    report.locator("h1").wait_for()
    assert "evolution" in report.locator("body").inner_text()
    drawn = report.locator("img, svg").first
    assert drawn.bounding_box()["width"] > 50

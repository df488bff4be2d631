"""Costs of MLflow in a search: seconds, rows that it stores, and the time in which its pages open with 50 searches in the store.

    python -m benchmarks.platform.tracking                 # all; about twenty minutes
    python -m benchmarks.platform.tracking --parts overhead --candidates 1000 10000 --repeats 5
    python -m benchmarks.platform.tracking --parts pages   # needs a browser: playwright install chromium

The searches that are measured cost as little as they can, so that the share of the tracker is as large as it can be: random
search in a table, or with an evaluator that takes no time where a table would be too small. Stores are made before. On a busy
machine the clock says less than CPU time, and that less than the seconds in which the search waits for the tracker.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from archsearch import evaluators, spaces
from archsearch.platform import run_search
from archsearch.platform.tracking.saved_view import view_address
from archsearch.platform.tracking.tracker import Tracker
from benchmarks.cluster.orchestration import Parity
from benchmarks.frame import Rows, Script, table

SEARCHES, PER_SEARCH = 50, 200
TABLES = ("runs", "params", "tags", "metrics", "latest_metrics")
PARTS = ("overhead", "processes", "pages")
CALLS = ("run_id", "record", "record_values", "log_artifacts", "log_finalists", "finish")
INSTALL = "pip install '.[browser]' && playwright install chromium   (or a system's chromium)"


class InstantTable(Parity):
    """A stand-in for a table of any size: scores at once, from one worker."""

    @property
    def is_lookup(self) -> bool:
        return True


def settings_for(candidates: int, folder: Path) -> dict[str, Any]:
    """Return a random search over a table that is large enough."""
    common = {"searcher": "random", "storage": folder, "progress": False, "reuse": False, "num_candidates": candidates}
    if candidates <= 5000:
        return {"evaluator": evaluators.TabularEvaluator.embedded("digits201", space=spaces.get("nasbench201")), **common}
    return {"space": "enas12", "evaluator": InstantTable(spaces.get("enas12")), **common}


@contextmanager
def waiting() -> Iterator[list[float]]:
    """Give a list to which each call of the tracker by the search adds its seconds."""
    seconds: list[float] = []

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def inner(*arguments: Any, **named: Any) -> Any:
            before = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                seconds.append(time.perf_counter() - before)

        return inner

    originals = {name: vars(Tracker)[name] for name in CALLS}
    for name, call in originals.items():
        setattr(Tracker, name, property(timed(call.fget)) if isinstance(call, property) else timed(call))
    try:
        yield seconds
    finally:
        for name, call in originals.items():
            setattr(Tracker, name, call)


def measured(tracking: str, name: str, seed: int, settings: dict[str, Any]) -> tuple[float, float, float]:
    """Return seconds on the clock, CPU seconds of this process, and seconds in which the search waited for the tracker."""
    with waiting() as waits:
        clock, cpu = time.perf_counter(), time.process_time()
        # A separate storage: a search does not evaluate what the ledger of its storage holds.
        run_search(**{**settings, "storage": settings["storage"] / name}, tracking=tracking, name=name, seed=seed)
        return time.perf_counter() - clock, time.process_time() - cpu, sum(waits)


def counts(store: Path) -> dict[str, int]:
    """Return the rows of each table of a store."""
    with closing(sqlite3.connect(store)) as database:
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else path.stat().st_size


def overhead(candidates: int, repeats: int) -> dict[str, Any]:
    """Return medians of what tracking adds to searches of one size, and what it writes."""
    with tempfile.TemporaryDirectory() as root:
        folder, store = Path(root), Path(root) / "mlflow.db"
        uri = f"sqlite:///{store}"
        run_search(**settings_for(5, folder), name="warm", tracking=uri)
        run_search(**{**settings_for(5001, folder), "num_candidates": 5}, name="warm-too", tracking=uri)
        settings, found = settings_for(candidates, folder), {"off": [], uri: []}
        rows, stored = counts(store), (size(store), size(folder / "mlartifacts"))
        for repeat in range(repeats):
            for where in sorted(found, reverse=bool(repeat % 2)):
                name = f"{candidates}-{repeat}-{'off' if where == 'off' else 'on'}"
                found[where].append(measured(where, name, repeat, settings))
        added = (sum(counts(store).values()) - sum(rows.values())) / repeats
        grown = [
            (size(path) - before) / repeats / 1e3 for path, before in zip((store, folder / "mlartifacts"), stored, strict=True)
        ]
        off, on = ([statistics.median(values) for values in zip(*found[where], strict=True)] for where in ("off", uri))
    return {"off": off, "on": on, "rows": added, "kilobytes": grown}


def processes(repeats: int) -> dict[str, float]:
    """Return the seconds of the command in a new process, where MLflow has to be imported, too."""
    times: dict[str, list[float]] = {"auto": [], "off": []}
    with tempfile.TemporaryDirectory() as folder:
        options = ["--table", "digits201", "--searcher", "random", "--candidates", "1000", "--no-reuse", "--quiet"]
        for repeat in range(-1, repeats):
            for where in times:
                command = [sys.executable, "-m", "archsearch", "run", *options, "--seed", str(repeat + 1), "--tracking", where]
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if repeat >= 0:  # the first makes the store
                    times[where].append(time.perf_counter() - started)
    return {where: statistics.median(seconds) for where, seconds in times.items()}


def searches(folder: Path) -> None:
    """Make 50 searches, by two searchers."""
    evaluator = evaluators.TabularEvaluator.embedded("digits201", space=spaces.get("nasbench201"))
    for number in range(SEARCHES):
        searcher, seed = ("random", "evolution")[number % 2], number // 2
        settings = {"evaluator": evaluator, "searcher": searcher, "seed": seed, "num_candidates": PER_SEARCH, "storage": folder}
        run_search(**settings, name=f"{searcher}-{seed}", progress=False, tracking=f"sqlite:///{folder / 'mlflow.db'}")


def pages(repeats: int) -> dict[str, Any]:
    """Return the seconds that pages of the UI take to show their content.

    Raises:
        LookupError: There is no browser.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise LookupError(f"playwright is missing. Get it with:  {INSTALL}") from error
    with tempfile.TemporaryDirectory() as root, sync_playwright() as playwright:
        try:
            options = ["--disable-gpu", "--no-sandbox", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        except Error as error:
            raise LookupError(f"no browser starts ({str(error).splitlines()[0]}). Get one with:  {INSTALL}") from error
        searches(Path(root))
        command = [sys.executable, "-m", "archsearch", "ui"]
        server = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[1].partition("/#/")[0]
            return {"pages": time_pages(browser, address, Path(root) / "mlflow.db", repeats)}
        finally:
            browser.close()
            server.send_signal(signal.SIGINT)
            server.wait()


def time_pages(browser: Any, address: str, store: Path, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each page: the first time, and repeated."""
    client = MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("nasbench201/digits201").experiment_id
    [run] = client.search_runs([experiment], "tags.kind = 'search'", max_results=1)
    runs = f"#/experiments/{experiment}/runs"
    found = {
        "experiments": ("#/experiments?workflowType=machine_learning", "text=nasbench201/digits201"),
        "table of searches": (f"{runs}?searchFilter=tags.kind%20%3D%20%22search%22", f"text=/{SEARCHES}\\s*matching runs/"),
        "charts side by side": (view_address(experiment), ".js-plotly-plot .scatterlayer .trace >> nth=5"),  # three charts of two
        "report of a search": (f"{runs}/{run.info.run_id}/artifacts/report.html", "iframe >> internal:control=enter-frame >> h1"),
    }
    until(lambda: urllib.request.urlopen(f"{address}/health", timeout=5).close())
    return {
        name: [opened(browser, f"{address}/{path}", shows) for _ in range(1 + repeats)] for name, (path, shows) in found.items()
    }


def until(action: Callable[[], object]) -> None:
    """Repeat an action until it raises no OSError."""
    while True:
        try:
            action()
        except OSError:
            time.sleep(0.2)
        else:
            return


def opened(browser: Any, address: str, shows: str) -> float:
    """Return seconds from asking for a page, in a browser without a cache, until it shows its content."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    started = time.perf_counter()
    page.goto(address)
    page.locator(shows).first.wait_for(state="attached", timeout=300_000)
    seconds = time.perf_counter() - started
    page.context.close()
    return seconds


def report(rows: Rows) -> None:
    """Print the tables, with the aims beside what was measured."""
    lines = []
    for row in rows.select(part="overhead"):
        (clock, cpu, _), (clock_on, cpu_on, waited) = row["off"], row["on"]
        times = [f"{value:.2f}" for value in (clock, clock_on, cpu, cpu_on)]
        written = f"{row['rows']:.0f}", ", ".join(f"{value:.0f}" for value in row["kilobytes"])
        lines.append(
            [f"{row['candidates']:,}", row["repeats"], *times, f"{waited:.3f}", f"{100 * waited / clock:.2f} %", *written]
        )
    columns = ["candidates", "searches", "s without", "s with", "CPU s without", "CPU s with", "s waited for the tracker"]
    table([*columns, "share (aim: 2 %)", "rows", "kB of store, artifacts"], lines)
    table(
        ["`archsearch run`, 1,000 candidates, Ray's start included", "s with MLflow", "s without"],
        (["median", f"{row['auto']:.1f}", f"{row['off']:.1f}"] for row in rows.select(part="processes")),
    )
    for row in rows.select(part="pages"):
        opened_pages = [
            [name, f"{first:.1f}", f"{statistics.median(others):.1f}"] for name, (first, *others) in row["pages"].items()
        ]
        table([f"page, {SEARCHES} searches in the store", "s, first time", "s, median of more"], opened_pages)


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    script.argument("--candidates", nargs="+", type=int, default=[1000, 10_000, 100_000], help="(default: 1000 10000 100000)")
    script.argument("--repeats", type=int, default=3, help="of each search and page (default: 3)")
    arguments = script.parse()
    repeats = arguments.repeats

    def run(rows: Rows) -> None:
        if "overhead" in arguments.parts:
            for candidates in arguments.candidates:
                rows.get(partial(overhead, candidates, repeats), part="overhead", candidates=candidates, repeats=repeats)
        if "processes" in arguments.parts:
            rows.get(lambda: processes(repeats), part="processes", repeats=repeats)
        if "pages" in arguments.parts:
            try:
                rows.get(lambda: pages(repeats), part="pages", repeats=repeats)
            except LookupError as error:
                print(f"Pages were not measured: {error}")

    script.run(run, report)


if __name__ == "__main__":
    main()

"""The benchmark scripts start, and their frame resumes, repeats and prints rows."""

from __future__ import annotations

import importlib
import io
import json
import re
import runpy
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from archsearch import evaluators, spaces

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def frame() -> ModuleType:
    return importlib.import_module("benchmarks.frame")


@pytest.fixture
def measured() -> Iterator[int]:
    """Numbers that a measurement would give, each another one."""
    return iter(range(100))


def run(module: str, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """Run a script in this process, as `python -m` does."""
    monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
    for name in [name for name in sys.modules if name.startswith("benchmarks.") and name != "benchmarks.frame"]:
        monkeypatch.delitem(sys.modules, name)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@pytest.mark.parametrize("module", SCRIPTS)
def test_each_script_explains_itself(module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(module, monkeypatch, "--help")
    assert ended.value.code == 0
    usage, _, description = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"usage: python -m {module} ")
    assert f"python -m {module}" in description


def test_the_results_name_every_script_that_measures() -> None:
    texts = "".join(path.read_text() for path in (ROOT / "benchmarks" / "results").glob("*.md"))
    files = {module.removeprefix("benchmarks.").replace(".", "/") + ".py" for module in SCRIPTS} - {"tables/install.py"}
    assert {file for file in files if f"`{file}" not in texts} == set()


def test_every_verdict_leads_to_a_section() -> None:
    links = re.findall(r"\]\((results/\w+\.md)#([\w-]+)\)", (ROOT / "benchmarks" / "RESULTS.md").read_text())
    headings = {
        (file, re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-"))
        for file, _ in links
        for heading in re.findall(r"^## (.+)$", (ROOT / "benchmarks" / file).read_text(), re.MULTILINE)
    }
    assert len(links) > 50
    assert set(links) <= headings


class TestRows:
    def test_a_row_is_measured_once(self, frame: ModuleType, measured: Iterator[int], tmp_path: Path) -> None:
        path = tmp_path / "new" / "rows.jsonl"
        rows = frame.Rows(path)
        first = [rows.get(lambda: {"tau": next(measured)}, space="a", seed=seed) for seed in (0, 1)]
        again = [frame.Rows(path).get(lambda: {"tau": next(measured)}, space="a", seed=seed) for seed in (1, 0)]
        assert [row["tau"] for row in first] == [0, 1]
        assert [row["tau"] for row in again] == [1, 0]
        assert rows.all() == frame.Rows(path).all() == first

    def test_the_identity_counts_and_nothing_else(self, frame: ModuleType, measured: Iterator[int], tmp_path: Path) -> None:
        rows = frame.Rows(tmp_path / "rows.jsonl")
        for settings in ({"sizes": (1, 2)}, {"sizes": (1, 3)}, {"sizes": [1, 2]}):
            rows.get(lambda: {"value": next(measured)}, method="a, b", settings=settings)
        assert [row["value"] for row in rows.select(method="a, b")] == [0, 1]
        assert rows.select(settings={"sizes": (1, 3)}) == rows.all()[1:]
        assert rows.select(unknown=None) == []

    def test_a_row_that_was_cut_short_is_measured_again(self, frame: ModuleType, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        for seed in (0, 1):
            frame.Rows(path).get(lambda: {"found": {"3": 1}}, seed=seed)
        content = path.read_bytes()
        for length in range(content.index(b"\n") + 2, len(content) - 1):
            path.write_bytes(content[:length])
            assert [row["seed"] for row in frame.Rows(path).all()] == [0]
            frame.Rows(path).get(lambda: {"found": {"3": 2}}, seed=1)
            assert [row["found"]["3"] for row in frame.Rows(path).all()] == [1, 2]

    def test_rows_of_another_process_are_seen(self, frame: ModuleType, tmp_path: Path) -> None:
        ours, theirs = (frame.Rows(tmp_path / "rows.jsonl") for _ in range(2))
        theirs.get(lambda: {"value": 1}, seed=0)
        assert ours.get(lambda: pytest.fail("measured twice"), seed=0)["value"] == 1
        theirs.get(lambda: {"value": 2}, seed=1)
        assert len(ours.all()) == 2

    def test_repeating_writes_nothing(
        self, frame: ModuleType, measured: Iterator[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "rows.jsonl"
        for architecture in ("[[1, 2]]", "x=1"):
            frame.Rows(path).get(lambda: {"value": next(measured)}, architecture=architecture, seed=0)
        before = path.read_bytes()
        rows = frame.Rows(path, repeat={"architecture": "x=1", "seed": "0"})
        found = [rows.get(lambda: {"value": 7}, architecture=architecture, seed=0) for architecture in ("[[1, 2]]", "x=1", "y")]
        assert [row and row["value"] for row in found] == [0, 1, None]
        assert path.read_bytes() == before
        assert capsys.readouterr().out.splitlines()[-2:] == [
            "recorded: architecture x=1, seed 0, value 1",
            "repeated: architecture x=1, seed 0, value 7",
        ]


class TestScript:
    def made(self, frame: ModuleType) -> Any:
        script = frame.Script(str(ROOT / "benchmarks" / "gates" / "made_up.py"), "Made up.", seeds=3)
        script.argument("spaces", nargs="*", default=["a", "b"])
        script.argument("--only", nargs="+", default=["x y", "z"])
        script.argument("--quick", action="store_true")
        script.argument("--macs", type=float, default=4e6)
        return script

    def test_defaults(self, frame: ModuleType) -> None:
        script = self.made(frame)
        arguments = script.parse([])
        assert arguments.out == Path("runs/gates_made_up.jsonl")
        assert list(script.seeds) == [0, 1, 2]

    def test_the_printed_command_repeats_the_row(
        self, frame: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, values = tmp_path / "rows.jsonl", iter((0.5, 0.5, 0.75))

        def started(*words: str) -> None:
            script = self.made(frame)
            arguments = script.parse(words)

            def measure(rows: Any) -> None:
                for name in arguments.only:
                    for seed in script.seeds:
                        rows.get(lambda: {"macs": arguments.macs, "value": next(values)}, name=name, seed=seed)

            script.run(measure, lambda rows: frame.table(["seeds"], [[len(rows.all())]]))

        started("a", "--first", "4", "--seeds", "2", "--only", "x y", "--macs", "1e5", "--quick", "--out", str(out))
        assert "| 2 |" in capsys.readouterr().out
        started("--commands", "--out", str(out))
        command = capsys.readouterr().out.splitlines()[-1]
        assert command.startswith("python -m benchmarks.gates.made_up a ")
        started(*shlex.split(command)[3:])
        assert capsys.readouterr().out.splitlines() == [
            "recorded: name x y, seed 5, macs 1e+05, value 0.5",
            "repeated: name x y, seed 5, macs 1e+05, value 0.75",
        ]

    def test_printing_measures_nothing(self, frame: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        script = self.made(frame)
        script.parse(["--print", "--out", str(tmp_path / "rows.jsonl")])
        script.run(lambda rows: pytest.fail("measured"), lambda rows: frame.table(["a"], [[None]], "title"))
        assert capsys.readouterr().out.startswith("\n### title\n\n| a |\n| --- |\n|  |\n")

    def test_repeat_takes_names_and_values(self, frame: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            self.made(frame).parse(["--repeat", "seed"])
        assert "--repeat takes NAME=VALUE; got seed" in capsys.readouterr().err


def test_statistics(frame: ModuleType) -> None:
    assert [frame.average([]), frame.average([1.239]), frame.average([1.0], signed=True)] == ["", "1.24", "+1.00"]
    assert frame.average([1.0, 2.0, 3.0]) == "2.00 (-0.48 to 4.48)"
    assert frame.average([1.0, 2.0, 3.0], 1, deviation=True) == "2.0 +- 1.0 (-0.5 to 4.5; 3)"
    assert frame.difference([3.0], [1.0]) == "+2.00"
    assert frame.difference([], [1.0]) == ""
    assert frame.difference([3.0, 4.0, 5.0], [1.0, 2.0, 3.0]) == "+2.00 (-0.27 to +4.27)"
    assert frame.quartiles([5, 1, 3, float("inf")], most=100) == "5 (3 to > 100)"


def test_missing_data_is_named(frame: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHSEARCH_DATA", raising=False)
    with pytest.raises(SystemExit, match=r"ARCHSEARCH_DATA is unset; set it to the folder with a\.parquet"):
        frame.data("a.parquet")
    monkeypatch.setenv("ARCHSEARCH_DATA", str(tmp_path))
    (tmp_path / "a.parquet").touch()
    assert frame.data("a.parquet") == tmp_path
    with pytest.raises(SystemExit, match=r"lacks b\.parquet"):
        frame.data("a.parquet", "b.parquet")


def test_a_script_resumes_and_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    for _ in range(2):
        run("benchmarks.spaces.throughput", monkeypatch, "nasbench201", "--count", 5, "--out", out)
        assert re.search(r"\| nasbench201 \| encode arrays \| [\d,]+ \| 200,000 \|", capsys.readouterr().out)
        assert len(out.read_text().splitlines()) == 1


def test_a_script_prints_published_figures_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    cell = {"space": "nasbench201", "preset": "paper", "encoder": "gates", "loss": "hinge", "size": 78, "members": 1, "epochs": 0}
    figures = {"n_at_5": 3, "n_at_10": 2, "precision": {"0.01": 0.25}, "seconds_per_epoch": 0.01, "tau": 0.75}
    out.write_text("".join(json.dumps({**cell, "subset": subset, **figures}) + "\n" for subset in (1, 2)))
    run("benchmarks.gates.kendall", monkeypatch, "--print", "--out", out)
    assert "| 78 | gates, hinge | paper | 0.7401 | .765 ± .027 |  | 0.750 +- 0.000" in capsys.readouterr().out
    run("benchmarks.gates.topk", monkeypatch, out)
    assert "| 78 | gates, hinge, `paper` | 1, 1 | 2 | 3 (3 to 3) | 2 (2 to 2) |" in capsys.readouterr().out


def cells(path: Path, heading: str) -> dict[str, list[str]]:
    """Return the cells of the first table below a heading, by the name in its first column."""
    text = path.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row[0].startswith("`"):
            found.setdefault(row[0], row[1:])
    return found


def test_the_pages_have_the_same_figures_of_searchers() -> None:
    """README, docs/which-searcher.md and RESULTS.md agree on the evaluations that searchers need."""
    results = {name: (row[0], row[2]) for name, row in cells(ROOT / "benchmarks/RESULTS.md", "Searchers side by side").items()}
    page = {name: tuple(row[:2]) for name, row in cells(ROOT / "docs/which-searcher.md", "What they found").items()}
    readme = {name: tuple(row[1:3]) for name, row in cells(ROOT / "README.md", "Searchers and what they found").items()}
    assert results == page
    assert {"gates", "ngae", "optuna", "evolution", "random"} <= {name.strip("`") for name in readme}
    assert {name: row for name, row in readme.items() if any(row)} == {name: results[name] for name in readme if name != "`ghn`"}


@pytest.mark.parametrize(
    ("bench", "searcher", "method", "column", "rank", "most"),
    [
        ("nasbench201", "optuna", "optuna", 0, "1", 100),
        ("nasbench201", "evolution", "evolution 20/10", 0, "1", 100),
        ("nasbench101", "optuna", "optuna", 2, "3", 150),
        ("nasbench101", "random", "random", 2, "3", 150),
        ("nasbench201", "gates", "gates", 0, "1", 100),
        ("nasbench101", "gates", "gates", 2, "3", 150),
        ("nasbench201", "gp", "gp", 0, "1", 100),
        ("nasbench101", "gp", "gp", 2, "3", 150),
        ("nasbench201", "ngae", "ngae", 0, "1", 100),
        ("nasbench101", "ngae", "ngae", 2, "3", 150),
    ],
)
def test_figures_are_those_of_the_rows(
    frame: ModuleType, bench: str, searcher: str, method: str, column: int, rank: str, most: int
) -> None:
    row = cells(ROOT / "benchmarks/RESULTS.md", "Searchers side by side")[f"`{searcher}`"]
    seeds = int(row[column + 1])
    file = "ngae_search" if searcher == "ngae" else "gates_search"
    rows = frame.Rows(ROOT / f"benchmarks/results/{file}.jsonl").select(bench=bench, method=method)
    found = [each["found"][rank] or float("inf") for each in rows if each["seed"] < seeds]
    assert len(found) == seeds
    median = frame.quartiles(found, most=most).split(" (")[0]
    assert median == row[column].replace("more than", ">")


class Convolutions(dict[str, float]):
    """The number of 3x3 convolutions of a cell of NAS-Bench-201, by its text."""

    def __missing__(self, text: str) -> float:
        return float(text.count("nor_conv_3x3"))


class Places(dict[str, int]):
    """A rank by this number."""

    def __missing__(self, text: str) -> int:
        return 7 - text.count("nor_conv_3x3")


@pytest.fixture
def known() -> Any:
    module = importlib.import_module("benchmarks.comparisons.known_searches")
    return module.Table(spaces.get("nasbench201"), Convolutions(), Convolutions(), Places())


@pytest.mark.parametrize("method", ["random", "evolution 20/10", "evolution 100/10", "optuna", "gp", "gates", "optuna gp"])
def test_each_searcher_of_a_benchmark_proposes_one_cell_at_a_time(method: str, known: Any) -> None:
    search = importlib.import_module("benchmarks.gates.search")
    searcher = search.make(search.METHODS[method], "nasbench201", known, 0)
    assert searcher.batch_size == 1
    evaluations = importlib.import_module("benchmarks.comparisons.known_searches").evaluations(searcher, known.scores)
    for count, _ in zip(range(1, 9), evaluations, strict=False):
        assert searcher.num_proposed == count and len(searcher.history) == count - 1


def test_a_peer_is_told_the_score_of_each_cell_and_repeats_do_not_count(known: Any) -> None:
    """Plain Optuna in this environment, by the driver and the conversation that peers.py has."""
    peers = importlib.import_module("benchmarks.comparisons.peers")
    course = importlib.import_module("benchmarks.comparisons.course").Course(known)
    found = list(peers.proposals(Path(sys.executable), peers.PEERS["optuna tpe"], 0, 40, known, course))
    assert len({known.space.key(known.space.parse(text)) for text in found}) == len(found) == 40
    figures = course.figures()
    best = max(known.scores[text] for text in found)
    assert figures["improvements"][-1][1] == best
    assert sum(map(known.scores.__getitem__, found[20:])) > sum(map(known.scores.__getitem__, found[:20])), "it learns"
    again = peers.proposals(Path(sys.executable), peers.PEERS["optuna tpe"], 0, 12, known, type(course)(known))
    assert list(again) == found[:12], "a seed repeats a search"


def test_a_peer_that_fails_is_named(known: Any) -> None:
    peers = importlib.import_module("benchmarks.comparisons.peers")
    course = importlib.import_module("benchmarks.comparisons.course").Course(known)
    peer = peers.PEERS["optuna tpe"]._replace(method="no such sampler")
    with pytest.raises(RuntimeError, match=r"optuna_driver.py ended after 0 evaluations: (.|\n)*KeyError: 'no such sampler'"):
        list(peers.proposals(Path(sys.executable), peer, 0, 5, known, course))


def test_environments_of_peers_stay_outside_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--environments: expected a folder outside the repository"):
        run("benchmarks.comparisons.peers", monkeypatch, "--environments", ROOT / "envs", "--out", tmp_path / "rows.jsonl")


def test_the_course_of_a_search(frame: ModuleType, known: Any) -> None:
    module = importlib.import_module("benchmarks.comparisons.course")
    course = module.Course(known)
    cell = "|{}~0|+|{}~0|none~1|+|none~0|none~1|{}~2|"
    for operators in (("none", "none", "nor_conv_3x3"), ("none",) * 3, ("nor_conv_3x3",) * 3):
        course.take(cell.format(*operators))
    figures = course.figures()
    assert figures["found"] == {"10": 1, "3": None, "1": None}
    assert figures["improvements"] == [(1, 1.0), (3, 3.0)]
    assert figures["top3"][0] == pytest.approx(4 / 3)
    rows = [{**figures, "cpu": 1.0}, *[{**figures, "found": {"10": 5, "3": 4, "1": None}, "cpu": 3.0}] * 2]
    assert [module.best_after(rows[0], count) for count in (1, 2, 3, 50)] == [1.0, 1.0, 3.0, 3.0]
    assert module.until(rows, 3, 50) == "4 (4 to > 50); 2 of 3"
    assert module.line("name", rows, 50, [2, 3])[:2] == ["name", "3"] and "1.000, 3.000" in module.line("name", rows, 50, [2, 3])


def test_seconds_until_the_mean_accuracy_of_full_trainings() -> None:
    module = importlib.import_module("benchmarks.fidelity.tables")
    rows = [{"improvements": [[10.0, 90.0], [30.0, 94.0]]}, {"improvements": [[20.0, 92.0], [25.0, 91.0], [40.0, 93.0]]}]
    assert [module.at(rows[1], second) for second in (5.0, 20.0, 39.0, 40.0)] == [10.0, 92.0, 91.0, 93.0]
    # The means are 50 at 10, 91 at 20, 90.5 at 25, 92.5 at 30 and 93.5 at 40.
    assert [module.seconds_until(rows, accuracy) for accuracy in (50.0, 90.6, 91.5, 93.5, 93.6)] == [10, 20, 30, 40, float("inf")]


def test_what_a_search_has_found_is_the_candidate_that_came_furthest() -> None:
    module = importlib.import_module("benchmarks.fidelity.tables")
    clock = importlib.import_module("archsearch.cluster.schedulers.clock")
    told = [(1.0, 0, 4, 0.9, "PAUSE"), (2.0, 1, 12, 0.8, "CONTINUE"), (3.0, 2, 12, 0.7, "STOP"), (4.0, 1, 108, 0.5, "COMPLETE")]
    course = [clock.ClockEvent(*event, "", 0.0) for event in told]
    found = module.figures(course, SimpleNamespace(reported=lambda event: 90.0 + event.number), end=5.0)
    assert found["improvements"] == [(1.0, 90.0), (2.0, 91.0), (4.0, 91.0)]
    assert (found["started"], found["complete"], found["end"]) == (3, 1, 5.0)


@pytest.fixture
def few_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder of real data with a few random images in the form of CIFAR-10."""
    rng = np.random.default_rng(0)
    for name, count in (("cifar10_train.parquet", 24), ("cifar10_test.parquet", 6)):
        encoded = []
        for _ in range(count):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
            encoded.append(buffer.getvalue())
        pq.write_table(pa.table({"image": encoded, "label": [number % 2 for number in range(count)]}), tmp_path / name)
    monkeypatch.setenv("ARCHSEARCH_DATA", str(tmp_path))


FEW = ("--images", 12, "--validation", 6, "--side", 8, "--channels", 2, "--batch", 4, "--epochs", 3, "--again", 1)


@pytest.mark.usefixtures("few_images")
def test_seeds_of_trainings_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    run("benchmarks.fidelity.images", monkeypatch, *FEW, "--part", "length", "--cells", 3, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["cell"], row["seed"]) for row in rows] == [(cell, seed) for cell in range(3) for seed in (0, 1)]
    assert all(len(row["curve"]) == 3 for row in rows)
    assert re.search(r"\| 12, 6 \| 8 \| 2 \| 4 \| 3 \| [\d.]+ \| 3 \|", capsys.readouterr().out)


@pytest.mark.usefixtures("few_images")
def test_searches_by_real_trainings_get_the_same_cpu_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, only = tmp_path / "rows.jsonl", ("random", "funnel")
    sizes = ("--ghn-steps", 1, "--ghn-rank", 2, "--seconds", 0.5, "--seeds", 1)
    run("benchmarks.fidelity.images", monkeypatch, *FEW, *sizes, "--only", *only, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["method"] for row in rows] == list(only)
    for row in rows:
        assert 0 < row["clock_seconds"] <= 0.5
        assert row["started"] >= row["complete"] > 0 and row["fidelity"] == 3
        assert row["test"] == row["again"][0] and row["other_seconds"] > 0
    assert re.search(r"\| funnel \| 1 \| .* \| [+-]\d+\.\d+ \|", capsys.readouterr().out)


def test_the_clock_counts_what_a_searcher_does_between_steps() -> None:
    module = importlib.import_module("benchmarks.fidelity.images")
    table = evaluators.CurveTable.embedded("digits201")
    clock, spent = module.CpuClock(), []
    steps = module.TimedSteps(table.begin(table.space.sample(np.random.default_rng(0))), clock, spent)
    busy_until(time.process_time() + 0.02)
    first = steps.step()
    assert first.seconds >= 0.02 > spent[0]
    assert steps.step().seconds > first.seconds


def busy_until(second: float) -> None:
    """Work until the process has spent this many CPU seconds."""
    while time.process_time() < second:
        pass


def test_another_platform_proposes_and_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The conversation of tables.py, with a program that stops what scores below .3 in place of Syne Tune's driver."""
    module = importlib.import_module("benchmarks.fidelity.tables")
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import json, sys\n"
        "given = json.loads(sys.stdin.readline())\n"
        "for line in sys.stdin:\n"
        "    event = json.loads(line)\n"
        "    if 'suggest' in event:\n"
        "        number = event['suggest']\n"
        "        choices = enumerate(given['choices'].items())\n"
        "        genes = {name: each[(number + place) % len(each)] for place, (name, each) in choices}\n"
        "        print(json.dumps(genes), flush=True)\n"
        "    else:\n"
        "        print(json.dumps('STOP' if event['score'] < 0.3 and not event['last'] else 'CONTINUE'), flush=True)\n"
    )
    monkeypatch.setattr(module, "DRIVERS", tmp_path)
    monkeypatch.setattr(module, "python_of", lambda peer, environments: sys.executable)
    monkeypatch.setattr(module, "version", lambda python, package: "1.0")
    evaluator = evaluators.CurveTable.embedded("digits201")
    known = SimpleNamespace(space=evaluator.space, evaluator=evaluator, reported=lambda event: 100.0 * event.score)
    peer = module.PEERS["syne tune asha"]._replace(driver="driver.py")
    found = module.run_peer(peer, tmp_path, known, seed=0, seconds=5.0)
    assert found["started"] > found["complete"] > 0 and found["version"] == "1.0"
    broken = peer._replace(driver="nowhere.py")
    with pytest.raises(RuntimeError, match=r"nowhere.py: it ended at .*suggest"):
        module.run_peer(broken, tmp_path, known, seed=0, seconds=5.0)


@pytest.mark.slow
def test_gpu_compares_and_measures_each_model_without_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from benchmarks.gpu import main; code = main(sys.argv[1:]); assert 'ray' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--device", "cpu", "--tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all within their bounds" in done.stdout and "WRONG" not in done.stdout and "left out" not in done.stdout
    for part in (
        "GHN: generated weights",
        "GATES: 1 - ",
        "NGAE: encodings",
        "training step: loss",
        "training speed: recipe cifar",
    ):
        assert part in done.stdout


def test_photographs_are_written_once_and_differ_at_first(tmp_path: Path) -> None:
    module = importlib.import_module("benchmarks.data")
    made = module.photographs(tmp_path / "made", 12, 30, 40, classes=3)
    files = sorted((made / "images").rglob("*.jpg"))
    assert len(files) == 12 and len({file.read_bytes() for file in files}) == 12
    assert len(list((made / "images").iterdir())) == 3 and Image.open(files[0]).size == (40, 30)
    files[0].unlink()
    module.photographs(tmp_path / "made", 12, 30, 40, classes=3)
    assert not files[0].exists(), "it is not written again"


@pytest.mark.slow
def test_searches_of_anytime_networks_cost_the_same_epochs(
    frame: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "rows.jsonl", tmp_path / "curves.png"
    small = ["--nodes", 2, 1, "--scale", "channels=2", "exit_regions=2", "--epochs", 1, "--search-epochs", 3, "--finalists", 1]
    kinds = ["--kinds", "funnel", "random", "resnet", "--designs", "1 blocks a stage"]
    run("benchmarks.anytime.search", monkeypatch, *small, *kinds, "--cost", 9, "--seeds", 1, "--picture", picture, "--out", out)
    rows = frame.Rows(out).all()
    funnel, random = (row for row in rows if row["kind"] == "search")
    assert random["candidates"] == random["complete"] == 3, "each costs its three epochs"
    assert funnel["candidates"] > funnel["complete"] >= 1, "what is not promoted costs two"
    trained = [(row["kind"], row["seed"]) for row in rows if row["kind"] != "search"]
    assert trained == [("funnel", 0), ("random", 0), ("funnel", 1), ("random", 1), ("resnet", 1)]
    assert all(
        row["name"] == search["finalists"][0][0] for search in (funnel, random) for row in rows if row["kind"] == search["name"]
    )
    assert "| resnet, 1 blocks a stage | 1 |" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    before = out.read_bytes()
    run("benchmarks.anytime.search", monkeypatch, *small, *kinds, "--cost", 9, "--seeds", 1, "--out", out)
    assert out.read_bytes() == before, "nothing is measured twice"

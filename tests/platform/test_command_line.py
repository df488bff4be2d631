from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch.platform.command_line import main


def run(*arguments: str, folder: Path, patience: float = 200.0) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}  # MLflow sets it
    command = [sys.executable, "-m", "archsearch", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False, env=environment)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m archsearch spaces | head -1"
    found = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout, found.stderr) == (0, "Search spaces\n", "")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from archsearch.platform.command_line import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'ray', 'mlflow', 'numpy', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "archsearch compare" in done.stdout
    assert done.stdout.strip().endswith("set()")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "nasbench21"], "space: expected one of .*; got 'nasbench21'. Did you mean 'nasbench201'"),
        (["--searcher", "evolutoin"], "searcher: expected one of .*; got 'evolutoin'. Did you mean 'evolution'"),
        (["--dataset", "digit"], "dataset: expected one of .*; got 'digit'. Did you mean 'digits'"),
        (["--evaluator", "trian:digits"], "evaluator: expected train:DATASET.*Did you mean 'train'"),
        (["--table", "digits20"], "no table 'digits20' in the package"),
        (["--table", "nowhere.parquet#x"], "there is none at nowhere.parquet"),
        (["--table", "broken.parquet#x"], "broken.parquet is corrupt or not a Parquet file"),
        (["--table", "scores.parquet#missing"], "'missing'"),
        (["--table", "nonsense.parquet#score"], "column 'architecture' or 'arch'"),
        (["--table", "digits201", "--objectives", "accuracy,-mac"], "objectives: .* got 'mac'. Did you mean 'macs'"),
        (["--table", "digits201", "--constraint", "macs 3"], "constraints: expected NAME <= NUMBER"),
        (["--table", "digits201", "--constraint", "macs <= x"], "expected limits such as '<= 100e6'"),
        (["--table", "digits201", "--constraint", "params >= 1e12"], "constraints: none of 20,000 random architectures"),
        (["--candidates", "0"], "num_candidates: expected a whole number of at least 1; got 0"),
        (["--searcher", "evolution", "--set", "population=3"], "searcher_options: evolution has no option 'population'"),
        (["--train", "epoch=3"], "evaluator options: a training has no option 'epoch'. Did you mean 'epochs'"),
        (["--train", "epochs=0"], "epochs: expected a whole number from 1"),
        (["--train", "scale={chanels: 4}"], "no setting 'chanels'. Did you mean 'channels'"),
        (["missing.yaml"], "cannot read missing.yaml"),
        (["typo.yaml"], "unknown key 'serchers'. Did you mean 'searcher'"),
        (["--storage", "scores.parquet"], "storage: cannot create"),
        (["--name", "taken"], "taken exists already, and is no run"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"architecture": ["a"], "score": [0.5]}), "scores.parquet")
    pq.write_table(pa.table({"cell": ["a"], "score": [0.5]}), "nonsense.parquet")
    Path("broken.parquet").write_bytes(Path("scores.parquet").read_bytes()[:-30])
    Path("typo.yaml").write_text("serchers: random\n")
    Path("runs/taken").mkdir(parents=True)
    before = sorted(path.name for path in Path("runs").iterdir())
    assert main(["run", "--quiet", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("archsearch: ")
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert sorted(path.name for path in Path("runs").iterdir()) == before


def test_resume_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(tmp_path / "nothing")]) == 2
    assert "there is no run in" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("preset", ["paper", pytest.param("authors", marks=pytest.mark.long)])
def test_ngae_as_published_scaled_down(tmp_path: Path, preset: str) -> None:
    small = ["model={width: 16, type_width: 16, edge_width: 16, latent: 8}", "epochs=2", "starts=60", "steps=5"]
    options = [word for option in ("initial=8", "stage_size=6", *small) for word in ("--set", option)]
    words = ["run", "--table", "digits201", "--searcher", "ngae", "--candidates", "20", "--tracking", "off", "--seed", "1"]
    done = run(*words, "--preset", preset, *options, "--name", "mine", folder=tmp_path, patience=800.0)
    assert done.returncode == 0, done.stderr
    assert "20/20 candidates, best " in done.stderr
    assert "failed" not in done.stderr, "no stage fell back to random candidates"
    rows = pq.read_table(tmp_path / "runs/mine/report/evaluations.parquet")
    assert len(set(rows["key"].to_pylist())) == 20


@pytest.mark.slow
def test_a_search_from_a_file(tmp_path: Path, table: Path) -> None:
    (tmp_path / "search.yaml").write_text(
        f"evaluator: table:{table}#valid_accuracy\nnum_candidates: 30\nsearcher: random\nseed: 3\n"
    )
    done = run("run", "search.yaml", "--name", "mine", "--candidates", "25", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "25 candidates, 0 of them from the ledger" in done.stdout
    assert "25/25 candidates, best " in done.stderr
    assert (tmp_path / "runs/mine/report/report.html").stat().st_size > 10_000
    assert (tmp_path / "runs/mlflow.db").exists() and (tmp_path / "runs/mlartifacts").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "search.yaml"]
    assert done.stdout.splitlines()[-1] == "Compare:   archsearch ui"
    assert "Configuration for experiment" not in done.stdout + done.stderr


def test_spaces_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces"]) == 0
    text = capsys.readouterr().out
    for word in ("nasbench201: 15,625 architectures, 6,466 distinct", "evolution", "optuna", "digits", "imagefolder:PATH"):
        assert word in text


def test_doctor_says_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--storage", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "ok   torch" in text
    assert f"{tmp_path} is writable" in text


def test_ui_without_a_store_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["ui"]) == 2
    assert "run a search first" in capsys.readouterr().err
    Path("mlflow.db").touch()  # as an earlier version left it
    assert main(["ui"]) == 2
    assert "is shown by --tracking sqlite:///mlflow.db" in capsys.readouterr().err


def test_compare_declares_its_simulated_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_ray: None) -> None:
    """From the command line and from a file."""
    file = tmp_path / "search.yaml"
    file.write_text("evaluator: table:digits201\nsimulated_workers: 2\ntracking: 'off'\nnum_candidates: 12\n")
    given = ["compare", str(file), "--searchers", "random", "--seeds", "1", "--quiet", "--storage", str(tmp_path)]
    assert main(given) == 0
    assert (
        "2 simulated workers: each searcher was told the score of a proposal after 1 further proposal." in capsys.readouterr().out
    )
    assert main([*given, "--simulated-workers", "5"]) == 0
    assert "5 simulated workers: each searcher was told the score of a proposal after 4 further" in capsys.readouterr().out
    assert main([*given, "--workers", "2"]) == 2
    assert "workers: with a table, workers are simulated; got workers=2" in capsys.readouterr().err

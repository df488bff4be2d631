"""The examples run."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from archsearch import searchers
from archsearch.platform.configuration import from_mapping, read_yaml
from archsearch.searchers.conformance import Loop
from archsearch.spaces import SearchSpace
from archsearch.spaces.conformance import SpaceConformance

pytestmark = pytest.mark.usefixtures("shared_ray")

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(mlflow_store, tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_own_searcher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("own_searcher").main(str(tmp_path), candidates=40)
    assert "validation accuracy 0.9" in capsys.readouterr().out


@pytest.mark.long
def test_own_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for label, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(24):
            pixels = np.clip(np.array(colour) + rng.integers(-30, 30, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{number}.png")
    load("own_images").main(str(tmp_path / "images"), str(tmp_path), candidates=3, epochs=2)
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 3 and all("nor_conv" in line or "none" in line or "~" in line for line in lines)


@pytest.mark.slow
def test_csv_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("csv_regression")
    module.main(str(module.write_data(tmp_path / "data", 400)), "file", "sum", str(tmp_path), candidates=2, epochs=3)
    *_, found, tested = capsys.readouterr().out.strip().splitlines()
    assert found.startswith("validation error ") and tested.startswith("test error ") and ", R2 " in tested
    assert "TARGETS = ('sum',)" in (tmp_path / "csv-regression" / "model.py").read_text()
    assert len((EXAMPLES / "csv_regression.py").read_text().splitlines()) <= 60


@pytest.mark.slow
def test_own_evaluator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("own_evaluator").main(str(tmp_path), candidates=3, epochs=1)
    assert "accuracy 0." in capsys.readouterr().out


@pytest.mark.slow
def test_plain_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("plain_tune")
    module.main(str(tmp_path), samples=4, epochs=2)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert " accuracy 0." in last and str(module.spaces.get("nasbench201").parse(last.split()[0])) == last.split()[0]
    assert len((EXAMPLES / "plain_tune.py").read_text().splitlines()) <= 40


@pytest.mark.slow
def test_own_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("own_space")
    module.main(str(tmp_path), candidates=3, epochs=1)
    texts = [line.rpartition("  ")[2] for line in capsys.readouterr().out.splitlines() if " parameters  " in line]
    assert [str(module.Feedforward().parse(text)) for text in texts] == texts and len(set(texts)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "searcher", "measure"),
    [
        ("row_transformer", "evolution", "accuracy"),
        ("diabetes", "gates", "R2"),
        pytest.param("time_series", "optuna", "mean squared error", marks=pytest.mark.long),
        pytest.param("segmentation", "evolution", "intersection over union", marks=pytest.mark.long),
        pytest.param("around_mobilenet", "optuna", "accuracy", marks=pytest.mark.long),
    ],
)
def test_modules_that_functions_train(name: str, searcher: str, measure: str, capsys: pytest.CaptureFixture[str]) -> None:
    load(name).main(searcher=searcher, candidates=4, steps=3, report=False, tracking="off", workers=1)
    assert f" {measure} " in capsys.readouterr().out.strip().splitlines()[-1]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("searcher", ["gates", "evolution", "optuna"])
@pytest.mark.parametrize("name", ["row_transformer", "time_series", "diabetes", "segmentation", "around_mobilenet"])
def test_each_searcher_searches_the_modules(name: str, searcher: str, capsys: pytest.CaptureFixture[str]) -> None:
    load(name).main(searcher=searcher, candidates=12, steps=9, tracking="off")
    assert "stopped early" in capsys.readouterr().err


def test_examples_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert max(length for name, length in lengths.items() if "own_" not in name) <= 60, lengths


@pytest.mark.parametrize("name", ["evolution", "optuna", "random"])
def test_each_searcher_searches_the_own_space(name: str) -> None:
    space = load("own_space").Feedforward()
    searcher = searchers.get(name)(space, 0, num_candidates=40, batch_size=4)
    loop = Loop(searcher, lambda architecture: space.cost(architecture, (1, 8, 8)).params / 1e5).run()
    assert len({space.key(space.parse(text)) for text in loop.candidates}) == len(loop.candidates) == 40


class TestOwnSpace(SpaceConformance):
    @pytest.fixture(autouse=True)
    def on_the_import_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let pickle find the class; processes of Ray do without."""
        self.module = load("own_space")
        monkeypatch.setitem(sys.modules, "own_space", self.module)

    def make_space(self) -> SearchSpace:
        space: SearchSpace = self.module.Feedforward()
        return space

    def scale(self) -> Mapping[str, int]:
        return {"channels": 4}


def test_the_settings_file_is_valid() -> None:
    configuration = from_mapping(read_yaml(EXAMPLES / "search.yaml"))
    assert configuration.searcher_options["population_size"] == 30

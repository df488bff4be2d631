"""Files written by an earlier version load, and are used, with the code of today: see README.md."""

from __future__ import annotations

import importlib.util
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch

from archsearch import cluster, searchers, spaces
from archsearch.evaluators import GHN, NGAE, Predictor, Recipe, TabularEvaluator, from_text
from archsearch.evaluators.saved_state import read_state
from archsearch.platform import finished_run, register_model, resume_search, retrain
from archsearch.platform.tracking.model_registry_loader import _load_pyfunc
from archsearch.searchers.conformance import Loop
from archsearch.spaces import Architecture

FILES = Path(__file__).with_name("files")
EXPECTED: dict[str, Any] = json.loads((FILES / "expected.json").read_text())
SPACE = spaces.get("nasbench201")
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
SIZE = {"channels": 2, "cells_per_stage": 1}
IMAGES = np.random.default_rng(2).standard_normal((3, 1, 8, 8), dtype=np.float32)
LOGITS = np.array(EXPECTED["models"]["logits"], dtype=np.float32)


def rows(folder: Path, run: str) -> dict[str, list[Any]]:
    """Keys and times of what the ledger of a storage holds of a run."""
    ledger = cluster.Ledger(folder / "ledger", SPACE, (folder / run / "evaluator.txt").read_text())
    table = ledger.read().of(run).table
    return {name: table[name].to_pylist() for name in ("key", "recorded")}


def test_the_result_of_a_finished_run_loads() -> None:
    result = finished_run(FILES / "finished" / "finished")
    assert result.evaluations["architecture"].to_pylist() == EXPECTED["runs"]["finished"]["architectures"]
    assert result.evaluations["score"].to_pylist() == EXPECTED["runs"]["finished"]["scores"]
    assert str(result.best) == EXPECTED["runs"]["finished"]["best"]
    assert result.best.cost.params > 0


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("run", ["finished", "killed", "deterministic"])
def test_a_run_is_resumed_and_pays_nothing_twice(run: str, tmp_path: Path) -> None:
    storage = tmp_path / run
    shutil.copytree(FILES / run, storage)
    before = rows(storage, run)
    result = resume_search(storage / run, progress=False)
    after = rows(storage, run)
    assert len(before["key"]) == (40 if run == "finished" else 10)
    assert result.evaluations["key"].to_pylist() == list(dict.fromkeys(result.evaluations["key"].to_pylist()))
    assert len(after["key"]) == len(set(after["key"])) == result.evaluations.num_rows == 40
    assert set(before["recorded"]) <= set(after["recorded"]), "what was paid is there as it was"
    if run in EXPECTED["runs"]:
        assert result.evaluations["architecture"].to_pylist() == EXPECTED["runs"][run]["architectures"]
        assert result.evaluations["score"].to_pylist() == EXPECTED["runs"][run]["scores"]


def test_a_searcher_goes_on_from_its_state() -> None:
    searcher = searchers.get("evolution")(SPACE, 5, num_candidates=60, batch_size=6)
    searcher.restore(str(FILES / "searcher.json"))
    loop = Loop(searcher, _score)
    (batch,) = json.loads((FILES / "searcher.json").read_text())["batches"]
    loop.open = {EXPECTED["searcher"]["open"][0]: {"batch": batch["number"], "candidates": batch["candidates"]}}
    assert loop.run().candidates == EXPECTED["searcher"]["candidates"][30:]


def _score(architecture: Architecture) -> float:
    return zlib.crc32(str(architecture).encode()) / 2**32


def test_states_of_models_give_the_same_figures() -> None:
    states = EXPECTED["states"]
    architectures = [SPACE.parse(text) for text in states["architectures"]]
    # Models have since then read the representative of each architecture, not the spelling that they are given.
    same = [architecture == SPACE.representative(architecture) for architecture in architectures]
    assert sum(same) == 9
    predictor = Predictor(SPACE).load(read_state(FILES / "predictor.pt")).predict(architectures)
    np.testing.assert_allclose(predictor[same], np.array(states["predictor"])[same], rtol=1e-4, atol=1e-5)
    assert np.corrcoef(predictor, states["predictor"])[0, 1] > 0.99
    model = NGAE(SPACE).load(read_state(FILES / "ngae.pt"))
    np.testing.assert_allclose(model.predict(architectures)[same], np.array(states["ngae"])[same], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.encode(architectures)[same], np.array(states["latents"])[same], rtol=1e-4, atol=1e-5)


def test_a_hypernetwork_generates_the_same_weights() -> None:
    settings: dict[str, Any] = {"hidden": 4, "width": 8, "tile": 2, "batch_size": 16, "evaluation_batch": 150}
    ghn = GHN(SPACE, "digits", 1, device="cpu", scale=SIZE, **settings).load(read_state(FILES / "ghn.pt"))
    generated = {name: float(tensor.double().abs().sum()) for name, tensor in ghn.generate(SPACE.parse(CELL)).items()}
    assert generated == pytest.approx(EXPECTED["states"]["generated"], rel=1e-4)
    architectures = [SPACE.parse(text) for text in EXPECTED["states"]["architectures"][:4]]
    losses = [found.metrics["valid_loss"] for found in ghn.evaluate(architectures)]
    assert losses == pytest.approx(EXPECTED["states"]["ghn"], rel=1e-3)


def test_a_final_training_goes_on_from_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = shutil.copy(FILES / "checkpoint.pt", tmp_path)
    recipe = Recipe(epochs=3, batch_size=64, learning_rate=0.05, weight_average=0.9, drop_path=0.1)
    model = retrain(SPACE, SPACE.parse(CELL), "digits", recipe=recipe, scale=SIZE, checkpoint=checkpoint, device="cpu")
    assert capsys.readouterr().err.startswith("Resuming after epoch 1 of 3.")
    assert model.metrics["train_loss"] == pytest.approx(EXPECTED["models"]["metrics"]["train_loss"], rel=1e-3)
    assert model.metrics["test_accuracy"] == pytest.approx(EXPECTED["models"]["metrics"]["test_accuracy"], abs=0.02)
    with torch.inference_mode():
        np.testing.assert_allclose(model.network(torch.from_numpy(IMAGES)), LOGITS, rtol=1e-2, atol=1e-2)


def test_an_exported_folder_computes_the_same_and_is_registered(
    tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(FILES / "exported", folder)
    spec = importlib.util.spec_from_file_location("written_before", folder / "model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.inference_mode():
        np.testing.assert_allclose(module.load()(torch.from_numpy(IMAGES)), LOGITS, rtol=1e-4, atol=1e-5)
    monkeypatch.chdir(tmp_path)
    assert register_model(folder, "digits", f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}").version == 1


def test_a_registered_model_loads() -> None:
    loaded = mlflow.pyfunc.load_model(str(FILES / "registered"))
    np.testing.assert_allclose(loaded.predict(IMAGES), LOGITS, rtol=1e-4, atol=1e-5)
    logits = _load_pyfunc(str(FILES / "registered" / "data" / "network")).predict(IMAGES)
    assert isinstance(logits, np.ndarray)
    np.testing.assert_allclose(logits, LOGITS, rtol=1e-4, atol=1e-5)


def test_an_imported_table_is_read() -> None:
    table = TabularEvaluator.from_parquet(SPACE, FILES / "table.parquet")
    architectures = [SPACE.parse(text) for text in EXPECTED["table"]]
    assert [found.score for found in table.evaluate(architectures)] == pytest.approx(list(EXPECTED["table"].values()))
    assert from_text(f"table:{FILES / 'table.parquet'}", SPACE).space.size == 40

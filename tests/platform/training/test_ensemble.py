"""Ensembles of a search on digits: trained, selected, measured, exported as one network, shown in the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe, datasets
from archsearch.platform.export.folder import export_model
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.training.ensemble import Candidate, Ensemble, train_ensemble
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
SIZE = {"channels": 4, "cells_per_stage": 1}
GENES = ([3, 3, 1, 3, 0, 1], [1, 2, 3, 4, 0, 1], [3, 0, 1, 3, 3, 3])
CANDIDATES = [Candidate(SPACE.from_genotype(genes), rank, {"run": "r"}) for rank, genes in enumerate(GENES, start=1)]


def trained(folder: Path | None = None, size: int = 3, progress: bool = False) -> Ensemble:
    recipe = Recipe(epochs=2, batch_size=64)
    return train_ensemble(
        SPACE, CANDIDATES, size, "digits", recipe=recipe, scale=SIZE, device="cpu", checkpoints=folder, progress=progress
    )


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return trained(tmp_path_factory.mktemp("trainings"))


def probabilities(network: Network, part: str) -> torch.Tensor:
    splits = datasets.load("digits")
    mean, std = splits.train.statistics()
    images = datasets.resident(getattr(splits, part), mean, std).images[:]
    with torch.inference_mode():
        return network.eval()(images).softmax(1)


def test_the_figures_are_those_of_the_joined_network(ensemble: Ensemble) -> None:
    splits = datasets.load("digits")
    for part, name in (("validation", "valid_accuracy"), ("test", "test_accuracy")):
        joined = probabilities(ensemble.network, part)
        total = sum(member.count for member in ensemble.members)
        apart = sum(probabilities(member.model.network, part) * member.count / total for member in ensemble.members)
        torch.testing.assert_close(joined, apart)
        assert ensemble.metrics[name] == pytest.approx((joined.argmax(1) == getattr(splits, part).labels).double().mean().item())
    assert ensemble.metrics["params"] == sum(parameter.numel() for parameter in ensemble.network.parameters())


def test_it_is_at_least_as_good_as_the_best_single_network_on_the_images_of_the_selection(ensemble: Ensemble) -> None:
    accuracies = [member.model.metrics["valid_accuracy"] for member in ensemble.members]
    assert ensemble.metrics["valid_accuracy"] >= ensemble.single.metrics["valid_accuracy"] >= max(accuracies)
    assert ensemble.metrics["valid_accuracy"] > 0.3 and ensemble.candidates == 3
    assert str(ensemble).startswith("Ensemble of ranks ") and "Best single network, rank " in str(ensemble)


def test_what_is_trained_is_said_and_trained_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = trained(tmp_path, progress=True)
    said = capsys.readouterr().err
    assert "Training 3 architectures of the search from new weights, ranks 1 to 3, 2 epochs each on digits" in said
    assert "3/3 trained, rank 3: test accuracy " in said and "the others take about" in said
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = trained(tmp_path, size=1)
    assert len(before) == 3 and {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert again.selection.accuracies[0] == first.selection.accuracies[0]
    assert again.members[0].model.metrics["valid_loss"] == first.members[0].model.metrics["valid_loss"]


@pytest.mark.slow
def test_the_exported_folder_is_one_model(ensemble: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))  # tested below
    folder = ensemble.export(tmp_path / "model")
    content = json.loads((folder / "architecture.json").read_text())
    assert [each["rank"] for each in content["members"]] == [member.rank for member in ensemble.members]
    assert sum(each["weight"] for each in content["members"]) == pytest.approx(1.0)
    assert content["params"] == ensemble.metrics["params"] and content["training"]["metrics"]["test_accuracy"]
    card = (folder / "README.md").read_text()
    assert f"An ensemble of {len(ensemble.members)} network" in card and "| 1 | " in card
    program = torch.export.load(folder / "model.pt2").module()
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(program(images), ensemble.network(images), rtol=1e-4, atol=1e-5)
    assert (folder / "model.py").read_text().count("log_softmax") == 1
    assert (folder / "architecture-2.png").exists() == (len(ensemble.members) > 1)


@pytest.mark.slow
def test_onnx_computes_the_same(ensemble: Ensemble, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    folder = export_model(ensemble.network, ensemble.facts(), tmp_path)
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    images = torch.randn(5, 1, 8, 8)
    [found] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, ensemble.network(images).numpy(), rtol=1e-3, atol=1e-4)


def test_a_search_by_balanced_accuracy_gets_an_ensemble_by_it() -> None:
    origin = {"run": "r", "score_name": "valid_balanced_accuracy"}
    candidates = [Candidate(each.architecture, each.rank, origin) for each in CANDIDATES[:2]]
    recipe = Recipe(epochs=1, batch_size=64)
    found = train_ensemble(SPACE, candidates, 2, "digits", recipe=recipe, scale=SIZE, device="cpu", progress=False)
    assert found.selection.balanced and found.figures()["balanced"]
    assert found.metrics["valid_balanced_accuracy"] == pytest.approx(found.selection.accuracy)
    answers = probabilities(found.network, "test").argmax(1)
    labels = datasets.load("digits").test.labels
    shares = [float((answers[labels == digit] == digit).double().mean()) for digit in range(10)]
    assert found.metrics["test_balanced_accuracy"] == pytest.approx(np.mean(shares))
    assert "balanced test accuracy" in str(found)


def test_what_cannot_be_an_ensemble_is_refused() -> None:
    recipe = Recipe(epochs=1)
    with pytest.raises(ConfigurationError, match="candidates: expected at least one architecture"):
        train_ensemble(SPACE, [], 3, "digits", recipe=recipe)
    for size in (0, -1, 2.5, True, "five"):
        with pytest.raises(ConfigurationError, match="size: expected a whole number of at least 1"):
            train_ensemble(SPACE, CANDIDATES, size, "digits", recipe=recipe)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="with_validation: an ensemble is selected on the validation images"):
        train_ensemble(SPACE, CANDIDATES, 3, "digits", recipe=recipe, with_validation=True)
    with pytest.raises(ConfigurationError, match="epoch"):
        train_ensemble(SPACE, CANDIDATES, 3, "digits", recipe=recipe, epoch=3, progress=False)


def test_a_run_without_images_asks_for_a_dataset(run: RunFolder) -> None:
    from archsearch.platform.result import finished_run

    result = finished_run(run.path)
    with pytest.raises(ConfigurationError, match="dataset: the search took its scores from table:digits201"):
        result.ensemble(2)

"""Searches over images with several labels or with numbers: from the file to the report, the exported model and the ensemble."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archsearch import platform
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.platform.commands.submit import for_cluster
from archsearch.platform.configuration import SearchConfiguration

SMALL: dict[str, Any] = {"epochs": 1, "scale": {"channels": 2, "cells_per_stage": 1}, "report_test": True}


def search(evaluator: str, storage: Path, **changes: Any) -> platform.SearchResult:
    given: dict[str, Any] = {"num_candidates": 3, "tracking": "off", "progress": False, "workers": 1, "storage": str(storage)}
    return platform.run_search("nasbench201", "random", evaluator, **{**given, "evaluator_options": SMALL, **changes})


def exported(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("exported", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(csv: Path, number: int) -> torch.Tensor:
    files = [csv.parent / "images" / f"{place}.png" for place in range(number)]
    return torch.stack(
        [torch.from_numpy(np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1).copy()) for file in files]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_numbers_of_a_csv_file(pairs: Any, tmp_path: Path) -> None:
    csv = pairs.write_pairs(tmp_path / "data")
    name = f"csv:{csv}?image=file&label=total&size=8x16"
    options = {**SMALL, "task": "regression", "crop": 0, "epochs": 8, "batch_size": 16, "learning_rate": 0.05}
    options["scale"] = {"channels": 8, "cells_per_stage": 1}
    result = search(f"train:{name}", tmp_path / "runs", evaluator_options=options, objectives=["-mae", "-macs"])
    summary = result.summary
    assert (summary.score_name, summary.percent, summary.lower_is_better) == ("valid_mae", False, True)
    assert summary.loss == "validation MAE"
    scores, errors = (result.evaluations[name].to_pylist() for name in ("score", "valid_mae"))
    assert scores == [-error for error in errors]
    assert result.best.score == max(scores) and not repr(result.best).count("%")
    page = (result.folder / "report" / "report.html").read_text()
    assert "test R2" in page and "test MAE" in page and "validation MAE" in page
    ensemble = result.ensemble(2, candidates=2, progress=False)
    assert "%" not in str(ensemble) and "mean absolute error" in str(ensemble)
    best = min(member.model.metrics["valid_mae"] for member in ensemble.members)
    assert ensemble.metrics["valid_mae"] <= best + 1e-6, "it is chosen by that"
    ensemble.export(tmp_path / "ensemble")
    model = result.best.retrain(progress=False)
    model.export(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("# Image regressor with 1 number (total)") and "in the units of the training data" in card
    assert json.loads((tmp_path / "model" / "architecture.json").read_text())["task"] == "regression"
    images = pixels(csv, 300)
    for folder in ("model", "ensemble"):
        module = exported(tmp_path / folder)
        assert module.TARGETS == ("total",)
        with torch.inference_mode():
            numbers = module.load()(module.prepare(images))
        assert numbers.shape == (300, 1) and 4.0 < float(numbers.mean()) < 14.0, "sums of two digits, not normalised numbers"
        loaded = torch.export.load(tmp_path / folder / "model.pt2").module()
        torch.testing.assert_close(loaded(module.prepare(images)), numbers, rtol=1e-4, atol=1e-4)
    truth = torch.from_numpy(pairs.digit_pairs(300)[1].sum(1)).double()
    with torch.inference_mode():
        answers = exported(tmp_path / "model").load()(exported(tmp_path / "model").prepare(images))[:, 0].double()
    assert float((answers - truth).abs().mean()) < float((truth - truth.median()).abs().mean()), "better than the median"


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_sets_of_labels_of_a_parquet_file(pairs: Any, tmp_path: Path) -> None:
    path = pairs.write_parquet(tmp_path / "pairs.parquet")
    result = search(f"train:parquet:{path}?label=digits", tmp_path / "runs", searcher_options={})
    assert result.summary.score_name == "valid_mean_average_precision" and result.summary.percent
    assert any(fact.startswith("Task: multilabel, found from the labels of digits (lists)") for fact in result.summary.facts)
    assert result.summary.score_images is None, "no standard error of a fraction of images"
    ensemble = result.ensemble(2, candidates=2, progress=False)
    ensemble.export(tmp_path / "ensemble")
    module = exported(tmp_path / "ensemble")
    assert tuple("0123456789") == module.LABELS
    images, _ = pairs.digit_pairs(20)
    with torch.inference_mode():
        joined = module.load()(module.prepare(torch.from_numpy(images)[:, None])).sigmoid()
        apart = [member.model.network(module.prepare(torch.from_numpy(images)[:, None])).sigmoid() for member in ensemble.members]
    weights = [member.count for member in ensemble.members]
    torch.testing.assert_close(joined, sum(w * each for w, each in zip(weights, apart, strict=True)) / sum(weights))
    assert "before the sigmoid" in (tmp_path / "ensemble" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_hypernetwork_ranks_by_the_loss_of_the_task(pairs: Any, tmp_path: Path) -> None:
    csv = pairs.write_pairs(tmp_path / "data", 120)
    name = f"train:csv:{csv}?image=file&label=total&size=8x16&task=regression"
    options = {"steps": 2, "rank_candidates": 4, "initial": 1, "cache": str(tmp_path / "cache")}
    result = platform.run_search(
        "nasbench201",
        "ghn",
        name,
        num_candidates=3,
        tracking="off",
        report=False,
        progress=False,
        storage=str(tmp_path / "runs"),
        evaluator_options=SMALL,
        searcher_options=options,
    )
    assert len(result.evaluations) == 3 and all(error is None for error in result.evaluations["error"].to_pylist())


def test_mistakes_are_told_before_anything_runs(pairs: Any, tmp_path: Path) -> None:
    csv = pairs.write_pairs(tmp_path / "data", 30)
    name = f"train:csv:{csv}?image=file&label=total"
    with pytest.raises(ConfigurationError, match="objective: the task classification is scored by accuracy or .* got 'mae'"):
        search(name, tmp_path / "runs", objectives=["mae"])
    with pytest.raises(ConfigurationError, match="figure: expected one of .*; got 'accuracy'"):
        search(f"{name}&task=regression", tmp_path / "runs", objectives=["accuracy"])
    with pytest.raises(DatasetError, match="expected the column 'totl'"):
        search(name.replace("total", "totl"), tmp_path / "runs")
    with pytest.raises(ConfigurationError, match="task: expected one of classification, multilabel, regression; got 'regresion'"):
        search(name, tmp_path / "runs", evaluator_options={**SMALL, "task": "regresion"})
    with pytest.raises(ConfigurationError, match="proxies: epe_nas compares the images of each class"):
        search("proxy:epe_nas", tmp_path / "runs", evaluator_options={"dataset": f"{name[6:]}&task=regression"})
    assert not list((tmp_path / "runs").glob("nas*")), "no run is left"


def test_submitted_searches_name_the_file_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = SearchConfiguration(evaluator="train:csv:labels.csv?label=value&folder=photos", storage=str(tmp_path))
    assert for_cluster(settings, True).evaluator == f"train:csv:{tmp_path}/labels.csv?label=value&folder=photos"
    with pytest.raises(ConfigurationError, match="data on storage that all nodes share, as an absolute path"):
        for_cluster(settings, False)

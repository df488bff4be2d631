"""Image tasks: a named dataset against the same images in memory, what is loaded, pickled and shared; fingerprints of old."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import GHN, Evaluator, OneShot, Recipe, SGDSteps, TrainingEvaluator, datasets
from archsearch.evaluators.datasets import image_task
from archsearch.evaluators.datasets.image_task import ImageTask

SPACE = spaces.get("nasbench201")
TINY = {"channels": 2, "cells_per_stage": 1}
CPU = torch.device("cpu")
DIGITS = ("f1fa851e16ed3675", "3aa2c81a8b5e7a42", "cfccb902b965c196")
"""Identities of the digits' parts."""


def evaluators() -> dict[str, Evaluator]:
    splits = datasets.load("digits")
    return {
        "da96060b27bce45a": TrainingEvaluator(SPACE, "digits"),
        "c91acb8aad30ba60": TrainingEvaluator(SPACE, splits),
        "0a7fd940faf5f7f8": TrainingEvaluator(SPACE, "digits", seed=3, repeats=2, report_test=True, epochs=3, scale=TINY),
        "6b5f7fe0a628ff9f": TrainingEvaluator(SPACE, "digits", recipe=Recipe(epochs=2, cutout=3, accumulate=2), scale=TINY),
        "ea409e35c3a1b836": TrainingEvaluator(SPACE, "digits", latency=True, device="cpu", threads=2),
        "1449790104c837d4": TrainingEvaluator(SPACE, "digits", objective="anytime"),
        "d782502ed21cd864": GHN(SPACE, splits, scale=TINY),
        "44d428dca5a05f5a": OneShot(SPACE, "digits", scale=TINY),
        "64f61b7433facc38": SGDSteps(SPACE, "digits", scale=TINY),
    }


def test_ledgers_know_the_fingerprints_of_older_releases() -> None:
    made = evaluators()
    assert [evaluator.fingerprint() for evaluator in made.values()] == list(made)
    assert GHN(SPACE, "digits", scale=TINY).fingerprint() == "d782502ed21cd864"
    assert {evaluator.task for evaluator in made.values()} == {"digits"}


def test_a_name_and_the_same_images_in_memory_are_one_task() -> None:
    named, held = ImageTask("digits"), ImageTask(datasets.load("digits"))
    assert (named.name, named.recipe_name) == ("digits", "digits")
    assert (held.name, held.recipe_name) == ("digits", "own")
    for task in (named, held):
        assert (task.input_shape, task.num_classes) == ((1, 8, 8), 10)
        assert task.digest == "-".join(DIGITS[:2])
        assert task.full_digest == "-".join(DIGITS)
        train, validation = task.resident(CPU)
        assert torch.equal(train.images[:], named.part("train", CPU).images[:])
        assert torch.equal(validation.labels, task.splits.validation.labels)


def test_parts_are_normalised_by_the_training_images() -> None:
    task = ImageTask("digits")
    mean, std = task.splits.train.statistics()
    expected = (task.splits.test.images.float() / 255 - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(task.part("test", CPU).images[:], expected)


def test_a_named_dataset_is_loaded_once_and_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    image_task._named.cache_clear()
    monkeypatch.setattr(image_task, "load", lambda name, root, loading: calls.append(name) or datasets.load(name, root, loading))
    first, second = ImageTask("digits"), ImageTask("digits")
    assert calls == []
    assert first.part("train", CPU) is second.part("train", CPU)
    assert first.num_classes == 10
    assert calls == ["digits"]
    image_task._named.cache_clear()


def test_pickles_hold_a_name_or_the_pixels_but_nothing_normalised() -> None:
    named, held = ImageTask("digits"), ImageTask(datasets.load("digits"))
    for task, most in ((named, 1000), (held, 300_000)):
        digest = task.full_digest
        task.resident(CPU)
        content = pickle.dumps(task)
        assert len(content) < most
        assert pickle.loads(content).full_digest == digest


def test_a_relative_path_starts_from_the_folder_of_the_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ImageTask("imagefolder:mine").root == str(tmp_path)
    assert ImageTask("imagefolder:mine", "/elsewhere").root == "/elsewhere"
    assert ImageTask("digits").root is None


@pytest.mark.parametrize("dataset", [None, 3, print, ImageTask, ("digits",), datasets])
def test_anything_but_a_name_or_splits_is_refused(dataset: object) -> None:
    with pytest.raises(
        ConfigurationError, match="dataset: expected the name of a dataset, such as .digits., or datasets.Splits; got "
    ):
        TrainingEvaluator(SPACE, dataset)  # type: ignore[arg-type]


def test_an_unknown_name_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(DatasetError, match="Did you mean 'digits'"):
        ImageTask("digit")


def test_the_task_is_known_without_images(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\n1.png,0.5\n2.png,0.7\n")
    assert ImageTask("csv:labels.csv", str(tmp_path)).task == "regression", "there are no images"
    assert ImageTask("csv:labels.csv", str(tmp_path), "regression").dataset == "csv:labels.csv?task=regression"
    assert ImageTask("digits").task == "classification"
    with pytest.raises(DatasetError, match="task=multilabel needs lists of labels; got numbers"):
        ImageTask("csv:labels.csv", str(tmp_path), "multilabel").splits  # noqa: B018

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators import FunctionEvaluator, TabularEvaluator, TrainingEvaluator, datasets
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.spaces.cells import Cells


def test_relative_paths_start_from_the_folder_of_this_process() -> None:
    assert actor_images("digits", None, None) == {"dataset": "digits", "root": None, "scale": None}
    assert actor_images("parquet:mine", None, {"channels": 4}) == {
        "dataset": "parquet:mine", "root": str(Path.cwd()), "scale": {"channels": 4}
    }  # fmt: skip
    assert actor_images("parquet:mine", "/elsewhere", None)["root"] == "/elsewhere"
    with pytest.raises(ConfigurationError, match="dataset: expected the name of a dataset"):
        actor_images(datasets.load("digits"), None, None)


def test_images_are_those_of_the_evaluator_unless_they_are_given() -> None:
    evaluator = TrainingEvaluator(Cells(4), "digits", scale={"channels": 4}, root="/elsewhere")
    assert images_of(evaluator, {}) == {"dataset": "digits", "root": "/elsewhere", "scale": evaluator.scale}
    assert images_of(evaluator, {"dataset": "cifar10"}) == {}
    assert images_of(TabularEvaluator.embedded("digits201"), {}) == {}
    with pytest.raises(ConfigurationError, match="dataset: expected a dataset with a name"):
        images_of(TrainingEvaluator(Cells(4), datasets.load("digits")), {})


def constant(model: object, context: object) -> float:
    return 0.5


def test_images_are_those_that_a_function_is_given() -> None:
    named = FunctionEvaluator(Cells(4), constant, dataset="digits", root="/elsewhere", scale={"channels": 4})
    assert images_of(named, {}) == {"dataset": "digits", "root": "/elsewhere", "scale": named.scale}
    assert images_of(FunctionEvaluator(Cells(4), constant), {}) == {}
    with pytest.raises(ConfigurationError, match="dataset: expected a dataset with a name"):
        images_of(FunctionEvaluator(Cells(4), constant, dataset=datasets.load("digits")), {})

"""Evaluators by text."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch.errors import ArchSearchError, ConfigurationError, DatasetError, TableError
from archsearch.evaluators import TabularEvaluator, TrainingEvaluator, from_text
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"architecture": [str(CELL)], "score": [42.0]}), path)
    return path


def test_training_with_options() -> None:
    evaluator = from_text("train:digits", SPACE, seed=7, options={"epochs": 3, "report_test": True, "scale": {"channels": 4}})
    assert isinstance(evaluator, TrainingEvaluator)
    assert (evaluator.task, evaluator.seed, evaluator.recipe.epochs, evaluator.report_test) == ("digits", 7, 3, True)
    assert evaluator.scale["channels"] == 4


def test_option_may_name_the_seed() -> None:
    assert from_text("train:digits", SPACE, seed=7, options={"seed": 8}).seed == 8


def test_table_of_a_file(path: Path) -> None:
    evaluator = from_text(f"table:{path}#score", SPACE)
    assert isinstance(evaluator, TabularEvaluator)
    assert evaluator.evaluate([CELL])[0].score == 0.42
    assert from_text(f"table:{path}#score", SPACE, options={"percent": False}).evaluate([CELL])[0].score == 42.0


def test_a_table_that_lacks_structures_confines_the_space_to_what_it_holds(path: Path) -> None:
    evaluator = from_text(f"table:{path}#score", SPACE)
    copy = pickle.loads(pickle.dumps(evaluator.space))
    for space in (evaluator.space, copy):
        assert space.size == 1
        assert space.sample(np.random.default_rng(0)) == CELL
    assert len(pickle.dumps(evaluator.space)) < 1000
    assert from_text("table:digits201", SPACE).space is SPACE


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("digits", ConfigurationError, "evaluator: expected train:DATASET, .* or python:MODULE:FUNCTION; got 'digits'"),
        ("python:archsearch.errors", ConfigurationError, "evaluator: expected python:MODULE:FUNCTION, such as"),
        ("python:archsearch.no_such:train", ConfigurationError, "evaluator: there is no module 'archsearch.no_such'"),
        ("python:archsearch.errors:trian", ConfigurationError, "evaluator: the module archsearch.errors has no 'trian'"),
        ("python:archsearch.errors:RunError", ConfigurationError, "function: expected .* got the class RunError"),
        ("train:", ConfigurationError, "evaluator: expected train:DATASET"),
        ("", ConfigurationError, "evaluator: expected train:DATASET"),
        ("trian:digits", ConfigurationError, r"got 'trian:digits'. Did you mean 'train'\?"),
        ("train:digit", DatasetError, "got 'digit'.* Did you mean 'digits'"),
        (
            "table:no-such",
            ConfigurationError,
            "evaluator: no table 'no-such' in the package.* For a file write table:PATH#COLUMN",
        ),
        ("table:scores.parquet", ConfigurationError, "which column scores.* Write table:scores.parquet#COLUMN"),
        ("table:none.parquet#score", TableError, "table: expected a Parquet file; there is none at none.parquet"),
    ],
)
def test_texts_of_another_form_are_refused(text: str, error: type[ArchSearchError], message: str) -> None:
    with pytest.raises(error, match=message):
        from_text(text, SPACE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, r"a training has no option 'epoch'. Did you mean 'epochs'\?"),
        ({"scale": {"chanels": 3}}, r"scale: nasbench201 has no setting 'chanels'. Did you mean 'channels'\?"),
        ({"dataset": "cifar10"}, "evaluator options: .*dataset"),
        ({"space": "enas"}, "evaluator options: .*space"),
    ],
)
def test_unknown_options_of_trainings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_text("train:digits", SPACE, options=options)


def test_unknown_options_of_tables_are_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="evaluator options: a table has no option 'epochs'. Options: curves, percent."):
        from_text(f"table:{path}#score", SPACE, options={"seed": 1, "epochs": 2})


def test_missing_column_is_refused(path: Path) -> None:
    with pytest.raises(TableError, match=r"score: column of scores: expected one of score; got 'scor'. Did you mean 'score'\?"):
        from_text(f"table:{path}#scor", SPACE)


def test_training_free_scores_are_named_in_order() -> None:
    evaluator = from_text("proxy:nwot, params", SPACE, options={"batch_size": 8})
    assert evaluator.score_name == "nwot"
    assert evaluator.metric_names == ("params",)
    assert evaluator.task == "digits"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("proxy:naswot", {}, "proxy: .*'naswot'.*nwot"),
        ("proxy:nwot,nwot", {}, "proxies: expected different names"),
        ("proxy:nwot", {"batchsize": 8}, r"training-free scores has no option 'batchsize'. Did you mean 'batch_size'\?"),
        ("proxy:nwot", {"batch_size": 1}, "batch_size: expected a whole number of at least 2; got 1"),
    ],
)
def test_wrong_training_free_scores_are_refused(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_text(text, SPACE, options=options)

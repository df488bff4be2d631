"""Look-ups in benchmark tables."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators import TabularEvaluator, embedded_tables
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
A = SPACE.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
SAME_AS_A = SPACE.parse("|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")
B = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
C = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def table(scores: list[float | None] | None = None, **columns: list[float | None]) -> pa.Table:
    """Return a table of A and B."""
    scores = [0.5, 0.75] if scores is None else scores
    return pa.table({"architecture": [str(A), str(B)], "valid_accuracy": scores, **columns})


def test_texts_are_looked_up() -> None:
    evaluator = TabularEvaluator(SPACE, table(params=[10, 20]), "valid_accuracy")
    first, second = evaluator.evaluate([B, A])
    assert (first.architecture, first.key, first.score) == (B, SPACE.key(B), 0.75)
    assert second.metrics == {"valid_accuracy": 0.5, "params": 10.0}
    assert (len(evaluator), evaluator.architectures) == (2, [str(A), str(B)])
    assert evaluator.column("params").tolist() == [10.0, 20.0]


def test_equal_structures_share_a_row_but_a_text_of_its_own_comes_first() -> None:
    [found] = TabularEvaluator(SPACE, table(), "valid_accuracy").evaluate([SAME_AS_A])
    assert (found.architecture, found.score) == (SAME_AS_A, 0.5)
    both = pa.table({"arch": [str(A), str(SAME_AS_A)], "score": [0.5, 0.6]})
    assert [row.score for row in TabularEvaluator(SPACE, both, "score").evaluate([A, SAME_AS_A])] == [0.5, 0.6]


def test_missing_architecture_is_a_failed_evaluation() -> None:
    missing, found = TabularEvaluator(SPACE, table(), "valid_accuracy", name="small").evaluate([C, A])
    assert (missing.error, missing.ok, missing.architecture) == ("not in the table small", False, C)
    assert found.ok


@pytest.mark.parametrize("hole", [None, math.nan])
def test_row_without_a_score_is_a_failed_evaluation(hole: float | None) -> None:
    evaluator = TabularEvaluator(SPACE, table([0.5, hole], params=[1.0, None]), "valid_accuracy", name="small")
    found, missing = evaluator.evaluate([A, B])
    assert found.metrics == {"valid_accuracy": 0.5, "params": 1.0}
    assert missing.error == "the table small has no valid_accuracy for it"


@pytest.mark.parametrize(
    ("scores", "percent", "expected"),
    [
        ([50.0, 75.0], None, [0.5, 0.75]),
        ([0.5, 0.75], None, [0.5, 0.75]),
        ([0.5, 0.75], True, [0.005, 0.0075]),
        ([50.0, 75.0], False, [50.0, 75.0]),
        ([50.0, 750.0], None, [50.0, 750.0]),
        ([0.5, 1.0], None, [0.5, 1.0]),
        ([50.0, 100.01], None, [0.5, 1.0001]),
    ],
)
def test_percent_is_recognised_and_can_be_overruled(scores: list[float], percent: bool | None, expected: list[float]) -> None:
    evaluator = TabularEvaluator(SPACE, table(list(scores)), "valid_accuracy", percent=percent)
    assert [row.score for row in evaluator.evaluate([A, B])] == pytest.approx(expected)
    assert evaluator.score_is_fraction == (max(expected) <= 1.005)


@pytest.mark.parametrize("scores", [[50.0, -1.0], [0.5, -1.0]])
def test_a_mark_of_a_failed_training_is_no_score(scores: list[float | None]) -> None:
    evaluator = TabularEvaluator(SPACE, table(scores), "valid_accuracy", name="small")
    found, failed = evaluator.evaluate([A, B])
    assert found.score == 0.5
    assert failed.error == "the table small has no valid_accuracy for it"
    assert evaluator.score_is_fraction


def test_recorded_seconds_are_charged() -> None:
    evaluator = TabularEvaluator(SPACE, table(seconds=[12.5, 80.0]), "valid_accuracy")
    assert [row.seconds for row in evaluator.evaluate([A, B, SAME_AS_A, C])] == [12.5, 80.0, 12.5, 0.0]
    assert [row.seconds for row in TabularEvaluator(SPACE, table(seconds=[None, 1.0]), "valid_accuracy").evaluate([A])] == [0.0]
    assert "seconds" not in evaluator.evaluate([A])[0].metrics
    assert TabularEvaluator(SPACE, table(), "valid_accuracy").evaluate([A])[0].seconds == 0.0


def test_metrics_are_named() -> None:
    evaluator = TabularEvaluator(SPACE, table(params=[1, 2], test_accuracy=[0.1, 0.2], seconds=[1.0, 2.0]), "valid_accuracy")
    assert evaluator.metric_names == ("params", "test_accuracy")
    assert set(evaluator.evaluate([A])[0].metrics) == {*evaluator.metric_names, "valid_accuracy"}


def test_a_large_batch_gives_what_single_candidates_give() -> None:
    texts = [str(SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)])) for place in range(0, 15_625, 7)]
    rng = np.random.default_rng(0)
    columns = {name: np.where(rng.random(len(texts)) < 0.1, np.nan, rng.random(len(texts))) for name in ("score", "loss")}
    evaluator = TabularEvaluator(SPACE, pa.table({"arch": texts, **columns}), "score")
    candidates = [SPACE.sample(rng) for _ in range(500)]
    for evaluation, candidate in zip(evaluator.evaluate(candidates), candidates, strict=True):
        [alone] = evaluator.evaluate([candidate])
        assert (alone.key, alone.metrics, alone.error) == (evaluation.key, evaluation.metrics, evaluation.error)
        if str(candidate) in texts:
            row = texts.index(str(candidate))
            assert alone.metrics == ({} if alone.error else {k: v[row] for k, v in columns.items() if not np.isnan(v[row])})


def test_whole_numbers_serve_as_scores() -> None:
    evaluator = TabularEvaluator(SPACE, table(latency=[300, 100]), "latency")
    assert [row.score for row in evaluator.evaluate([A, B])] == [300.0, 100.0]
    assert not evaluator.score_is_fraction


# Costs


def test_costs_of_the_table_come_before_those_that_are_counted() -> None:
    rows = table(params=[10, 20], pixel3_latency_ms=[1.5, math.nan], valid_loss=[0.1, 0.2], seconds=[5.0, 5.0])
    evaluator = TabularEvaluator(SPACE, rows, "valid_accuracy")
    counted = {"params": SPACE.cost(C).params, "macs": SPACE.cost(C).macs}
    assert evaluator.cost_names == ("params", "macs", "pixel3_latency_ms")
    assert evaluator.costs(SAME_AS_A) == {"params": 10.0, "macs": SPACE.cost(A).macs, "pixel3_latency_ms": 1.5}
    assert evaluator.costs(B) == {"params": 20.0, "macs": SPACE.cost(B).macs}
    assert evaluator.costs(C) == counted


def test_what_is_scored_by_is_no_cost() -> None:
    evaluator = TabularEvaluator(SPACE, table(latency=[1.0, 2.0], macs=[3, 4], params=[5, 6]), "latency")
    assert evaluator.cost_names == ("params", "macs")
    assert evaluator.costs(A) == {"macs": 3.0, "params": 5.0}


# Files


def test_file_gives_what_its_table_gives(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "scores.parquet")
    evaluator = TabularEvaluator.from_parquet(SPACE, tmp_path / "scores.parquet", score="valid_accuracy")
    assert [row.score for row in evaluator.evaluate([A, B])] == [0.5, 0.75]
    assert (evaluator.task, evaluator.score_name, evaluator.is_lookup) == ("scores", "valid_accuracy", True)
    assert evaluator.fingerprint() == TabularEvaluator(SPACE, table(), "valid_accuracy").fingerprint()


def test_a_plain_file_needs_a_score(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "scores.parquet")
    with pytest.raises(TableError, match="score: which column of .*scores.parquet scores. Name it, or import the table"):
        TabularEvaluator.from_parquet(SPACE, tmp_path / "scores.parquet")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="table: expected a Parquet file; there is none at .*none.parquet"):
        TabularEvaluator.from_parquet(SPACE, tmp_path / "none.parquet", score="valid_accuracy")
    with pytest.raises(TableError, match="table: expected a Parquet file; there is none at"):
        TabularEvaluator.from_parquet(SPACE, tmp_path, score="valid_accuracy")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(table(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TableError, match=r"table: .*scores.parquet is corrupt or not a Parquet file \(.*\); fetch or make it"):
        TabularEvaluator.from_parquet(SPACE, path, score="valid_accuracy")


def test_missing_columns_are_refused() -> None:
    with pytest.raises(TableError, match=r"score: column of small: .*got 'valid_acc'. Did you mean 'valid_accuracy'\?"):
        TabularEvaluator(SPACE, table(), "valid_acc", name="small")
    with pytest.raises(TableError, match="expected a column 'architecture' or 'arch' with .* it has cell, score"):
        TabularEvaluator(SPACE, pa.table({"cell": [str(A)], "score": [0.5]}), "score")
    with pytest.raises(TableError, match=r"column of table: expected one of valid_accuracy; got 'params'"):
        TabularEvaluator(SPACE, table(), "valid_accuracy").column("params")


@pytest.mark.parametrize("score", ["architecture", "seconds", "key"])
def test_columns_that_are_no_scores_are_refused(score: str) -> None:
    with pytest.raises(TableError, match=f"score: column of table: expected one of valid_accuracy; got '{score}'"):
        TabularEvaluator(SPACE, table(seconds=[1.0, 2.0], key=[1, 2]), score)


@pytest.mark.parametrize("scores", [[math.nan, math.nan], [math.inf, math.nan], []])
def test_column_without_a_number_is_refused(scores: list[float]) -> None:
    rows = pa.table({"architecture": [str(A), str(B)][: len(scores)], "score": pa.array(scores, pa.float64())})
    with pytest.raises(TableError, match="score: the column 'score' of table holds no number; choose another column"):
        TabularEvaluator(SPACE, rows, "score")


def test_table_of_another_space_is_refused_when_it_is_searched_by_structure() -> None:
    evaluator = TabularEvaluator(SPACE, pa.table({"arch": ["a cell of another kind"], "score": [0.5]}), "score", name="odd")
    with pytest.raises(TableError, match="table odd, row 0: text: expected a NAS-Bench-201 cell"):
        evaluator.evaluate([A])


def test_fingerprint_follows_the_scores() -> None:
    base = TabularEvaluator(SPACE, table(params=[1, 2]), "valid_accuracy")
    others = [
        TabularEvaluator(SPACE, table([0.5, 0.76]), "valid_accuracy"),
        TabularEvaluator(SPACE, table(params=[1, 2]), "params"),
        TabularEvaluator(SPACE, table(), "valid_accuracy", percent=True),
    ]
    assert len({base.fingerprint(), *(other.fingerprint() for other in others)}) == 4
    assert TabularEvaluator(SPACE, table(), "valid_accuracy", name="renamed").fingerprint() == base.fingerprint()


def test_fingerprint_stays_as_it_is_so_that_old_ledgers_count() -> None:
    content = f"{A}\n{B}".encode() + np.array([0.5, 0.75]).tobytes()
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    settings = {"evaluator": "TabularEvaluator", "score": "valid_accuracy", "space": "nasbench201", "table": digest}
    expected = hashlib.blake2b(json.dumps(settings).encode(), digest_size=8).hexdigest()
    assert TabularEvaluator(SPACE, table(), "valid_accuracy").fingerprint() == expected


# Tables of the package and of the benchmarks


def test_unknown_table_is_refused() -> None:
    with pytest.raises(TableError, match="table: .*got 'no-such-table'.* Or give the path of a Parquet file"):
        TabularEvaluator.embedded("no-such-table")


@pytest.mark.parametrize("name", embedded_tables())
def test_tables_of_the_package_are_whole(name: str) -> None:
    evaluator = TabularEvaluator.embedded(name)
    texts = evaluator.architectures
    assert len(texts) == len(set(texts)) == len(evaluator) > 0
    architectures = [evaluator.space.parse(text) for text in texts[:: max(1, len(texts) // 100)]]
    evaluations = evaluator.evaluate(architectures)
    assert all(evaluation.ok and 0.0 <= evaluation.score <= 1.0 for evaluation in evaluations)
    assert 0.0 < evaluator.chance < float(np.nanmax(evaluator.column(evaluator.score_name)))
    assert evaluator.space.cost(architectures[0], **evaluator.cost_arguments).params == evaluations[0].metrics["params"]

    class Another(NASBench201):
        name = "another"

    with pytest.raises(ConfigurationError, match=f"space: the table {name} is of {evaluator.space.name}; got another"):
        TabularEvaluator.embedded(name, space=Another())


def test_best_cell_of_the_benchmark(data: Path) -> None:
    path = data / "nasbench201.parquet"
    evaluator = TabularEvaluator.from_parquet(SPACE, path, score="cifar100_valid")
    assert len(evaluator) == SPACE.size
    rows = pq.read_table(path, columns=["arch", "cifar100_valid", "flops_cifar100"]).to_pylist()
    best = max(rows, key=lambda row: row["cifar100_valid"])
    [evaluation] = evaluator.evaluate([SPACE.parse(best["arch"])])
    assert evaluation.score == pytest.approx(0.7349, abs=5e-5)  # the published best validation accuracy on CIFAR-100
    assert evaluation.metrics["flops_cifar100"] == best["flops_cifar100"]
    assert float(np.nanmax(evaluator.column("cifar100_valid"))) == evaluation.score

"""What a search learns from others, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError, RunError, TableError
from archsearch.evaluators import Evaluation, FunctionEvaluator, TabularEvaluator
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.learned import (
    Learned,
    evaluations_among,
    given_evaluations,
    learn,
    read_learned,
    stored_learned,
    texts_of,
    write_learned,
)
from archsearch.platform.result import Found
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import Observation
from archsearch.searchers.goals import goals_for

SPACE = spaces.get("nasbench201")
CELLS = [str(SPACE.from_genotype([3, 1, place % 5, 2 + place // 5, 3, 4])) for place in range(15)]
TABLE = TabularEvaluator.embedded("digits201")


def a_run(storage: Path, evaluator: str = "table:digits201", space: str = "nasbench201", **columns: Any) -> Path:
    folder = RunFolder.create(SearchConfiguration(space=space, evaluator=evaluator, storage=str(storage)), "earlier")
    folder.report.mkdir()
    rows = {
        "architecture": CELLS[:4],
        "score": [0.5, 0.6, 0.7, float("nan")],
        "error": [None, None, None, "no memory"],
        "seconds": [1.0] * 4,
        "latency_ms": [3.0, 4.0, None, None],
    }
    pq.write_table(pa.table({**rows, **columns}), folder.report / "evaluations.parquet")
    return folder.path


def scores(learned: Learned) -> list[tuple[str, float]]:
    return [(str(each.architecture), round(each.score, 9)) for each in learned.evaluations]


def test_a_run_is_read(tmp_path: Path) -> None:
    [learned] = read_learned([str(a_run(tmp_path))], SPACE, TABLE)
    assert scores(learned) == [(CELLS[0], 0.5), (CELLS[1], 0.6), (CELLS[2], 0.7)]
    assert [dict(each.metrics) for each in learned.evaluations] == [{"latency_ms": 3.0}, {"latency_ms": 4.0}, {}]
    assert learned.left_out == 1


def test_candidates_of_a_run_that_were_stopped_early_are_left_out(tmp_path: Path) -> None:
    [learned] = read_learned([str(a_run(tmp_path, fidelity=pa.array([3, None, None, None], pa.int64())))], SPACE, TABLE)
    assert scores(learned) == [(CELLS[1], 0.6), (CELLS[2], 0.7)]
    assert learned.left_out == 1, "the one that failed"


@pytest.mark.parametrize("name", ["digits201", "table:digits201", "table:digits201#valid_accuracy"])
def test_a_table_is_read(name: str) -> None:
    [learned] = read_learned([name], SPACE, TABLE)
    assert len(learned.evaluations) == 6466
    assert learned.evaluations[7].score == TABLE.evaluate([learned.evaluations[7].architecture])[0].score


@pytest.mark.parametrize(
    ("name", "content", "mark"),
    [
        ("mine.csv", "arch,valid_accuracy\n{0},50\n{1},60\n{2},-1\n", ""),
        ("mine.csv", "arch;seed;acc\n{0};1;49,5\n{0};2;50,5\n{1};1;60,0\n{2};1;-\n", ""),
        ("mine.csv", "arch,loss,acc\n{0},1,50 %\n{1},2,60 %\n{2},3,NA\n", ""),
        ("mine.csv", "arch,loss,score\n{0},9,0.5\n{1},8,0.6\n{2},7,\n", ""),
        ("mine.tsv", "\tarchitecture\tmy\n0\t{0}\t0.5\n1\t{1}\t0.6\n2\t{2}\tnan\n", "#my"),
    ],
)
def test_a_file_is_read_as_people_write_it(name: str, content: str, mark: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content.format(*CELLS))
    [learned] = read_learned([f"{tmp_path / name}{mark}"], SPACE, TABLE)
    assert scores(learned) == [(CELLS[0], 0.5), (CELLS[1], 0.6)]
    assert learned.left_out == 1


def test_losses_of_a_file_become_their_negatives(tmp_path: Path) -> None:
    evaluator = FunctionEvaluator(SPACE, lambda model, context: 1.0, mode="min")
    (tmp_path / "mine.csv").write_text(f"arch,loss\n{CELLS[0]},2.5\n{CELLS[1]},0.5\n")
    [learned] = read_learned([str(tmp_path / "mine.csv")], SPACE, evaluator)
    assert scores(learned) == [(CELLS[0], -2.5), (CELLS[1], -0.5)]


def test_sources_of_another_space_or_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="learn_from: expected a run in the space nasbench201; .*earlier is one in cells"
    ):
        read_learned([str(a_run(tmp_path / "a", space="cells"))], SPACE, TABLE)
    with pytest.raises(ConfigurationError, match="learn_from: expected scores from 0 to 1, .* reach from 50 to 70"):
        read_learned([str(a_run(tmp_path / "b", "my evaluator", score=[50.0, 60.0, 70.0, 0.0]))], SPACE, TABLE)
    costs = TabularEvaluator.embedded("digits201", "params")
    with pytest.raises(ConfigurationError, match="learn_from: expected scores such as valid_accuracy of .*, on another scale"):
        read_learned(["table:digits201#params"], SPACE, TABLE)
    with pytest.raises(ConfigurationError, match="learn_from: expected scores such as params of .*, on another scale"):
        read_learned([str(a_run(tmp_path / "c"))], SPACE, costs)
    (tmp_path / "mine.csv").write_text(f"arch,acc\n{CELLS[0]},50\nno cell,60\n")
    with pytest.raises(TableError, match="1 of 2 architectures do not belong to nasbench201; the first is row 3"):
        read_learned([str(tmp_path / "mine.csv")], SPACE, TABLE)
    (tmp_path / "mine.csv").write_text(f"name,acc\n{CELLS[0]},50\n")
    with pytest.raises(
        TableError, match="expected a column of architectures in mine.csv, called architecture, arch, .*; it has name, acc"
    ):
        read_learned([str(tmp_path / "mine.csv")], SPACE, TABLE)
    with pytest.raises(
        ConfigurationError, match="learn_from: expected the folder of a run, the name of a table, or .*; got 'runs/no'"
    ):
        read_learned(["runs/no"], SPACE, TABLE)


def test_what_the_searcher_used_is_counted(tmp_path: Path) -> None:
    first = read_learned([str(a_run(tmp_path))], SPACE, TABLE)
    again = [replace(first[0], source="again")]
    searcher = searchers.RegularizedEvolution(SPACE, 0)
    counted = learn(searcher, TABLE, [*first, *again])
    assert [each.used for each in counted] == [3, 0]
    assert counted[0].sentence == (
        f"Learned from 3 of the 4 outcomes of {tmp_path}/earlier, 1 of them failed; they are no candidates."
    )
    assert [each.used for each in learn(searchers.RandomSearch(SPACE, 0), TABLE, first)] == [0]


def test_costs_that_are_objectives_are_computed(tmp_path: Path) -> None:
    goals = goals_for(TABLE, ["accuracy", "-macs"], {})
    searcher = searchers.OptunaTPE(SPACE, 0, goals=goals)
    [counted] = learn(searcher, TABLE, read_learned([str(a_run(tmp_path))], SPACE, TABLE))
    assert counted.used == 3
    trials: Any = searcher._algorithm
    assert sorted(trial.values[1] for trial in trials._ot_study.trials) == sorted(
        TABLE.costs(SPACE.parse(text))["macs"] for text in CELLS[:3]
    )


def test_a_resumed_run_learns_the_same(tmp_path: Path) -> None:
    assert stored_learned(tmp_path, SPACE) == []
    learned = read_learned([str(a_run(tmp_path / "runs"))], SPACE, TABLE)
    write_learned(learned, tmp_path)
    assert stored_learned(tmp_path, SPACE) == learned
    (tmp_path / "learned.json").write_text('[{"source": "x"}]')
    with pytest.raises(RunError, match="run: .*learned.json is corrupt"):
        stored_learned(tmp_path, SPACE)


def test_python_objects_become_texts(tmp_path: Path) -> None:
    cell = SPACE.parse(CELLS[0])
    assert texts_of("start", [cell, tmp_path, "text"]) == [CELLS[0], str(tmp_path), "text"]
    assert texts_of("learn_from", tmp_path) == [str(tmp_path)]
    with pytest.raises(
        ConfigurationError, match="start: expected texts, paths, architectures or results of searches; got one of type int"
    ):
        texts_of("start", [3])
    with pytest.raises(ConfigurationError, match="got one of type Evaluation"):
        texts_of("start", Evaluation(cell, "key", 0.5))
    for wrong in (cell, 0.9, {"a": 1}, None):
        with pytest.raises(
            ConfigurationError, match="learn_from: expected paths, tables, evaluations or results of searches; got"
        ):
            texts_of("learn_from", [wrong])


def test_evaluations_are_learned_from(tmp_path: Path) -> None:
    cells = [SPACE.parse(text) for text in CELLS]
    rows = [Evaluation(cell, "any", score) for cell, score in zip(cells, (0.5, 0.6), strict=False)]
    failed = Evaluation(cells[2], "any", float("nan"), {}, 1.0, "lost")
    found = Found(cells[3], 0.7, {"params": 3.0}, SPACE, {})
    given = [str(a_run(tmp_path)), *rows, Observation(0, 0, failed, False), found]
    assert texts_of("learn_from", given) == given[:1] and evaluations_among(rows[0]) == rows[:1] and evaluations_among(None) == []
    learned = given_evaluations(evaluations_among(given), SPACE, TABLE)
    assert scores(learned) == [(CELLS[0], 0.5), (CELLS[1], 0.6), (CELLS[3], 0.7)] and learned.left_out == 1
    assert [each.key for each in learned.evaluations] == [SPACE.key(cells[number]) for number in (0, 1, 3)]
    [counted] = learn(searchers.RegularizedEvolution(SPACE, 0), TABLE, [learned])
    assert counted.sentence.startswith("Learned from 3 of the 4 outcomes of the evaluations given in Python, 1 of them failed")
    with pytest.raises(ConfigurationError, match="learn_from: expected scores from 0 to 1, .* reach from 93.1 to 93.1"):
        given_evaluations([Evaluation(cells[0], "key", 93.1)], SPACE, TABLE)
    with pytest.raises(ConfigurationError, match="learn_from: evaluation 1 is not one of enas"):
        given_evaluations(rows, spaces.get("enas"), TABLE)


@pytest.mark.parametrize("searcher", ["random", "ghn"])
def test_searchers_that_learn_from_no_outcomes_say_so(searcher: str, tmp_path: Path) -> None:
    [counted] = learn(searchers.get(searcher)(SPACE, 0), TABLE, read_learned([str(a_run(tmp_path))], SPACE, TABLE))
    known = f"the 3 architectures of {tmp_path}/earlier"
    assert counted.sentence == f"The searcher learns from no outcomes: it only leaves out {known}."

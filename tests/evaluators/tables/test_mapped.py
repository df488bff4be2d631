"""Tables in memory-mapped files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators import TabularEvaluator
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.table_file import write_layout
from archsearch.spaces import Architecture
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.nasbench201 import NASBench201

SPACE = spaces.get("nasbench201")


class Renaming(NASBench201):
    """The same cells with other keys."""

    def key(self, architecture: Architecture) -> str:
        return super().key(architecture)[::-1]


def test_texts_come_before_keys(stored: Path, cells: list[Architecture]) -> None:
    found = TabularEvaluator.from_parquet(SPACE, stored).evaluate(cells)
    assert [each.score for each in found[:5]] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert found[0].key == found[1].key
    assert [each.key for each in found] == [SPACE.key(cell) for cell in cells]
    assert found[5].error == "not in the table small"
    assert found[0].metrics == {"valid_accuracy": 0.5, "test_accuracy": pytest.approx(0.51), "macs": 1.0}
    assert found[1].metrics == {"valid_accuracy": 0.6, "macs": 2.0}
    assert [each.seconds for each in found] == [1.5, 2.5, 3.5, 4.5, 5.5, 0.0]


def test_a_structure_of_another_text_is_found_by_its_key(
    make_draft: Callable[..., TableDraft], cells: list[Architecture], tmp_path: Path
) -> None:
    draft = make_draft([0.5, 0.6], [str(cells[3]), str(cells[1])])
    write_layout(check(draft, SPACE), draft, tmp_path / "two.parquet")
    [found, missing] = TabularEvaluator.from_parquet(SPACE, tmp_path / "two.parquet").evaluate([cells[0], cells[2]])
    assert (found.architecture, found.key, found.score) == (cells[0], SPACE.key(cells[0]), 0.6)
    assert (missing.key, missing.error) == (SPACE.key(cells[2]), "not in the table two")


def test_a_mapped_table_gives_what_the_same_rows_give_in_memory(stored: Path, cells: list[Architecture]) -> None:
    mapped = TabularEvaluator.from_parquet(SPACE, stored)
    columns = ["architecture", "valid_accuracy", "test_accuracy", "macs", "seconds"]
    in_memory = TabularEvaluator(SPACE, pq.read_table(stored, columns=columns), "valid_accuracy", name="small")
    assert mapped.evaluate(cells[:5]) == in_memory.evaluate(cells[:5])
    assert (mapped.architectures, len(mapped), mapped.task) == (in_memory.architectures, 5, in_memory.task)
    assert mapped.metric_names == in_memory.metric_names == ("test_accuracy", "macs")
    assert mapped.cost_names == in_memory.cost_names == ("params", "macs")
    assert mapped.column("macs").tolist() == in_memory.column("macs").tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [mapped.costs(cell) for cell in cells] == [
        {"params": SPACE.cost(cell, channels=8).params, "macs": place + 1.0} for place, cell in enumerate(cells[:5])
    ] + [{"params": SPACE.cost(cells[5], channels=8).params, "macs": SPACE.cost(cells[5], channels=8).macs}]


def test_what_the_table_says_of_itself_is_used(stored: Path) -> None:
    evaluator = TabularEvaluator.from_parquet(SPACE, stored)
    assert (evaluator.score_name, evaluator.chance, evaluator.cost_arguments) == ("valid_accuracy", 0.1, {"channels": 8})
    assert TabularEvaluator.from_parquet(SPACE, stored, "test_accuracy").score_name == "test_accuracy"
    with pytest.raises(
        TableError, match="score: column of small: expected one of macs, test_accuracy, valid_accuracy; got 'acc'"
    ):
        TabularEvaluator.from_parquet(SPACE, stored, "acc")


def test_fractions_are_not_taken_for_percent_again(stored: Path, cells: list[Architecture]) -> None:
    evaluators = [TabularEvaluator.from_parquet(SPACE, stored, "macs", percent=percent) for percent in (None, False, True)]
    assert [each.evaluate(cells[1:2])[0].score for each in evaluators] == [2.0, 2.0, 0.02]
    assert len({each.fingerprint() for each in evaluators}) == 2


def test_fingerprint_follows_architectures_and_scores(
    stored: Path, make_draft: Callable[..., TableDraft], cells: list[Architecture], tmp_path: Path
) -> None:
    def fingerprint(name: str, draft: TableDraft) -> str:
        write_layout(check(draft, SPACE), draft, tmp_path / f"{name}.parquet")
        return TabularEvaluator.from_parquet(SPACE, tmp_path / f"{name}.parquet").fingerprint()

    base = fingerprint("a", make_draft([0.5, 0.6]))
    assert fingerprint("b", make_draft([0.5, 0.6], params=[1, 2])) == base
    others = [
        fingerprint("c", make_draft([0.5, 0.61])),
        fingerprint("d", make_draft([0.5, 0.6], [str(cells[0]), str(cells[2])])),
        fingerprint("e", make_draft([0.1, 0.2], loss=[0.5, 0.6], score="loss")),
    ]
    assert len({base, *others}) == 4


# Spaces


def test_a_table_of_another_space_is_refused(stored: Path) -> None:
    with pytest.raises(ConfigurationError, match="space: the table small is of nasbench201; got enas. Use space='nasbench201'"):
        TabularEvaluator.from_parquet(spaces.get("enas"), stored)


def test_keys_of_another_version_of_the_space_are_refused(stored: Path) -> None:
    with pytest.raises(
        TableError,
        match=r"small.parquet was imported by a version .* nasbench201 gave another key .* import the table again",
    ):
        TabularEvaluator.from_parquet(Renaming(), stored)


# Other processes


def test_the_path_travels_and_not_the_content(make_draft: Callable[..., TableDraft], tmp_path: Path) -> None:
    texts = [str(SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)])) for place in range(3000)]
    draft = make_draft([place / 3000 for place in range(3000)], texts)
    write_layout(check(draft, SPACE), draft, tmp_path / "large.parquet")
    evaluator = TabularEvaluator.from_parquet(SPACE, tmp_path / "large.parquet")
    cell = SPACE.parse(texts[1500])
    [expected] = evaluator.evaluate([cell])
    assert len(pickle.dumps(evaluator)) < 2_000
    in_memory = TabularEvaluator(SPACE, pa.table({"arch": texts, "score": range(3000)}), "score")
    assert len(pickle.dumps(in_memory)) > 100_000
    assert pickle.loads(pickle.dumps(evaluator)).evaluate([cell]) == [expected]
    assert in_fresh_process(evaluator, f"subject.evaluate([subject.space.parse({texts[1500]!r})])[0].score") == 0.5


def test_a_relative_path_is_found_from_another_folder(
    stored: Path, cells: list[Architecture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stored.parent)
    travelling = pickle.dumps(TabularEvaluator.from_parquet(SPACE, stored.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(travelling).evaluate(cells[:1])[0].score == 0.5


def test_a_worker_that_does_not_see_the_file_says_what_to_do(stored: Path, cells: list[Architecture]) -> None:
    travelled = pickle.loads(pickle.dumps(TabularEvaluator.from_parquet(SPACE, stored)))
    stored.rename(stored.with_name("away.parquet"))
    with pytest.raises(
        TableError, match=r"table: \S+ does not see \S+small.parquet. Put the table on storage that all nodes see"
    ):
        travelled.evaluate(cells[:1])


def test_a_worker_refuses_another_table_at_the_same_place(
    stored: Path, make_draft: Callable[..., TableDraft], cells: list[Architecture]
) -> None:
    evaluator = TabularEvaluator.from_parquet(SPACE, stored)
    travelling = pickle.dumps(evaluator)
    draft = make_draft([0.1, 0.2])
    write_layout(check(draft, SPACE), draft, stored)
    with pytest.raises(TableError, match=r"small.parquet has changed since the search began; start the search again"):
        pickle.loads(travelling).evaluate(cells[:1])
    # A process that has the file open keeps its content.
    assert evaluator.evaluate(cells[:1])[0].metrics["macs"] == 1.0


def test_the_same_table_imported_again_is_the_same(stored: Path, cells: list[Architecture]) -> None:
    travelling = pickle.dumps(TabularEvaluator.from_parquet(SPACE, stored))
    content = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(content)
    os.utime(stored, (0, 0))
    assert pickle.loads(travelling).evaluate(cells[:1])[0].score == 0.5

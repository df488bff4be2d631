"""Tables by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators import TabularEvaluator, embedded_tables, from_text, installed_tables
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.installed import TableSummary, embedded_path, install, installed_path, summary
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")
MakeDraft = Callable[..., TableDraft]


def test_a_table_is_found_by_its_name_once_it_is_installed(make_draft: MakeDraft, cells: list[Architecture], cache: Path) -> None:
    assert installed_tables() == []
    path, card = install(make_draft([0.5, 0.6], test_accuracy=[0.7, 0.8], macs=[1, 2]), "mine-v1.2")
    assert path == cache / "tables" / "mine-v1.2.parquet" == installed_path("mine-v1.2")
    assert (card.name, path.with_suffix(".md").is_file()) == ("mine-v1.2", True)
    assert installed_tables() == ["mine-v1.2"]
    for evaluator in (
        TabularEvaluator.installed("mine-v1.2"),
        TabularEvaluator.installed("mine-v1.2", "valid_accuracy", SPACE),
        from_text("table:mine-v1.2", SPACE),
        from_text("table:mine-v1.2#valid_accuracy", SPACE),
        from_text(f"table:{path}", SPACE),
    ):
        assert (evaluator.task, evaluator.space.name) == ("mine-v1.2", "nasbench201")
        assert evaluator.evaluate(cells[1:2])[0].score == 0.6
    assert from_text("table:mine-v1.2#macs", SPACE).evaluate(cells[1:2])[0].score == 2.0
    assert from_text("table:mine-v1.2#macs", SPACE, options={"percent": True}).evaluate(cells[1:2])[0].score == 0.02


def test_a_table_is_replaced(make_draft: MakeDraft, cells: list[Architecture]) -> None:
    install(make_draft([0.5, 0.6]), "mine")
    install(make_draft([0.1, 0.2, 0.3]), "mine")
    assert TabularEvaluator.installed("mine").evaluate(cells[2:3])[0].score == 0.3


def test_a_table_that_is_refused_leaves_nothing(make_draft: MakeDraft, cache: Path) -> None:
    with pytest.raises(TableError, match="1 of 2 architectures do not belong"):
        install(make_draft([0.5, 0.6], ["no cell", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"]), "mine")
    with pytest.raises(ConfigurationError, match="space: expected one of .*; got 'nasbench20'"):
        install(replace(make_draft([0.5]), space="nasbench20"), "mine")
    assert not cache.exists()


def test_summaries_say_what_a_list_shows(make_draft: MakeDraft) -> None:
    draft = make_draft([0.5, 0.6], test_accuracy=[0.7, 0.8], top1=[0.1, 0.2], valid_loss=[1.0, 2.0], macs=[1, 2], score="top1")
    path, _ = install(draft, "mine")
    assert summary(path) == TableSummary("mine", "nasbench201", 2, "top1", ("valid_accuracy", "top1"))
    assert summary(embedded_path("digits201")) == TableSummary(
        "digits201", "nasbench201", 6466, "valid_accuracy", ("valid_accuracy",)
    )


# Bad input


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "x#y", ".hidden", "-dash"])
def test_invalid_names_are_refused(name: str, make_draft: MakeDraft) -> None:
    with pytest.raises(ConfigurationError, match="name: expected letters, digits, dots, hyphens and underscores.* with --name"):
        install(make_draft([0.5]), name)


def test_names_of_the_package_are_refused(make_draft: MakeDraft) -> None:
    with pytest.raises(ConfigurationError, match="name: 'digits201' is a table of the package; choose another with --name"):
        install(make_draft([0.5]), "digits201")


def test_unknown_names_are_refused_with_those_that_are_known(make_draft: MakeDraft) -> None:
    embedded = ", ".join(embedded_tables())
    expected = rf"no table 'mien' in the package \({embedded}\) or among those installed \(none\).* archsearch import"
    with pytest.raises(ConfigurationError, match=expected):
        from_text("table:mien", SPACE)
    with pytest.raises(TableError, match="table: none is installed; got 'mien'. Install one with: archsearch import"):
        TabularEvaluator.installed("mien")
    install(make_draft([0.5]), "mine")
    with pytest.raises(
        ConfigurationError, match=r"installed \(mine\). Did you mean 'mine'\? Install one with: archsearch import"
    ):
        from_text("table:mien#valid_accuracy", SPACE)
    with pytest.raises(TableError, match=r"table: expected one of mine; got 'mien'. Did you mean 'mine'\?"):
        TabularEvaluator.installed("mien")


def test_a_table_of_another_space_is_refused(make_draft: MakeDraft) -> None:
    install(make_draft([0.5]), "mine")
    with pytest.raises(ConfigurationError, match="space: the table mine is of nasbench201; got enas"):
        from_text("table:mine", spaces.get("enas"))

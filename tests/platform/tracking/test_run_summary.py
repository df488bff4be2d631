from __future__ import annotations

import json
import math
from typing import Any

import pytest

from archsearch import searchers, spaces
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.tracking.run_summary import final_metrics, note, searcher_settings, split_table

NAN = float("nan")


def test_unknown_figures_are_left_out(make_summary: Any) -> None:
    assert final_metrics(make_summary([NAN], ["lost"], costs={})) == {"num_candidates": 1, "num_failed": 1, "num_reused": 0}
    figures = final_metrics(make_summary([3.5], percent=False, columns={"macs": [1e6]}, costs={"total": math.inf}))
    assert figures == {"num_candidates": 1, "num_failed": 0, "num_reused": 0, "best_score": 3.5, "best_macs": 1e6}


def test_the_anytime_area_has_its_end_beside_it(make_summary: Any) -> None:
    figures = final_metrics(make_summary([0.5], columns={"macs": [4e5]}))
    assert figures["anytime/auc_macs"] == 1e6
    assert figures["anytime/auc"] == pytest.approx(0.4 * 0.1 + 0.6 * 0.5)


def test_the_note_is_a_markdown_table(make_summary: Any) -> None:
    text = note(make_summary([0.5, 0.75], columns={"architecture": ["a|b", "c"]}))
    assert "**75.00 %** among 2 candidates" in text
    assert "| 2 | 50.00 | - | - | a\\|b |" in text.splitlines()
    assert "none of 1 candidates has a score" in note(make_summary([NAN], ["lost"]))


def test_the_table_is_readable_by_pandas_and_mlflow(make_summary: Any) -> None:
    rows = ranked_rows(make_summary([0.5, 0.75]).evaluations, 2)
    table = json.loads(split_table(rows))
    assert table["columns"][:2] == ["rank", "score"]
    assert [row[:2] for row in table["data"]] == [[1, 0.75], [2, 0.5]]
    assert json.loads(split_table([])) == {"columns": [], "data": []}


def test_settings_of_a_searcher_have_those_at_their_defaults() -> None:
    space = spaces.get("nasbench201")
    evolution = searchers.get("evolution")(space, 0, population_size=30, num_candidates=5)
    assert searcher_settings(evolution, {"population_size": 30}) == {"population_size": 30, "tournament_size": 10}
    gates = searcher_settings(searchers.get("gates")(space, 0, num_candidates=5), {"members": 3})
    assert {"members": 3, "stage_size": 5, "explore": 0.1, "preset": "default"}.items() <= gates.items()
    assert not {"epochs", "pool", "space", "seed", "num_candidates"} & set(gates)
    assert searcher_settings(searchers.get("random")(space, 0), {}) == {}


def test_a_search_that_broke_off_at_once_has_no_front(make_summary: Any) -> None:
    for scores, errors in (([], []), ([NAN], ["lost"])):
        summary = make_summary(scores, errors, settings={"objectives": ["accuracy", "-macs"]})
        assert not {"hypervolume", "pareto_size"} & set(final_metrics(summary))

"""Advice fits how a search was started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch import spaces
from archsearch.platform.advice import advice
from archsearch.platform.configuration import from_mapping
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

BASE: dict[str, Any] = {"space": "nasbench201", "searcher": "random", "evaluator": "train:digits"}
FOLDER = Path("my runs/a")


class Mine(NASBench201):
    name = "mine"


@pytest.mark.parametrize(
    ("changes", "space", "resume", "use"),
    [
        ({}, None, "archsearch resume 'my runs/a'", "archsearch export 'my runs/a' --retrain"),
        (
            {"evaluator": "table:digits201"},
            None,
            "archsearch resume 'my runs/a'",
            "archsearch export 'my runs/a' --retrain DATASET",
        ),
        (
            {"space": "mine"},
            Mine(),
            f"archsearch resume 'my runs/a' --space python:{__name__}:Mine",
            f"archsearch export 'my runs/a' --space python:{__name__}:Mine --retrain",
        ),
        (
            {"evaluator": "Mine"},
            None,
            "platform.run_search(..., name='a', storage='my runs', resume=True)  # with the same space, searcher and evaluator",
            "result.best.retrain('DATASET').export('winner')",
        ),
        (
            {"searcher": "Mine"},
            None,
            "platform.run_search(..., name='a', storage='my runs', resume=True)  # with the same space, searcher and evaluator",
            "platform.finished_run('my runs/a').best.retrain('digits').export('winner')",
        ),
        ({"scheduler": "asha"}, None, "archsearch resume 'my runs/a'", "archsearch export 'my runs/a' --retrain"),
        ({"scheduler": "mine:Class"}, None, "archsearch resume 'my runs/a'", "archsearch export 'my runs/a' --retrain"),
        (
            {"scheduler": "ASHAScheduler"},
            None,
            "platform.resume_search('my runs/a', scheduler=ASHAScheduler(...))",
            "platform.finished_run('my runs/a').best.retrain('digits').export('winner')",
        ),
    ],
)
def test_what_to_do_next(changes: dict[str, str], space: SearchSpace | None, resume: str, use: str) -> None:
    found = advice(FOLDER, from_mapping(BASE | changes), space or spaces.get("nasbench201"))
    assert (found.resume, found.use) == (resume, use)
    assert found.is_command == resume.startswith("archsearch")


def test_a_space_of_a_notebook_goes_on_in_python() -> None:
    class Local(NASBench201):
        name = "local"

    found = advice(FOLDER, from_mapping(BASE | {"space": "local"}), Local())
    assert found.resume == "platform.resume_search('my runs/a', space=Local())"
    assert found.use == "platform.finished_run('my runs/a', space=Local()).best.retrain('digits').export('winner')"

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from archsearch import spaces
from archsearch.platform.configuration import from_mapping
from archsearch.platform.report.report import write_tables
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.summary import SearchSummary

Make = Callable[..., SearchSummary]


@pytest.fixture
def make_summary() -> Make:
    """A made-up search: scores, errors and columns as given, architectures drawn from the space."""

    def make(
        scores: list[float],
        errors: list[str | None] | None = None,
        *,
        columns: dict[str, Any] | None = None,
        costs: dict[str, float] | None = None,
        percent: bool = True,
        **changes: Any,
    ) -> SearchSummary:
        space, rng, size = spaces.get("nasbench201"), np.random.default_rng(0), len(scores)
        unique: dict[str, str] = {}
        while len(unique) < size:
            architecture = space.sample(rng)
            unique.setdefault(space.key(architecture), str(architecture))
        table = {
            "candidate": pa.array(range(size), pa.int64()),
            "architecture": pa.array(list(unique.values()), pa.string()),
            "key": pa.array(list(unique), pa.string()),
            "score": pa.array(scores, pa.float64()),
            "seconds": pa.array([10.0] * size, pa.float64()),
            "error": pa.array(errors or [None] * size, pa.string()),
            "reused": pa.array([False] * size, pa.bool_()),
            **(columns or {}),
        }
        fields: dict[str, Any] = {
            "name": "evolution-nasbench201-digits-s0",
            "space": "nasbench201",
            "task": "digits",
            "searcher": "evolution",
            "evaluator": "train:digits",
            "seed": 0,
            "num_candidates": size,
            "score_name": "valid_accuracy" if percent else "score",
            "percent": percent,
            "evaluations": pa.table(table),
            "settings": {"seed": 0, "evaluator_options": {"epochs": 3}},
            "costs": costs if costs is not None else {"evaluating": 10.0 * size, "total": 12.0 * size},
            "version": "0.1.0",
            "command": "archsearch resume runs/evolution-nasbench201-digits-s0",
            "chance": 0.1,
        }
        return SearchSummary(**{**fields, **changes})

    return make


@pytest.fixture
def run(make_summary: Make, tmp_path: Path) -> RunFolder:
    """The folder `r` of a finished random search: three candidates with the scores 0.7, 0.9 and 0.8."""
    scores = [0.7, 0.9, 0.8]
    settings = {"evaluator": "table:digits201", "searcher": "random", "storage": str(tmp_path), "num_candidates": len(scores)}
    folder = RunFolder.create(from_mapping(settings), "r")
    write_tables(make_summary(scores), folder.report)
    return folder

"""Partial scores as rows, one for each candidate and rung."""

from __future__ import annotations

import numpy as np

from archsearch.evaluators import Evaluation
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.rung_rows import rung_rows
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def at(key: str, fidelity: int | None, score: float) -> Evaluation:
    return Evaluation(SPACE.sample(np.random.default_rng(0)), key, score, fidelity=fidelity)


def test_each_candidate_has_a_row_for_each_rung_it_came_to() -> None:
    newest = [at("a", None, 0.9), at("b", 4, 0.4), at("c", 12, 0.6)]
    partial = {"a": {4: at("a", 4, 0.5), 12: at("a", 12, 0.7)}, "c": {4: at("c", 4, 0.45)}}
    rows = rung_rows(newest, partial, Goals().values)
    found = sorted(zip(rows.candidates.tolist(), rows.rungs.tolist(), rows.values[:, 0].tolist(), strict=True))
    assert found == [(0, 0, 0.5), (0, 1, 0.7), (0, 2, 0.9), (1, 0, 0.4), (2, 0, 0.45), (2, 1, 0.6)]


def test_of_many_numbers_of_steps_a_few_are_rungs() -> None:
    stopped_at = [3, 40, 100, 7, None]
    newest = [at(str(key), steps, 0.5) for key, steps in enumerate(stopped_at)]
    partial = {
        str(key): {step: at(str(key), step, 0.01 * step) for step in range(1, steps or 101)}
        for key, steps in enumerate(stopped_at)
    }
    rows = rung_rows(newest, partial, Goals().values, most=4)
    assert sorted(set(rows.rungs.tolist())) == [0, 1, 2, 3, 4]
    steps = {rung: {round(100 * value) for value in rows.values[rows.rungs == rung, 0] if value != 0.5} for rung in range(4)}
    assert steps == {0: {1}, 1: {5}, 2: {22}, 3: {100}}
    assert np.bincount(rows.rungs).tolist() == [5, 4, 3, 2, 1]

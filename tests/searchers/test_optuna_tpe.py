"""Optuna's estimator learns, also of several objectives, and goes on from outcomes of before a restart."""

from __future__ import annotations

from archsearch.searchers import Goals, Objective, OptunaTPE
from archsearch.searchers.conformance import Loop, SearcherConformance, check_search
from archsearch.searchers.optuna_tpe import OptunaStudy, tpe
from archsearch.searchers.tune_algorithm import tune_domains
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def test_optuna_learns() -> None:
    suite = SearcherConformance()
    searcher = OptunaTPE(SPACE, num_candidates=120, batch_size=2)
    Loop(searcher, lambda architecture: suite.objective(SPACE, architecture)).run()
    scores = [row.evaluation.score for row in searcher.history]
    assert sum(scores[-40:]) / 40 > sum(scores[:10]) / 10 + 0.15


def test_genes_that_do_not_fit_together_are_passed_over() -> None:
    space = NASBench101()
    searcher = OptunaTPE(space, 0, num_candidates=12)
    loop = Loop(searcher, lambda architecture: len(str(architecture)) / 100).run()
    check_search(searcher, loop.candidates, 12)


def test_it_is_set_up_for_the_objectives() -> None:
    one = tpe(tune_domains(SPACE), 0)
    assert (one.metric, one.mode) == ("score", "max")
    two = tpe(tune_domains(SPACE), 0, (Objective("score"), Objective("macs", maximize=False)))
    assert (two.metric, two.mode) == (["score", "macs"], ["max", "min"])


def test_outcomes_of_several_objectives_are_taken_without_having_been_asked_for() -> None:
    goals = Goals((Objective("score"), Objective("length", False)))
    first = Loop(OptunaTPE(SPACE, 0, num_candidates=6, batch_size=1, goals=goals), lambda architecture: 0.5)
    first.metrics = {"length": lambda architecture: float(len(str(architecture)))}
    first.run()
    again = OptunaTPE(SPACE, 0, num_candidates=12, batch_size=1, goals=goals)
    again.replay(list(first.searcher.history))
    assert isinstance(again._algorithm, OptunaStudy)
    trials = again._algorithm._ot_study.trials
    lengths = [float(len(text)) for text in first.candidates]
    assert [trial.values for trial in trials] == [[0.5, length] for length in lengths]

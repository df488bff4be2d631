"""Optuna's samplers learn, also of several objectives, and go on from outcomes of before a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation
from archsearch.searchers import Constraint, Goals, Objective, Observation, OptunaSearcher
from archsearch.searchers.conformance import Loop, SearcherConformance, check_search
from archsearch.searchers.optuna_searcher import OptunaStudy, tpe
from archsearch.searchers.tune_algorithm import tune_domains
from archsearch.spaces import Architecture, ModuleSpace, SearchSpace
from archsearch.spaces.module import Choose
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def test_optuna_learns() -> None:
    suite = SearcherConformance()
    searcher = OptunaSearcher(SPACE, num_candidates=120, batch_size=2)
    Loop(searcher, lambda architecture: suite.objective(SPACE, architecture)).run()
    scores = [row.evaluation.score for row in searcher.history]
    assert sum(scores[-40:]) / 40 > sum(scores[:10]) / 10 + 0.15


def test_genes_that_do_not_fit_together_are_passed_over() -> None:
    space = NASBench101()
    searcher = OptunaSearcher(space, 0, num_candidates=12)
    loop = Loop(searcher, lambda architecture: len(str(architecture)) / 100).run()
    check_search(searcher, loop.candidates, 12)


def test_it_is_set_up_for_the_objectives() -> None:
    one = tpe(tune_domains(SPACE), 0)
    assert (one.metric, one.mode) == ("score", "max")
    two = tpe(tune_domains(SPACE), 0, (Objective("score"), Objective("macs", maximize=False)))
    assert (two.metric, two.mode) == (["score", "macs"], ["max", "min"])


def test_outcomes_of_several_objectives_are_taken_without_having_been_asked_for() -> None:
    goals = Goals((Objective("score"), Objective("length", False)))
    first = Loop(OptunaSearcher(SPACE, 0, num_candidates=6, batch_size=1, goals=goals), lambda architecture: 0.5)
    first.metrics = {"length": lambda architecture: float(len(str(architecture)))}
    first.run()
    again = OptunaSearcher(SPACE, 0, num_candidates=12, batch_size=1, goals=goals)
    again.replay(list(first.searcher.history))
    assert isinstance(again._algorithm, OptunaStudy)
    trials = again._algorithm._ot_study.trials
    lengths = [float(len(text)) for text in first.candidates]
    assert [trial.values for trial in trials] == [[0.5, length] for length in lengths]


@pytest.mark.slow
class TestSamplers(SearcherConformance):
    # `gp` fits after each outcome, so that proposing a whole space takes minutes; its own tests are below.
    restores_exactly, alternatives = False, 2

    @pytest.fixture(
        autouse=True,
        params=["cmaes", *(pytest.param(name, marks=pytest.mark.long) for name in ("nsgaii", "nsgaiii", "qmc", "random"))],
    )
    def choose_sampler(self, request: pytest.FixtureRequest) -> None:
        self.sampler: str = request.param

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> OptunaSearcher:
        goals: Goals | None = settings.get("goals")
        if self.sampler == "cmaes" and goals is not None and len(goals.objectives) > 1:
            with pytest.raises(ConfigurationError, match="sampler: cmaes cannot propose .* with the objectives score, -"):
                OptunaSearcher(space, seed, sampler=self.sampler, **settings)
            pytest.skip("CMA-ES has one objective")
        return OptunaSearcher(space, seed, sampler=self.sampler, **settings)


def proposed(sampler: str, seed: int, number: int = 14, **settings: Any) -> list[str]:
    searcher = OptunaSearcher(SPACE, seed, sampler=sampler, num_candidates=number, batch_size=1, **settings)
    loop = Loop(searcher, lambda architecture: SearcherConformance().objective(SPACE, architecture)).run()
    check_search(searcher, loop.candidates, number)
    return loop.candidates


@pytest.mark.parametrize("sampler", ["cmaes", "gp", "nsgaii", "nsgaiii", "qmc", "random", "tpe"])
def test_the_seed_of_the_search_decides(sampler: str) -> None:
    first = proposed(sampler, 0)
    assert proposed(sampler, 0) == first
    assert proposed(sampler, 1) != first


def test_tpe_by_name_is_the_default() -> None:
    searcher = OptunaSearcher(SPACE, 3, num_candidates=14, batch_size=1)
    loop = Loop(searcher, lambda architecture: SearcherConformance().objective(SPACE, architecture)).run()
    assert proposed("tpe", 3) == loop.candidates


@pytest.mark.parametrize(("sampler", "options"), [("gp", {}), ("nsgaii", {"population_size": 8}), ("cmaes", {"popsize": 6})])
def test_samplers_learn(sampler: str, options: dict[str, int]) -> None:
    searcher = OptunaSearcher(
        SPACE,
        num_candidates={"gp": 24, "nsgaii": 90, "cmaes": 80}[sampler],
        batch_size=1,
        sampler=sampler,
        sampler_options=options,
    )
    Loop(searcher, lambda architecture: SearcherConformance().objective(SPACE, architecture)).run()
    scores = [row.evaluation.score for row in searcher.history]
    assert sum(scores[-10:]) / 10 > sum(scores[:10]) / 10 + 0.15  # CMA-ES converges after about 80, and then repeats itself


def test_numbers_stand_for_the_choices() -> None:
    found = OptunaSearcher(SPACE, 0, sampler="qmc")
    assert isinstance(found._algorithm, OptunaStudy)
    assert found._algorithm._choices == {name: list(values) for name, values in SPACE.param_space().items()}
    candidates = proposed("qmc", 0, 60)
    operators = [operator for text in candidates for operator in SPACE.params(SPACE.parse(text)).values()]
    shares = [operators.count(name) / len(operators) for name in set(operators)]
    assert len(shares) == 5 and max(shares) < 0.3 and min(shares) > 0.1, "the sequence covers all choices evenly"
    forced = OptunaSearcher(SPACE, 0, sampler="qmc", encoding="categories")
    assert isinstance(forced._algorithm, OptunaStudy) and forced._algorithm._choices is None
    with pytest.raises(
        ConfigurationError, match="encoding: expected one of auto, categories, numbers, conditional; got 'letters'"
    ):
        OptunaSearcher(SPACE, 0, encoding="letters")


@pytest.mark.parametrize(("sampler", "note"), [("nsgaii", "generation"), ("cmaes", "cma:"), ("qmc", ""), ("gp", "")])
def test_outcomes_from_before_a_restart_are_learned(sampler: str, note: str) -> None:
    first = Loop(OptunaSearcher(SPACE, 0, num_candidates=6, batch_size=1, sampler=sampler), lambda architecture: 0.5).run()
    again = OptunaSearcher(SPACE, 0, num_candidates=12, batch_size=1, sampler=sampler)
    again.replay(list(first.searcher.history))
    assert isinstance(again._algorithm, OptunaStudy)
    trials = again._algorithm._ot_study.trials
    assert [trial.value for trial in trials] == [0.5] * 6
    choices = again._algorithm._choices
    for trial, text in zip(trials, first.candidates, strict=True):
        genes = {name: choices[name][value] if choices else value for name, value in trial.params.items()}
        assert genes == SPACE.params(SPACE.parse(text))
    assert not note or any(note in name for trial in trials for name in trial.system_attrs), "the sampler counts them"


def stopped_below(searcher: OptunaSearcher, count: int, rng: np.random.Generator) -> list[Observation]:
    """Return outcomes under a scheduler: candidates of few 3x3 convolutions are stopped, and their scores are higher."""
    found: dict[str, Observation] = {}
    while len(found) < count:
        architecture = SPACE.sample(rng)
        good = str(architecture).count("nor_conv_3x3") >= 2
        noise = 0.01 * rng.random()
        evaluation = Evaluation(architecture, SPACE.key(architecture), 0.3 + noise if good else 0.9 + noise)
        evaluation = evaluation if good else replace(evaluation, fidelity=4)
        found.setdefault(evaluation.key, Observation(len(found), 0, evaluation, False))
    return sorted(found.values(), key=lambda row: row.evaluation.is_partial)


@pytest.mark.parametrize("constraint", ["", "length < 1000"])
def test_tpe_prefers_survivors_to_stopped_candidates_of_a_higher_score(constraint: str) -> None:
    """Also where TPE is told values, because it has constraints."""
    goals = Goals(constraints=(Constraint("length", "<", 1000.0),), costs=lambda each: {"length": 1.0}, cost_names=("length",))
    searcher = OptunaSearcher(SPACE, 0, num_candidates=200, batch_size=1, goals=goals if constraint else None)
    assert searcher.knows_partial == (not constraint)
    searcher.replay(stopped_below(searcher, 100, np.random.default_rng(0)))
    found = [each for _ in range(20) for each in searcher.propose(1, np.random.default_rng(0))]
    convolutions = [str(each).count("nor_conv_3x3") for each in found]
    drawn = [str(SPACE.sample(np.random.default_rng(seed))).count("nor_conv_3x3") for seed in range(200)]
    assert np.mean(drawn) < 1.4
    assert np.mean(convolutions) > 2.0


def test_a_stopped_candidate_is_a_pruned_trial_of_its_steps() -> None:
    searcher = OptunaSearcher(SPACE, 0, num_candidates=9, batch_size=1)
    text = searcher.suggest("a")["candidates"][0]  # type: ignore[index,call-overload]
    architecture = SPACE.parse(text)
    evaluation = Evaluation(architecture, SPACE.key(architecture), 0.25, fidelity=3)
    searcher.take_partial([Observation(0, 0, evaluation, False)])
    last = replace(evaluation, score=0.5, fidelity=9)
    searcher.observe([Observation(0, 0, last, False)])
    [trial] = searcher._study._ot_study.trials
    assert trial.state.name == "PRUNED" and trial.intermediate_values == {3: 0.25, 9: 0.5}
    again = OptunaSearcher(SPACE, 0, num_candidates=9, batch_size=1)
    again.replay([Observation(0, 0, last, False)])
    [recalled] = again._study._ot_study.trials
    assert (recalled.state, recalled.params, recalled.intermediate_values) == (trial.state, trial.params, {9: 0.5})


@pytest.mark.parametrize("sampler", ["gp", "nsgaii", "cmaes"])
def test_samplers_without_pruned_trials_are_told_values_below_the_complete_ones(sampler: str) -> None:
    searcher = OptunaSearcher(SPACE, 0, num_candidates=60, batch_size=1, sampler=sampler)
    searcher.replay(stopped_below(searcher, 30, np.random.default_rng(0)))
    trials = searcher._study._ot_study.trials
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    values = {row.evaluation.is_partial: [] for row in searcher.history}
    for row, trial in zip(searcher.history, trials, strict=True):
        values[row.evaluation.is_partial].append(trial.value)
    assert max(values[True]) < min(values[False])


def layers(choose: Choose) -> nn.Module:
    width = choose.one("width", [4, 8])
    kinds = {"linear": lambda: nn.Linear(width, width, bias=choose.one("bias", [True, False])), "relu": nn.ReLU}
    return nn.Sequential(nn.Linear(3, width), *choose.repeat("depth", 1, 3, lambda i: choose.layer("op", kinds)))


LAYERS = ModuleSpace(layers, torch.zeros(1, 3))


def test_tpe_is_asked_only_for_the_choices_that_an_architecture_has() -> None:
    def score(architecture: Architecture) -> float:
        return str(architecture).count("bias=False") / 3

    searcher = OptunaSearcher(LAYERS, 0, num_candidates=40, batch_size=1, encoding="conditional")
    loop = Loop(searcher, score).run()
    check_search(searcher, loop.candidates, 40)
    trials = searcher._study._ot_study.trials
    assert {str(LAYERS.from_params(trial.params)) for trial in trials} >= set(loop.candidates)
    assert all(trial.params == LAYERS.active(LAYERS.from_params(trial.params)) for trial in trials)
    best = [row.evaluation.score for row in searcher.history]
    assert max(best) == 1.0 and np.mean(best[20:]) > np.mean(best[:10])
    again = OptunaSearcher(LAYERS, 0, num_candidates=41, batch_size=1, encoding="conditional")
    again.replay(list(searcher.history))
    recalled = again._study._ot_study.trials
    assert [trial.params for trial in recalled] == [LAYERS.active(LAYERS.parse(text)) for text in loop.candidates]
    assert all(trial.state.name == "COMPLETE" for trial in recalled)
    partial = replace(searcher.history[0].evaluation, fidelity=2)
    stopped = OptunaSearcher(LAYERS, 0, num_candidates=9, batch_size=1, encoding="conditional")
    stopped.replay([Observation(0, 0, partial, False)])
    [pruned] = stopped._study._ot_study.trials
    assert (pruned.state.name, pruned.params) == ("PRUNED", LAYERS.active(partial.architecture))


def test_who_is_asked_for_the_choices_one_after_the_other() -> None:
    assert not OptunaSearcher(LAYERS, 0)._study.is_conditional
    assert OptunaSearcher(LAYERS, 0, encoding="conditional")._study.is_conditional
    assert OptunaSearcher(LAYERS, 0, sampler="random", encoding="conditional")._study.is_conditional
    with pytest.raises(
        ConfigurationError, match="encoding: expected auto, categories or numbers; nasbench201 has no conditional"
    ):
        OptunaSearcher(SPACE, 0, encoding="conditional")

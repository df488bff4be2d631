"""The built-in evaluators pass the suite; the suite fails what is broken."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import (
    CurveTable,
    Evaluation,
    EvaluationSteps,
    Evaluator,
    StepwiseEvaluator,
    TabularEvaluator,
    TrainingEvaluator,
)
from archsearch.evaluators.conformance import EvaluatorConformance, StepwiseConformance
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network


class HungrySpace(NASBench201):
    """Cells of skip connections alone take more memory than there is."""

    def build(self, architecture: Architecture, *arguments: Any, **scale: Any) -> Network:
        if set(architecture.cells[0].edge_operators) == {"skip_connect"}:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().build(architecture, *arguments, **scale)


class TestTrainingEvaluator(StepwiseConformance):
    num_candidates = 3

    def evaluator(self, space: SearchSpace, **settings: Any) -> TrainingEvaluator:
        small: dict[str, Any] = {"epochs": 2, "batch_size": 128, "scale": {"channels": 1, "cells_per_stage": 1}}
        return TrainingEvaluator(space, "digits", **{**small, **settings})

    def make_evaluator(self, space: SearchSpace) -> StepwiseEvaluator:
        return self.evaluator(space)

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        changes: list[dict[str, Any]] = [{"epochs": 3}, {"momentum": 0.5}, {"repeats": 2}, {"scale": {"channels": 2}}]
        return [self.evaluator(space, **change) for change in changes]

    def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
        return self.evaluator(HungrySpace()), space.from_genotype([1] * 6)

    @pytest.mark.slow
    def test_state_goes_on_in_a_fresh_process(self) -> None:
        super().test_state_goes_on_in_a_fresh_process()


@pytest.mark.slow
class TestMultilabelTraining(TestTrainingEvaluator):
    task: ClassVar[str] = "multilabel"

    @pytest.fixture(autouse=True)
    def make_pairs(self, pairs: Any) -> None:
        self.splits = {task: pairs.pair_splits(task, 100, 40) for task in ("multilabel", "regression")}

    def evaluator(self, space: SearchSpace, **settings: Any) -> TrainingEvaluator:
        small: dict[str, Any] = {"epochs": 2, "batch_size": 50, "scale": {"channels": 1, "cells_per_stage": 1}}
        return TrainingEvaluator(space, self.splits[self.task], **{**small, **settings})

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        other = {"multilabel": "regression", "regression": "multilabel"}[self.task]
        small: dict[str, Any] = {"epochs": 2, "batch_size": 50, "scale": {"channels": 1, "cells_per_stage": 1}}
        changed = [self.evaluator(space, epochs=3), self.evaluator(space, repeats=2)]
        return [*changed, TrainingEvaluator(space, self.splits[other], **small), *self.other_scores(space)]

    def other_scores(self, space: SearchSpace) -> Sequence[Evaluator]:
        return [self.evaluator(space, objective="anytime", max_budget=1e6), self.evaluator(space, class_weights=True)]


@pytest.mark.long
class TestRegressionTraining(TestMultilabelTraining):
    task: ClassVar[str] = "regression"

    def other_scores(self, space: SearchSpace) -> Sequence[Evaluator]:
        return [self.evaluator(space, objective="mae")]


class TestTabularEvaluator(EvaluatorConformance):
    num_candidates = 30

    @pytest.fixture(autouse=True)
    def write_table(self, tmp_path: Path) -> None:
        self.path = tmp_path / "scores.parquet"
        texts = [str(architecture) for architecture in self.candidates(self.make_space())]
        scores = [50.0 + place for place in range(len(texts))]
        pq.write_table(pa.table({"arch": texts, "score": scores, "another": scores[::-1], "seconds": scores}), self.path)

    def make_evaluator(self, space: SearchSpace) -> Evaluator:
        return TabularEvaluator.from_parquet(space, self.path, score="score")

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        return [
            TabularEvaluator.from_parquet(space, self.path, score="another"),
            TabularEvaluator.from_parquet(space, self.path, score="score", percent=False),
        ]

    def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
        return self.make_evaluator(space), space.from_genotype([3, 3, 3, 3, 3, 3])


class TestCurveTable(StepwiseConformance):
    num_candidates = 30

    @pytest.fixture(autouse=True)
    def write_table(self, tmp_path: Path) -> None:
        self.path = tmp_path / "scores.parquet"
        candidates = self.candidates(self.make_space())
        scores = [0.5 + 0.01 * place for place in range(len(candidates))]
        columns = {"score": scores, "score_e4": [score / 2 for score in scores], "score_e12": scores[::-1], "seconds": scores}
        pq.write_table(pa.table({"arch": [str(each) for each in candidates], **columns}), self.path)

    def make_evaluator(self, space: SearchSpace) -> StepwiseEvaluator:
        return CurveTable.from_parquet(space, self.path, score="score", epochs=36)

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        return [
            CurveTable.from_parquet(space, self.path, score="score", epochs=40),
            CurveTable.from_parquet(space, self.path, score="score", epochs=36, from_scratch=True),
            TabularEvaluator.from_parquet(space, self.path, score="score"),
        ]

    def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
        return self.make_evaluator(space), space.from_genotype([3, 3, 3, 3, 3, 3])

    @pytest.mark.slow
    def test_state_goes_on_in_a_fresh_process(self) -> None:
        super().test_state_goes_on_in_a_fresh_process()


class Plain(Evaluator):
    """Scores by the genotype."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self.count = itertools.count()

    @property
    def task(self) -> str:
        return "plain"

    def settings(self) -> Mapping[str, Any]:
        return {"kind": "plain"}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [
            Evaluation(architecture, self.space.key(architecture), self.score(architecture), {"genes": 6.0})
            for architecture in architectures
        ]

    def score(self, architecture: Architecture) -> float:
        return float(sum(self.space.genotype(architecture)))


class Wandering(Plain):
    def score(self, architecture: Architecture) -> float:
        return float(next(self.count))


class Sorting(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return sorted(super().evaluate(architectures), key=lambda evaluation: evaluation.score)


class WrongKeys(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [Evaluation(architecture, str(architecture), 0.5) for architecture in architectures]


class Silent(Plain):
    def score(self, architecture: Architecture) -> float:
        return float("nan")


class Short(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return super().evaluate(architectures)[:3]


class Empty(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [None for _ in architectures]  # type: ignore[misc]


class Worded(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        words: Any = {"device": "cpu"}
        return [Evaluation(each, self.space.key(each), 0.5, words) for each in architectures]


class Raising(Plain):
    def score(self, architecture: Architecture) -> float:
        if set(self.space.genotype(architecture)) == {1}:
            raise ValueError("no score for skip connections")
        return super().score(architecture)


class Relative(Plain):
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        highest = max((self.score(architecture) for architecture in architectures), default=1.0)
        keys = [self.space.key(architecture) for architecture in architectures]
        return [Evaluation(a, key, self.score(a) / highest) for a, key in zip(architectures, keys, strict=True)]


class Seeded(Plain):
    def settings(self) -> Mapping[str, Any]:
        return {"seed": self.seed}


@pytest.mark.parametrize(
    ("broken", "test", "message"),
    [
        (Wandering, "test_evaluating_again_gives_the_same", "the same evaluator gives another score"),
        (Sorting, "test_one_evaluation_for_each_candidate_in_order", "evaluations are in another order"),
        (WrongKeys, "test_one_evaluation_for_each_candidate_in_order", "the key is not that of the space"),
        (Silent, "test_one_evaluation_for_each_candidate_in_order", "score: expected a finite number; got nan"),
        (Short, "test_one_evaluation_for_each_candidate_in_order", "expected 4 evaluations, one for each candidate; got 3"),
        (Empty, "test_one_evaluation_for_each_candidate_in_order", "expected an Evaluation; got None"),
        (Worded, "test_one_evaluation_for_each_candidate_in_order", "metric 'device': expected a number.*; got 'cpu'"),
        (Relative, "test_order_and_batches_do_not_matter", "the size of batches changes scores"),
        (Seeded, "test_seed_is_kept_apart_from_the_fingerprint", "the seed is part of the fingerprint"),
        (Plain, "test_fingerprint_names_the_settings", "other settings have another fingerprint"),
        (Raising, "test_candidate_that_cannot_be_scored_does_not_cost_the_batch", "no score for skip connections"),
    ],
)
def test_suite_finds_what_is_broken(broken: type[Plain], test: str, message: str) -> None:
    class Suite(EvaluatorConformance):
        def make_evaluator(self, space: SearchSpace) -> Evaluator:
            return broken(space)

        def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
            return [broken(space)]

        def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
            return broken(space), space.from_genotype([1] * 6)

    with pytest.raises((AssertionError, ValueError), match=message):
        getattr(Suite(), test)()


class Steps(EvaluationSteps):
    """Three steps, whose scores come from what the steps before have drawn."""

    def __init__(self, evaluator: Stepped, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.evaluator, self.scores = evaluator, [0.25]

    def step(self) -> Evaluation:
        if self.fidelity == 3:
            raise ConfigurationError("step: all 3 are done")
        self.fidelity += 1
        self.scores.append(self.scores[-1] / 2 + 0.01 * self.evaluator.genes(self.architecture))
        return self.evaluation()

    def evaluation(self) -> Evaluation:
        key, scores = self.evaluator.space.key(self.architecture), tuple(self.scores[1:])
        curves = {"step_score": scores, "step_seconds": (0.5,) * len(scores)}
        fidelity = None if self.fidelity == 3 else self.fidelity
        return Evaluation(self.architecture, key, scores[-1], {}, 0.5 * len(scores), None, curves, fidelity)

    def state(self) -> dict[str, Any]:
        return {"fidelity": self.fidelity, "scores": list(self.scores), "key": self.evaluator.space.key(self.architecture)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if state.get("key") != self.evaluator.space.key(self.architecture):
            raise ConfigurationError("state: of another candidate")
        self.fidelity, self.scores = state["fidelity"], list(state["scores"])


class Stepped(StepwiseEvaluator):
    task = "steps"
    max_fidelity = 3
    kind: type[Steps] = Steps

    def settings(self) -> Mapping[str, Any]:
        return {"space": self.space.name}

    def begin(self, architecture: Architecture) -> EvaluationSteps:
        return self.kind(self, architecture)

    def genes(self, architecture: Architecture) -> int:
        return int(sum(self.space.genotype(architecture)))


class Forgetful(Steps):
    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state({**state, "scores": [0.25, *state["scores"][1:-1], 0.125]} if state.get("fidelity") else state)


class Shared(Steps):
    def state(self) -> dict[str, Any]:
        return {**super().state(), "scores": self.scores}


class Anybody(Steps):
    def load_state(self, state: Mapping[str, Any]) -> None:
        self.fidelity, self.scores = state.get("fidelity", 0), list(state.get("scores", [0.25]))


class Objects(Steps):
    def state(self) -> dict[str, Any]:
        return {**super().state(), "path": Path()}


class Standing(Steps):
    def step(self) -> Evaluation:
        self.fidelity = 0 if self.fidelity == 1 and len(self.scores) < 3 else self.fidelity
        return super().step()


class Curveless(Steps):
    def evaluation(self) -> Evaluation:
        found = super().evaluation()
        return replace(found, curves={**found.curves, "step_score": found.curves["step_score"][-1:]})


class Endless(Steps):
    def step(self) -> Evaluation:
        self.fidelity = min(self.fidelity, 2)
        return super().step()


class Telling(Steps):
    def with_report_metrics(self, evaluation: Evaluation) -> Evaluation:
        return replace(evaluation, metrics={"valid_accuracy": 0.5})


@pytest.mark.parametrize(
    ("broken", "test", "message"),
    [
        (Forgetful, "test_state_goes_on_where_it_was_saved", "it goes on otherwise from the state after 1 steps"),
        (Shared, "test_state_goes_on_where_it_was_saved", "it goes on otherwise from the state after 0 steps"),
        (Objects, "test_state_goes_on_where_it_was_saved", "the state has other objects in it than tensors and plain data"),
        (Anybody, "test_state_of_another_is_refused", "DID NOT RAISE"),
        (Standing, "test_fidelities_rise_to_the_highest", "the fidelity does not rise with each step"),
        (Curveless, "test_curves_have_a_value_for_each_step", "step_score is not the score after each step"),
        (Endless, "test_no_step_after_the_last", "DID NOT RAISE"),
        (Telling, "test_report_metrics_are_added_and_change_nothing", "metrics are added that a searcher may see"),
    ],
)
def test_suite_finds_what_is_broken_in_steps(broken: type[Steps], test: str, message: str) -> None:
    class Broken(Stepped):
        kind = broken

    class Suite(StepwiseConformance):
        def make_evaluator(self, space: SearchSpace) -> StepwiseEvaluator:
            return Broken(space)

    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        getattr(Suite(), test)()


def test_suite_asks_for_an_evaluator() -> None:
    with pytest.raises(NotImplementedError, match="make_evaluator"):
        EvaluatorConformance().test_descriptions_are_there()

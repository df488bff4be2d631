"""Conformance tests that any evaluator must pass, for authors of evaluators.

Example:
    A test file for a custom evaluator; pytest collects the inherited tests.

    >>> from archsearch.evaluators.conformance import EvaluatorConformance
    >>> class TestMyEvaluator(EvaluatorConformance):
    ...     def make_evaluator(self, space):
    ...         return MyEvaluator(space, epochs=1)

For an evaluator that reports step by step, `StepwiseConformance` has further tests.
"""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.evaluation import Evaluation, is_report_only
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.plain_number import shown
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS, EvaluationSteps, StepwiseEvaluator
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.nasbench201 import NASBench201


class EvaluatorConformance:
    """Tests of one evaluator. Subclass it, return the evaluator in `make_evaluator`, and let pytest run it.

    Attributes:
        num_candidates: Number of architectures that a test evaluates; choose settings that make them cheap.
        noisy: Whether evaluating a candidate again may give another score.
    """

    num_candidates: ClassVar[int] = 4
    noisy: ClassVar[bool] = False

    def make_evaluator(self, space: SearchSpace) -> Evaluator:
        """Return a new evaluator of the space; each call returns an equal one."""
        raise NotImplementedError("make_evaluator: return the evaluator under test.")

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        """Return evaluators, each with one setting that changes what scores mean."""
        return ()

    def make_space(self) -> SearchSpace:
        """Return the space of the candidates."""
        return NASBench201()

    def candidates(self, space: SearchSpace) -> list[Architecture]:
        """Return architectures that the evaluator can score."""
        rng = np.random.default_rng(0)
        return [space.sample(rng) for _ in range(self.num_candidates)]

    def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
        """Return an evaluator and an architecture of the space that it cannot score; None if it can score all."""
        return None

    # Scores

    def test_one_evaluation_for_each_candidate_in_order(self) -> None:
        space = self.make_space()
        evaluator, candidates = self.make_evaluator(space), self.candidates(space)
        evaluations = evaluator.evaluate(candidates)
        check_returned(evaluations, len(candidates))
        assert [evaluation.architecture for evaluation in evaluations] == candidates, "evaluations are in another order"
        assert evaluator.evaluate([]) == []
        for evaluation in evaluations:
            check_evaluation(space, evaluation)
            assert evaluation.ok, evaluation.error

    def test_candidate_that_cannot_be_scored_does_not_cost_the_batch(self) -> None:
        space = self.make_space()
        pair = self.unscorable(space)
        if pair is None:
            return
        evaluator, failing = pair
        first, second, *_ = self.candidates(space)
        evaluations = evaluator.evaluate([first, failing, second])
        check_returned(evaluations, 3)
        for evaluation in evaluations:
            check_evaluation(space, evaluation)
        assert [evaluation.architecture for evaluation in evaluations] == [first, failing, second]
        assert [evaluation.ok for evaluation in evaluations] == [True, False, True]
        assert evaluations[1].error, "an error says why"

    def test_evaluating_again_gives_the_same(self) -> None:
        space = self.make_space()
        evaluator, candidates = self.make_evaluator(space), self.candidates(space)
        scores = self._scores(evaluator, candidates)
        assert self.noisy or self._scores(evaluator, candidates) == scores, "the same evaluator gives another score"
        assert self.noisy or self._scores(self.make_evaluator(space), candidates) == scores, "an equal evaluator differs"

    def test_order_and_batches_do_not_matter(self) -> None:
        space = self.make_space()
        candidates = self.candidates(space)
        scores = self._scores(self.make_evaluator(space), candidates)
        backwards = self._scores(self.make_evaluator(space), candidates[::-1])
        evaluator = self.make_evaluator(space)
        singly = [score for candidate in candidates for score in self._scores(evaluator, [candidate])]
        assert len(backwards) == len(singly) == len(scores)
        assert self.noisy or backwards[::-1] == scores, "the order of candidates changes scores"
        assert self.noisy or singly == scores, "the size of batches changes scores"

    def test_pickled_evaluator_gives_the_same(self) -> None:
        space = self.make_space()
        evaluator, candidates = self.make_evaluator(space), self.candidates(space)
        fresh = pickle.loads(pickle.dumps(evaluator))
        scores = self._scores(evaluator, candidates)
        used = pickle.loads(pickle.dumps(evaluator))
        for copied in (fresh, used):
            assert copied.fingerprint() == evaluator.fingerprint()
            assert self.noisy or self._scores(copied, candidates) == scores

    # Identity

    def test_fingerprint_names_the_settings(self) -> None:
        space = self.make_space()
        evaluator = self.make_evaluator(space)
        fingerprint = evaluator.fingerprint()
        assert len(fingerprint) == 16
        assert set(fingerprint) <= set("0123456789abcdef")
        assert self.make_evaluator(space).fingerprint() == fingerprint
        evaluator.evaluate(self.candidates(space)[:1])
        assert evaluator.fingerprint() == fingerprint, "the fingerprint changes by use"
        others = [other.fingerprint() for other in self.changed_evaluators(space)]
        assert len({fingerprint, *others}) == 1 + len(others), "other settings have another fingerprint"

    def test_settings_are_plain_data(self) -> None:
        settings = dict(self.make_evaluator(self.make_space()).settings())
        assert json.loads(json.dumps(settings)) == settings

    def test_seed_is_kept_apart_from_the_fingerprint(self) -> None:
        evaluator = self.make_evaluator(self.make_space())
        other = copy.copy(evaluator)
        vars(other)["seed"] += 1  # an option that cannot be set from outside
        assert other.fingerprint() == evaluator.fingerprint(), "the seed is part of the fingerprint"

    def test_fresh_process_has_the_same_fingerprint(self) -> None:
        evaluator = self.make_evaluator(self.make_space())
        fresh = in_fresh_process(evaluator, "subject.fingerprint()")
        assert fresh == evaluator.fingerprint(), "a fresh process has another fingerprint"

    def test_descriptions_are_there(self) -> None:
        evaluator = self.make_evaluator(self.make_space())
        assert evaluator.task
        assert evaluator.score_name
        assert math.isfinite(evaluator.chance)
        assert not is_report_only(evaluator.score_name), "a searcher is shown the score, so it is not one on test data"

    def _scores(self, evaluator: Evaluator, candidates: Sequence[Architecture]) -> list[float]:
        return [evaluation.score for evaluation in evaluator.evaluate(candidates)]


class StepwiseConformance(EvaluatorConformance):
    """Tests of an evaluator that reports step by step: beside those of every evaluator, steps, states and failures.

    Choose settings with two steps or more.

    Attributes:
        measured: Names of metrics and curves that are measured, such as latencies, so that they differ each time.
    """

    measured: ClassVar[frozenset[str]] = frozenset()

    def make_evaluator(self, space: SearchSpace) -> StepwiseEvaluator:
        raise NotImplementedError("make_evaluator: return the evaluator under test.")

    def test_fidelities_rise_to_the_highest(self) -> None:
        space = self.make_space()
        evaluator = self.make_evaluator(space)
        highest, reported = evaluator.max_fidelity, evaluator.fidelities
        assert type(highest) is int and highest >= 1, f"max_fidelity: expected a whole number; got {highest!r}"
        assert evaluator.fidelity_name
        for candidate in self._some(space):
            steps = evaluator.begin(candidate)
            assert steps.fidelity == 0, "nothing is done before the first step"
            evaluations: list[Evaluation] = []
            reached: list[int] = []
            while not evaluations or evaluations[-1].is_partial:
                evaluations.append(steps.step())
                reached.append(steps.fidelity)
                assert evaluations[-1].ok, evaluations[-1].error
                assert reached == sorted(set(reached)), f"the fidelity does not rise with each step: {reached}"
            assert reached[-1] == highest, "the complete evaluation is not that of max_fidelity"
            assert [each.fidelity for each in evaluations] == [*reached[:-1], None], "evaluations have other fidelities"
            assert set(reached) <= set(range(1, highest + 1) if reported is None else reported), "fidelities names others"

    def test_whole_evaluation_is_that_of_all_steps(self) -> None:
        space = self.make_space()
        evaluator = self.make_evaluator(space)
        candidates = self._some(space)
        for whole, candidate in zip(evaluator.evaluate(candidates), candidates, strict=True):
            *_, last = all_steps(evaluator.begin(candidate))
            assert self.noisy or self._figures(whole) == self._figures(last), "evaluate gives other figures than all steps"

    def test_curves_have_a_value_for_each_step(self) -> None:
        space = self.make_space()
        evaluator = self.make_evaluator(space)
        for candidate in self._some(space):
            scores: list[float] = []
            for evaluation in all_steps(evaluator.begin(candidate)):
                check_evaluation(space, evaluation)
                scores.append(evaluation.score)
                assert list(evaluation.curves[STEP_SCORES]) == scores, f"{STEP_SCORES} is not the score after each step"
                seconds = evaluation.curves[STEP_SECONDS]
                assert len(seconds) == len(scores), f"{STEP_SECONDS} has not one value for each step"
                assert math.isclose(sum(seconds), evaluation.seconds, rel_tol=1e-6), "seconds are not those of all steps"

    def test_state_goes_on_where_it_was_saved(self) -> None:
        space = self.make_space()
        evaluator = self.make_evaluator(space)
        for candidate in self._some(space):
            steps = evaluator.begin(candidate)
            kept, written, evaluations = [steps.state()], [_written(steps.state())], [steps.step()]
            while evaluations[-1].is_partial:
                kept.append(steps.state())
                written.append(_written(kept[-1]))
                evaluations.append(steps.step())
            for place, content in enumerate(written):
                # States that were kept in memory must not have changed by the steps since then.
                for state in (_read(content), kept[place]):
                    others = self.make_evaluator(space).begin(candidate)
                    others.load_state(state)
                    rest = all_steps(others)
                    assert [each.fidelity for each in rest] == [each.fidelity for each in evaluations[place:]]
                    same = list(map(self._figures, rest)) == list(map(self._figures, evaluations[place:]))
                    assert self.noisy or same, f"it goes on otherwise from the state after {place} steps"

    def test_state_goes_on_in_a_fresh_process(self) -> None:
        space = self.make_space()
        evaluator, [candidate, *_] = self.make_evaluator(space), self.candidates(space)
        steps = evaluator.begin(candidate)
        steps.step()
        state, rest = _written(steps.state()), all_steps(steps)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            path.write_bytes(state)
            call = f"continued(subject, {str(candidate)!r}, {str(path)!r})"
            found = in_fresh_process(evaluator, f"importlib.import_module({__name__!r}).{call}")
        expected = [[each.fidelity, each.score] for each in rest]
        assert [fidelity for fidelity, _ in found] == [fidelity for fidelity, _ in expected]
        assert self.noisy or found == expected, "a fresh process goes on otherwise"

    def test_candidates_in_turns_do_not_matter(self) -> None:
        space = self.make_space()
        evaluator, (first, second, *_) = self.make_evaluator(space), self.candidates(space)
        expected = [all_steps(evaluator.begin(each)) for each in (first, second)]
        one, other = evaluator.begin(first), evaluator.begin(second)
        turns = [[steps.step() for steps in (one, other)] for _ in range(min(map(len, expected)))]
        for place, found in enumerate(zip(*turns, strict=True)):
            figures = [self._figures(each) for each in found]
            assert self.noisy or figures == list(map(self._figures, expected[place][: len(found)])), "candidates mix"

    def test_failing_step_is_a_failed_evaluation(self) -> None:
        space = self.make_space()
        pair = self.unscorable(space)
        if pair is None:
            return
        evaluator, failing = pair
        assert isinstance(evaluator, StepwiseEvaluator)
        *_, failed = all_steps(evaluator.begin(failing))
        check_evaluation(evaluator.space, failed)
        assert not failed.ok, "the candidate does not fail"
        assert failed.error, "an error says why"

    def test_state_of_another_is_refused(self) -> None:
        space = self.make_space()
        evaluator, (candidate, other, *_) = self.make_evaluator(space), self.candidates(space)
        steps = evaluator.begin(candidate)
        first = steps.step()
        changed = [each for each in self.changed_evaluators(space) if isinstance(each, StepwiseEvaluator)]
        foreign: list[Mapping[str, Any]] = [{}, {"state": 1}]
        for maker, architecture in [(evaluator, other), *((each, candidate) for each in changed)]:
            others = maker.begin(architecture)
            others.step()
            foreign.append(others.state())
        refusing = evaluator.begin(candidate)
        for state in foreign:
            with pytest.raises(ConfigurationError):
                refusing.load_state(state)
        assert refusing.fidelity == 0
        assert self.noisy or self._figures(refusing.step()) == self._figures(first), "a refused state leaves its traces"

    def test_no_step_after_the_last(self) -> None:
        space = self.make_space()
        steps = self.make_evaluator(space).begin(self.candidates(space)[0])
        all_steps(steps)
        with pytest.raises(ConfigurationError):
            steps.step()

    def test_report_metrics_are_added_and_change_nothing(self) -> None:
        space = self.make_space()
        evaluator, [candidate, *_] = self.make_evaluator(space), self.candidates(space)
        expected, steps = all_steps(evaluator.begin(candidate)), evaluator.begin(candidate)
        for evaluation in expected:
            found = steps.step()
            reported = steps.with_report_metrics(found)
            added = reported.metrics.keys() - found.metrics.keys()
            assert all(map(is_report_only, added)), "metrics are added that a searcher may see"
            assert reported.score == found.score
            assert self.noisy or self._figures(found) == self._figures(evaluation), "asking for them changes the next steps"

    def _some(self, space: SearchSpace) -> list[Architecture]:
        return self.candidates(space)[:2]

    def _figures(self, evaluation: Evaluation) -> tuple[Any, ...]:
        """Return what does not depend on when, and how fast, the evaluation was made."""
        left_out = self.measured | {STEP_SECONDS}
        metrics = {name: value for name, value in evaluation.metrics.items() if name not in left_out}
        curves = {name: values for name, values in evaluation.curves.items() if name not in left_out}
        return evaluation.key, evaluation.score, metrics, evaluation.error, evaluation.fidelity, curves


def all_steps(steps: EvaluationSteps) -> list[Evaluation]:
    """Return the evaluations after all steps that are left."""
    evaluations = [steps.step()]
    while evaluations[-1].ok and evaluations[-1].is_partial:
        evaluations.append(steps.step())
    return evaluations


def continued(evaluator: StepwiseEvaluator, architecture: str, path: str) -> list[list[float | int | None]]:
    """Return fidelity and score after each of the steps that are left after a state in a file."""
    steps = evaluator.begin(evaluator.space.parse(architecture))
    steps.load_state(_read(Path(path).read_bytes()))
    return [[each.fidelity, each.score] for each in all_steps(steps)]


def _written(state: Mapping[str, Any]) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(dict(state), stream)
    return stream.getvalue()


def _read(content: bytes) -> dict[str, Any]:
    """Return a state as checkpoints are read: nothing but tensors and plain data."""
    import torch

    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AssertionError(f"the state has other objects in it than tensors and plain data: {error}") from error
    return state


def check_returned(returned: object, count: int) -> None:
    """Assert that an evaluator returned a list of `count` evaluations."""
    assert isinstance(returned, list), f"expected a list of evaluations; got {shown(returned)}"
    assert len(returned) == count, f"expected {count} evaluations, one for each candidate; got {len(returned)}"
    for each in returned:
        assert isinstance(each, Evaluation), f"expected an Evaluation; got {shown(each)}"


def check_evaluation(space: SearchSpace, evaluation: Evaluation) -> None:
    """Assert that an evaluation has its key, and a finite score or an error."""
    assert evaluation.key == space.key(evaluation.architecture), "the key is not that of the space"
    assert evaluation.ok or evaluation.error, "neither a finite score nor an error"
    assert not evaluation.ok or evaluation.error is None
    assert evaluation.seconds >= 0
    assert all(isinstance(value, float) for value in evaluation.metrics.values()), evaluation.metrics
    assert all(isinstance(value, float) for values in evaluation.curves.values() for value in values)

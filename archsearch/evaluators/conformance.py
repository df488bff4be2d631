"""Conformance tests that any evaluator must pass, for authors of evaluators.

Example:
    A test file for a custom evaluator; pytest collects the inherited tests.

    >>> from archsearch.evaluators.conformance import EvaluatorConformance
    >>> class TestMyEvaluator(EvaluatorConformance):
    ...     def make_evaluator(self, space):
    ...         return MyEvaluator(space, epochs=1)
"""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from archsearch.evaluators.evaluation import Evaluation, is_report_only
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.plain_number import shown
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

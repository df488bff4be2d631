"""Conformance suites for searchers: `SearcherConformance`, and two for those with a surrogate.

`SurrogateSearcherConformance` is for those whose surrogate learns from outcomes, `TrainedOnceConformance` for those whose model
is trained once and kept in a folder.

Example:
    A test file for a custom searcher; pytest collects the inherited tests.

    >>> class TestMySearcher(SearcherConformance):
    ...     def make_searcher(self, space, seed, **settings):
    ...         return MySearcher(space, seed, **settings)
"""

from __future__ import annotations

import itertools
import json
import math
import pickle
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import ray
from ray.tune.search import Searcher

from archsearch.cluster.connection import connect
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators.evaluation import Evaluation
from archsearch.searchers.goals import Constraint, Goals, Objective
from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.nasbench201 import OPERATORS, NASBench201

# The pools of all kinds of space fit into one CPU, whatever else runs.
_CPUS_OF_A_POOL = 0.1


class SmallSpace(NASBench201):
    """NAS-Bench-201 with only its first operators, small enough for a search of all its structures.

    Args:
        alternatives: Number of operators.
    """

    def __init__(self, alternatives: int) -> None:
        self.alternatives = alternatives

    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, OPERATORS[: self.alternatives])

    def structures(self) -> set[str]:
        """Return the keys of all its architectures."""
        return set(self.representatives())

    def representatives(self) -> dict[str, Architecture]:
        """Return one architecture for each key, one with the fewest genes that differ from their first value."""
        genotypes = itertools.product(range(self.alternatives), repeat=len(self.choices))
        found: dict[str, Architecture] = {}
        for genotype in sorted(genotypes, key=lambda genes: sum(gene > 0 for gene in genes)):
            architecture = self.from_genotype(genotype)
            found.setdefault(self.key(architecture), architecture)
        return found


class Loop:
    """Asks a searcher for batches and reports their outcomes as Ray Tune would, with one or several open trials.

    Args:
        searcher: The searcher.
        score: Function that returns the score of a candidate.
    """

    trial_fails: Callable[[int], bool]
    """Returns whether the trial of a batch, by its number, ends without a result."""
    evaluation_fails: Callable[[str], bool]
    """Returns whether the evaluation of a candidate, by its text, fails."""
    suggestions: list[dict[str, Any]]
    """All batches so far, as suggested."""
    open: dict[str, dict[str, Any]]
    """Batches of the open trials, by trial id."""
    most_open: int
    """Largest number of trials that were open at once."""
    seconds: float
    """Seconds of an evaluation."""
    metrics: dict[str, Callable[[Architecture], float]]
    """Functions that return the metrics that are objectives, by name."""
    rungs: Sequence[int]
    """Numbers of steps after which a candidate is scored in part, in batches of one; none without a scheduler."""
    stops_at: Callable[[str], int | None]
    """Returns the number of steps, one of `rungs`, after which a candidate, by its text, is stopped; None if it is not."""
    pauses: bool
    """Whether candidates pause at each rung and go on only when nothing else can run."""

    def __init__(self, searcher: ArchitectureSearcher, score: Callable[[Architecture], float]) -> None:
        self.searcher, self.score = searcher, score
        self.trial_fails = lambda number: False
        self.evaluation_fails = lambda text: False
        self.suggestions, self.open, self.most_open = [], {}, 0
        self.seconds = 0.25
        self.metrics = {}
        self.rungs, self.stops_at, self.pauses = (), lambda text: None, False
        self._reached: dict[str, int] = {}  # rungs that open trials have passed
        self._paused: dict[str, dict[str, Any]] = {}

    @property
    def candidates(self) -> list[str]:
        """All candidates so far, in the order of suggestion."""
        return [candidate for suggestion in self.suggestions for candidate in suggestion["candidates"]]

    @property
    def by_batch(self) -> dict[int, list[str]]:
        """The candidates of each batch."""
        return {suggestion["batch"]: suggestion["candidates"] for suggestion in self.suggestions}

    def take_over(self, other: Loop) -> None:
        """Take over the suggestions and open trials of another loop."""
        self.suggestions, self.open = list(other.suggestions), dict(other.open)
        self._reached, self._paused = dict(other._reached), dict(other._paused)

    def run(self, at_once: int = 1, rng: np.random.Generator | None = None, batches: int | None = None) -> Loop:
        """Run trials until the searcher has finished, or `batches` were suggested in all; open trials then stay open.

        Args:
            at_once: Number of open trials.
            rng: Random generator that chooses the open trial that ends next; None takes the oldest.
            batches: Total number of suggestions at which to stop; None runs to the end.
        """
        while batches is None or len(self.suggestions) < batches:
            full = len(self.open) >= at_once
            if not full and self._start():
                continue
            if not self.open and not self._resumed():
                break
            names = list(self.open)
            self._go_on(names[0 if rng is None else int(rng.integers(len(names)))])
        return self

    def drain(self) -> Loop:
        """End the open trials."""
        while self.open or self._resumed():
            self._go_on(next(iter(self.open)))
        return self

    def _resumed(self) -> bool:
        """Let the trial go on that has paused longest; return whether there is one."""
        if not self._paused:
            return False
        name = next(iter(self._paused))
        self.open[name] = self._paused.pop(name)
        return True

    def _go_on(self, name: str) -> None:
        """Report the next partial score of an open trial, or its outcome."""
        passed = self._reached.get(name, 0)
        if passed == len(self.rungs):
            self._end(name)
            return
        self._reached[name] = passed + 1
        fidelity, text = self.rungs[passed], self.open[name]["candidates"][0]
        if self.stops_at(text) == fidelity:
            self._end(name, fidelity)
            return
        self.searcher.on_trial_result(name, {**self._outcome(self.open[name], fidelity), "paused": self.pauses})
        if self.pauses:
            self._paused[name] = self.open.pop(name)

    def _start(self) -> bool:
        """Ask for a batch; return whether the searcher suggested one."""
        name = f"trial{len(self.suggestions):04d}"
        suggestion = self.searcher.suggest(name)
        if suggestion is None:
            assert self.open or self._paused, "the searcher waits though no trial is open"
        if not isinstance(suggestion, dict):
            assert suggestion in (None, Searcher.FINISHED), f"expected a dict, None or FINISHED; got {suggestion!r}"
            return False
        assert suggestion["candidates"], "a batch holds a candidate at least"
        self.suggestions.append(suggestion)
        self.open[name] = suggestion
        self.most_open = max(self.most_open, len(self.open))
        return True

    def _end(self, name: str, fidelity: int | None = None) -> None:
        """Report the outcome of a trial, complete or after a number of steps."""
        suggestion = self.open.pop(name)
        if self.trial_fails(suggestion["batch"]):
            self.searcher.on_trial_complete(trial_id=name, result=None, error=True)
            return
        self.searcher.on_trial_complete(trial_id=name, result=self._outcome(suggestion, fidelity), error=False)

    def _outcome(self, suggestion: Mapping[str, Any], fidelity: int | None) -> dict[str, Any]:
        """Return the result of a trial, complete or after a number of steps n, of which the score is n / (n + 1) of the last."""
        architectures = [self.searcher.space.parse(text) for text in suggestion["candidates"]]
        failed = [fidelity is None and self.evaluation_fails(text) for text in suggestion["candidates"]]
        share = 1.0 if fidelity is None else fidelity / (fidelity + 1)
        scores = [
            math.nan if fails else self.score(architecture) for architecture, fails in zip(architectures, failed, strict=True)
        ]
        return {
            "scores": [score * share for score in scores] if fidelity else scores,
            "seconds": [self.seconds * share] * len(scores),
            "errors": ["no score" if fails else None for fails in failed],
            "batch_seconds": self.seconds * share * len(scores),
            "metrics": [[self.metrics[name](each) for each in architectures] for name in suggestion.get("metrics", [])],
            **({"fidelities": [fidelity] * len(scores)} if self.rungs else {}),
        }


class PlainLoop(Loop):
    """A loop whose trials are functions of a user, which report the score of one architecture: `tune.report({"score": 0.9})`."""

    def _end(self, name: str, fidelity: int | None = None) -> None:
        suggestion = self.open[name]
        if not self.trial_fails(suggestion["batch"]):
            # Tune shows the searcher each report, and the last one again when the function has returned.
            self.searcher.on_trial_result(name, self._outcome(suggestion, fidelity))
        super()._end(name, fidelity)

    def _outcome(self, suggestion: Mapping[str, Any], fidelity: int | None) -> dict[str, Any]:
        architecture = self.searcher.space.parse(suggestion["architecture"])
        fails = self.evaluation_fails(suggestion["architecture"])
        return {
            "score": math.nan if fails else self.score(architecture),
            **{name: metric(architecture) for name, metric in self.metrics.items()},
            "training_iteration": 1,
            "time_total_s": self.seconds,
            "config/architecture": suggestion["architecture"],
        }


class _AnySearcher:
    """The tests that every searcher passes, with or without a surrogate; see `SearcherConformance`."""

    num_candidates: ClassVar[int] = 40
    batch_size: ClassVar[int] = 3
    alternatives: int = 3
    restores_exactly: bool = True
    learns: bool = True

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        """Return a new searcher; `settings` are those of `ArchitectureSearcher`."""
        raise NotImplementedError("make_searcher: return the searcher under test.")

    def searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        """Return a new searcher with what the suite adds to its settings."""
        return self.make_searcher(space, seed, **settings)

    def make_space(self) -> SearchSpace:
        """Return the space to search."""
        return NASBench201()

    def objective(self, space: SearchSpace, architecture: Architecture) -> float:
        """Return a score from 0 to 1: the mean over genes of (index of the value) / (number of alternatives - 1)."""
        sizes = [len(alternatives) for alternatives in space.choices.values()]
        places = [gene / max(size - 1, 1) for gene, size in zip(space.genotype(architecture), sizes, strict=True)]
        return sum(places) / len(places)

    def loop(self, seed: int = 0, **settings: Any) -> Loop:
        """Return a loop with a new searcher and the objective."""
        space = self.make_space()
        settings = {"num_candidates": self.num_candidates, "batch_size": self.batch_size, **settings}
        return Loop(self.searcher(space, seed, **settings), lambda architecture: self.objective(space, architecture))

    def proposals(self, seed: int, **settings: Any) -> list[str]:
        """Return all candidates of a search with one open trial."""
        return self.loop(seed, **settings).run().candidates

    # Proposals

    def test_candidates_are_unique_and_counted(self) -> None:
        loop = self.loop().run()
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        assert loop.searcher.complete
        assert [loop.searcher.suggest(f"late{index}") for index in range(3)] == [Searcher.FINISHED] * 3

    def test_suggestions_are_plain_data(self) -> None:
        loop = self.loop().run()
        for suggestion in loop.suggestions:
            assert type(suggestion) is dict
            assert set(suggestion) == {"batch", "candidates", *(["architecture"] if len(suggestion["candidates"]) == 1 else [])}
            assert suggestion.get("architecture", suggestion["candidates"][0]) == suggestion["candidates"][0]
            assert type(suggestion["batch"]) is int
            assert type(suggestion["candidates"]) is list
            assert all(type(candidate) is str for candidate in suggestion["candidates"])
            assert json.loads(json.dumps(suggestion)) == suggestion
        numbers = [suggestion["batch"] for suggestion in loop.suggestions]
        assert numbers == sorted(set(numbers)), "the numbers of batches are distinct"

    def test_batches_respect_the_batch_size(self) -> None:
        for batch_size in (1, 7):
            sizes = [len(suggestion["candidates"]) for suggestion in self.loop(batch_size=batch_size).run().suggestions]
            assert max(sizes) <= batch_size, sizes
            assert sum(sizes) == self.num_candidates
        free = self.loop(batch_size=None).run()
        assert max(len(suggestion["candidates"]) for suggestion in free.suggestions) <= free.searcher.largest_batch
        check_search(free.searcher, free.candidates, self.num_candidates)

    def test_seeds_decide(self) -> None:
        assert self.proposals(3) == self.proposals(3), "the same seed gives the same proposals"
        assert self.proposals(3) != self.proposals(4), "another seed gives other proposals"

    def test_small_space_is_proposed_as_a_whole(self) -> None:
        space = SmallSpace(self.alternatives)
        structures = space.structures()
        searcher = self.searcher(space, 0, num_candidates=len(structures) + 10, batch_size=self.batch_size)
        loop = Loop(searcher, lambda architecture: self.objective(space, architecture)).run()
        left_out = structures - {space.key(space.parse(text)) for text in loop.candidates}
        assert not left_out, f"{len(left_out)} structures of the space are left out"
        check_search(searcher, loop.candidates, len(structures))
        assert searcher.suggest("late") == Searcher.FINISHED

    # Order and failures

    def test_several_trials_may_be_open(self) -> None:
        loop = self.loop(batch_size=1).run(at_once=4, rng=np.random.default_rng(0))
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        assert loop.most_open == 4

    def test_deterministic_proposals_do_not_depend_on_the_order_of_arrival(self) -> None:
        expected = self.loop(deterministic=True).run().by_batch
        assert self.loop(deterministic=True).run(at_once=4).by_batch == expected, "4 trials at once give other proposals"
        for seed in range(3):
            loop = self.loop(deterministic=True).run(at_once=4, rng=np.random.default_rng(seed))
            assert loop.by_batch == expected, f"arrival in shuffled order (seed {seed}) gives other proposals"

    def test_failed_trials_do_not_stop_the_search(self) -> None:
        for deterministic in (False, True):
            loop = self.loop(deterministic=deterministic, batch_size=2)
            loop.trial_fails = lambda number: number % 3 == 1
            loop.run(at_once=2)
            check_search(loop.searcher, loop.candidates, self.num_candidates)
            failed = [row for row in loop.searcher.history if row.batch % 3 == 1]
            assert failed
            assert all(row.evaluation.error and math.isnan(row.evaluation.score) for row in failed)

    def test_failed_evaluations_do_not_stop_the_search(self) -> None:
        for share in (2, 1):  # each second one, and all
            loop = self.loop()
            loop.evaluation_fails = partial(_is_multiple, share)
            loop.run()
            check_search(loop.searcher, loop.candidates, self.num_candidates)
            failed = {str(row.evaluation.architecture) for row in loop.searcher.history if not row.evaluation.ok}
            assert failed == {text for text in loop.candidates if loop.evaluation_fails(text)}

    def test_scores_that_are_no_numbers_fail_their_candidates(self) -> None:
        loop = self.loop()
        good = loop.score
        odd: list[Any] = [None, "0.5", math.inf, [0.5], {"acc": 0.5}, True]

        def score(architecture: Architecture) -> Any:
            chosen = sum(str(architecture).encode())
            return odd[chosen // 2 % len(odd)] if chosen % 2 == 0 else np.float32(good(architecture))

        loop.score = score
        loop.run()
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        failed = {str(row.evaluation.architecture) for row in loop.searcher.history if not row.evaluation.ok}
        assert failed == {text for text in loop.candidates if _is_multiple(2, text)}
        errors = [row.evaluation.error or "" for row in loop.searcher.history if not row.evaluation.ok]
        assert all("score" in error for error in errors), errors

    # A user's own experiment of Tune

    def plain(self, seed: int = 0, **settings: Any) -> PlainLoop:
        """Return a loop whose trials report the score of one architecture, with a new searcher."""
        space = self.make_space()
        searcher = self.searcher(space, seed, num_candidates=self.num_candidates, **settings)
        return PlainLoop(searcher, lambda architecture: self.objective(space, architecture))

    def test_plain_reports_of_a_score_are_enough(self) -> None:
        loop = self.plain()
        loop.evaluation_fails = partial(_is_multiple, 3)
        loop.trial_fails = lambda number: number % 5 == 1
        loop.run(at_once=2)
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        assert [suggestion["architecture"] for suggestion in loop.suggestions] == loop.candidates
        for row in loop.searcher.history:
            failed = loop.evaluation_fails(str(row.evaluation.architecture)) or row.batch % 5 == 1
            assert row.evaluation.ok != failed
            assert failed or row.evaluation.score == loop.score(row.evaluation.architecture)

    def test_smaller_may_be_better(self) -> None:
        larger, smaller = self.plain(deterministic=True), self.plain(deterministic=True, mode="min")
        score = larger.score
        smaller.score = lambda architecture: -score(architecture)
        assert smaller.run().candidates == larger.run().candidates

    def test_saved_search_of_plain_reports_is_continued(self, tmp_path: Path) -> None:
        first, again = self.plain(), self.plain()
        first.run(at_once=2, batches=self.num_candidates // 2)
        first.searcher.save(str(tmp_path / "state"))
        again.searcher.restore(str(tmp_path / "state"))
        assert rows(again.searcher.history) == rows(first.searcher.history)
        again.take_over(first)
        again.run(at_once=2)
        check_search(again.searcher, again.candidates, self.num_candidates)

    def test_report_without_the_score_is_an_error_that_names_it(self) -> None:
        searcher = self.plain(metric="accuracy").searcher
        searcher.suggest("trial")
        searcher.on_trial_result("trial", {"score": 0.5, "training_iteration": 1})
        with pytest.raises(ConfigurationError, match="accuracy: trial trial did not report it"):
            searcher.suggest("next")

    # Partial evaluations

    def scheduled(self, **settings: Any) -> Loop:
        """Return a loop under a scheduler, which stops most candidates after 1 or 3 steps, the worse ones earlier."""
        loop = self.loop(batch_size=1, **settings)
        loop.rungs = (1, 3)

        def stops_at(text: str) -> int | None:
            score = loop.score(loop.searcher.space.parse(text))
            return 1 if score < 0.45 else 3 if score < 0.6 else None

        loop.stops_at = stops_at
        return loop

    def test_stopped_candidates_are_outcomes_after_their_steps(self) -> None:
        loop = self.scheduled().run(at_once=3, rng=np.random.default_rng(0))
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        reached = {str(row.evaluation.architecture): row.evaluation.fidelity for row in loop.searcher.history}
        assert reached == {text: loop.stops_at(text) for text in loop.candidates}
        assert len(set(reached.values())) > 1, "some candidates are stopped"
        partial = [observation.evaluation for _, observation in loop.searcher.partial_history]
        passed = {(evaluation.key, evaluation.fidelity) for evaluation in partial}
        assert all(evaluation.is_partial and math.isfinite(evaluation.score) for evaluation in partial)
        ends = {row.evaluation.key: row.evaluation.fidelity or 4 for row in loop.searcher.history}
        assert passed == {(key, rung) for key, end in ends.items() for rung in loop.rungs if rung < end}

    def test_partial_scores_may_precede_a_failure(self) -> None:
        loop = self.scheduled()
        loop.stops_at = lambda text: None
        loop.evaluation_fails = partial(_is_multiple, 2)
        loop.run(at_once=2)
        check_search(loop.searcher, loop.candidates, self.num_candidates)

    def test_paused_candidates_do_not_hold_the_search_up(self) -> None:
        for deterministic in (False, True):
            loop = self.scheduled(deterministic=deterministic)
            loop.searcher.holds_back, loop.pauses = False, True  # the order of outcomes is fixed here
            if deterministic:
                loop.searcher.simulate(2)
            loop.run(at_once=2)
            check_search(loop.searcher, loop.candidates, self.num_candidates)
            assert loop.searcher.complete

    def test_deterministic_proposals_do_not_depend_on_when_partial_scores_arrive(self) -> None:
        expected = self.scheduled(deterministic=True).run().by_batch
        for seed in range(2):
            loop = self.scheduled(deterministic=True).run(at_once=4, rng=np.random.default_rng(seed))
            assert loop.by_batch == expected, f"partial scores in shuffled order (seed {seed}) give other proposals"

    def test_saved_search_with_partial_scores_is_continued(self, tmp_path: Path) -> None:
        for deterministic in (False, True):
            first, again, replayed = (self.scheduled(deterministic=deterministic) for _ in range(3))
            first.run(at_once=3, rng=np.random.default_rng(0), batches=self.num_candidates // 2)
            assert first.searcher.partial_history
            first.searcher.save(str(tmp_path / "state"))
            again.searcher.restore(str(tmp_path / "state"))
            assert again.searcher.state() == first.searcher.state()
            again.take_over(first)
            again.run(at_once=3)
            first.drain()
            replayed.searcher.replay(list(first.searcher.history), list(first.searcher.partial_history))
            assert replayed.searcher.state() == first.searcher.state()
            done = list(first.candidates)
            check_search(replayed.searcher, done + replayed.run().candidates, self.num_candidates)
            first.run()
            check_search(again.searcher, again.candidates, self.num_candidates)
            assert not self.restores_exactly or done + replayed.candidates == first.candidates

    # Goals

    def test_constraints_are_kept(self) -> None:
        for deterministic in (False, True):
            loop = self.loop(goals=self.goals("<= 0.67"), deterministic=deterministic).run(at_once=2)
            check_search(loop.searcher, loop.candidates, self.num_candidates)
            assert all(self.weight(loop.searcher.space.parse(text)) <= 0.67 for text in loop.candidates)

    def test_what_the_constraints_leave_is_proposed_as_a_whole(self) -> None:
        space = SmallSpace(self.alternatives)
        left = {key for key, architecture in space.representatives().items() if self.weight(architecture) <= 0.2}
        settings = {"num_candidates": len(left) + 10, "batch_size": self.batch_size}
        searcher = self.searcher(space, 0, goals=self.goals("<= 0.2"), **settings)
        loop = Loop(searcher, lambda architecture: self.objective(space, architecture)).run()
        keys = {space.key(space.parse(text)) for text in loop.candidates}
        assert all(self.weight(space.parse(text)) <= 0.2 for text in loop.candidates)
        assert left <= keys, f"{len(left - keys)} structures that keep the constraint are left out"
        assert searcher.suggest("late") == Searcher.FINISHED

    def test_several_objectives_are_weighed(self) -> None:
        objectives = (Objective("score"), Objective("weight", False), Objective("length", False))
        goals = replace(self.goals("<= 0.8"), objectives=objectives)
        first = self.loop(goals=goals)
        first.metrics = {"length": lambda architecture: float(len(str(architecture)))}
        first.evaluation_fails = partial(_is_multiple, 3)
        first.run(at_once=2)
        check_search(first.searcher, first.candidates, self.num_candidates)
        assert all(suggestion["metrics"] == ["length"] for suggestion in first.suggestions)
        state = first.searcher.state()
        assert json.loads(json.dumps(state, allow_nan=False)) == state
        again = self.loop(goals=goals)
        again.searcher.load_state(state)
        fine = [row.evaluation for row in again.searcher.history if row.evaluation.ok]
        assert fine
        assert all(len(str(evaluation.architecture)) == evaluation.metrics["length"] for evaluation in fine)

    def test_an_objective_that_is_not_reported_is_a_failure_of_the_candidate(self) -> None:
        loop = self.loop(goals=Goals((Objective("score"), Objective("length", False))))
        loop.metrics = {"length": lambda architecture: math.nan}
        loop.run()
        check_search(loop.searcher, loop.candidates, self.num_candidates)
        assert {row.evaluation.error for row in loop.searcher.history} == {"the evaluation has no length"}

    def weight(self, architecture: Architecture) -> float:
        """Return the cost that the tests constrain: the fraction of genes that differ from their first value."""
        genes = self.make_space().genotype(architecture)
        return sum(gene > 0 for gene in genes) / len(genes)

    def goals(self, limit: str) -> Goals:
        """Return goals with one constraint, a limit on the weight such as `<= 0.5`."""
        relation, bound = limit.split()
        constraint = Constraint("weight", relation, float(bound))
        return Goals(
            constraints=(constraint,), costs=lambda architecture: {"weight": self.weight(architecture)}, cost_names=("weight",)
        )

    # What is known before

    def known_architectures(self, count: int) -> list[Architecture]:
        """Return random architectures of the space, each structure once."""
        space, rng = self.make_space(), np.random.default_rng(99)
        found: dict[str, Architecture] = {}
        while len(found) < count:
            architecture = space.sample(rng)
            found.setdefault(space.key(architecture), architecture)
        return list(found.values())

    def known_evaluations(self, count: int) -> list[Evaluation]:
        """Return the evaluations of such architectures."""
        space = self.make_space()
        known = self.known_architectures(count)
        return [Evaluation(each, space.key(each), self.objective(space, each), {}, 0.0) for each in known]

    def test_starts_are_proposed_first_and_counted(self) -> None:
        starts = self.known_architectures(5)
        for deterministic in (False, True):
            loop = self.loop(deterministic=deterministic)
            loop.searcher.start_with([*starts, starts[0]])
            loop.run()
            assert loop.candidates[:5] == [str(each) for each in starts]
            check_search(loop.searcher, loop.candidates, self.num_candidates)

    def test_starts_are_not_proposed_again_after_a_replay(self) -> None:
        starts = self.known_architectures(5)
        first, again = self.loop(), self.loop()
        first.searcher.start_with(starts)
        first.run(batches=1).drain()
        again.searcher.start_with(starts)
        again.searcher.replay(list(first.searcher.history))
        candidates = first.candidates + again.run().candidates
        assert candidates[:5] == [str(each) for each in starts]
        check_search(again.searcher, candidates, self.num_candidates)

    def test_starts_that_violate_a_constraint_or_are_too_many_are_refused(self) -> None:
        starts = self.known_architectures(5)
        heavy = max(starts, key=self.weight)
        with pytest.raises(ConfigurationError, match="start: expected architectures that satisfy weight <= 0"):
            self.loop(goals=self.goals("<= 0")).searcher.start_with([heavy])
        with pytest.raises(ConfigurationError, match="start: expected at most as many architectures as candidates, 4; got 5"):
            self.loop(num_candidates=4).searcher.start_with(starts)
        with pytest.raises(RunError, match="start: a searcher that has proposed candidates"):
            self.loop().run(batches=1).searcher.start_with(starts)

    def test_what_was_learned_from_others_is_not_proposed(self) -> None:
        known = self.known_evaluations(30)
        failed = replace(known[0], score=math.nan, error="no score")
        for deterministic in (False, True):
            loop = self.loop(deterministic=deterministic)
            used = loop.searcher.learn([failed, *known[1:], known[1]])
            assert used == (29 if self.learns else 0)
            loop.run()
            keys = {loop.searcher.space.key(loop.searcher.space.parse(text)) for text in loop.candidates}
            assert not keys & {evaluation.key for evaluation in known[1:]}
            check_search(loop.searcher, loop.candidates, self.num_candidates)
            assert all(row.batch >= 0 for row in loop.searcher.history), "they are no candidates of this search"

    # State

    def test_state_is_plain_data(self) -> None:
        loop = self.loop()
        loop.evaluation_fails = partial(_is_multiple, 2)
        loop.run(at_once=2, batches=6)
        state = loop.searcher.state()
        assert json.loads(json.dumps(state, allow_nan=False)) == state

    def test_saved_search_is_continued(self, tmp_path: Path) -> None:
        for deterministic in (False, True):
            first, again = self.loop(deterministic=deterministic), self.loop(deterministic=deterministic)
            first.run(at_once=2, batches=6)
            assert first.open, "trials are open when the state is saved"
            first.searcher.save(str(tmp_path / "state"))
            again.searcher.restore(str(tmp_path / "state"))
            assert rows(again.searcher.history) == rows(first.searcher.history), "the history is kept"
            again.take_over(first)
            first.run(at_once=2)
            again.run(at_once=2)
            check_search(again.searcher, again.candidates, self.num_candidates)
            assert not self.restores_exactly or again.candidates == first.candidates, (
                "a restored searcher proposes what the saved one would have"
            )

    def test_wrong_states_are_refused(self, tmp_path: Path) -> None:
        started = self.loop(seed=0).run(batches=2)
        started.searcher.save(str(tmp_path / "state"))
        (tmp_path / "no-state").write_text('{"space": "nas')
        assert _refuses(self.loop(seed=1).searcher, tmp_path / "state"), "a state of another seed"
        assert _refuses(self.loop(seed=0).searcher, tmp_path / "no-state"), "half a state"
        assert _refuses(started.searcher, tmp_path / "state"), "a state for a searcher that has proposed candidates"

    def test_replay_brings_back_the_searcher_that_made_the_outcomes(self) -> None:
        for deterministic in (False, True):
            first, again = self.loop(deterministic=deterministic).run(batches=6).drain(), self.loop(deterministic=deterministic)
            again.searcher.replay(list(first.searcher.history))
            assert again.searcher.num_proposed == first.searcher.num_proposed
            assert again.searcher.state() == first.searcher.state()
            candidates = first.candidates + again.run().candidates
            check_search(again.searcher, candidates, self.num_candidates)
            assert not self.restores_exactly or candidates == first.run().candidates

    # The ledger

    def test_known_candidates_are_answered_without_a_trial(self) -> None:
        first = self.loop().run()
        known = {row.evaluation.key: row.evaluation for row in first.searcher.history[::2]}
        loop = self.loop()
        loop.searcher.ledger = known
        heard: list[Observation] = []
        loop.searcher.on_outcomes = heard.extend
        loop.run()
        paid = {loop.searcher.space.key(loop.searcher.space.parse(text)) for text in loop.candidates}
        reused = {row.evaluation.key for row in loop.searcher.history if row.reused}
        assert reused, "candidates that are known are taken from the ledger"
        assert not paid & set(known), "known candidates are paid for again"
        assert reused <= set(known)
        assert len(paid) + len(reused) == len(loop.searcher.history) == self.num_candidates
        assert rows(heard) == rows(loop.searcher.history), "on_outcomes hears of all outcomes"

    def test_search_that_is_known_as_a_whole_needs_no_trial(self) -> None:
        first = self.loop(deterministic=True).run()
        again = self.loop(deterministic=True)
        again.searcher.ledger = {row.evaluation.key: row.evaluation for row in first.searcher.history}
        assert again.run().suggestions == []
        assert [row.evaluation.key for row in again.searcher.history] == [row.evaluation.key for row in first.searcher.history]
        assert again.searcher.complete


class SearcherConformance(_AnySearcher):
    """Tests of one searcher. Subclass it at the top level of a test file, and return the searcher from `make_searcher`.

    No Ray cluster is needed: a `Loop` stands in for Ray Tune. Searchers with a surrogate in a model pool subclass
    `SurrogateSearcherConformance` instead.

    Attributes:
        num_candidates: Number of candidates of a search.
        batch_size: Number of candidates of a batch; 1 in tests of the order of outcomes.
        alternatives: Number of operators of the space that is searched completely; 2 leave 8 structures, 3 leave 127.
        restores_exactly: Whether a restored searcher must propose exactly what the saved one would have.
        learns: Whether the method uses evaluations of others; if not, it only avoids their structures.
    """

    def test_fresh_process_proposes_the_same(self) -> None:
        fresh = in_fresh_process(self, "subject.proposals(0)")
        assert fresh == self.proposals(0), "a fresh process proposes other candidates"

    def test_pickled_search_is_continued(self) -> None:
        loop = self.loop().run(at_once=2, batches=6)
        copy = Loop(pickle.loads(pickle.dumps(loop.searcher)), loop.score)
        copy.take_over(loop)
        assert copy.run(at_once=2).candidates == loop.run(at_once=2).candidates


class SharedPools:
    """Names one shared model pool for each kind of space, so that the searches of a test file need not each start actors.

    The searcher that first uses a name makes the pool; leaving the context shuts all pools down.
    """

    def __init__(self) -> None:
        self._prefix = f"tests-{uuid.uuid4().hex[:8]}"
        self._names: set[str] = set()

    def name_for(self, space: SearchSpace) -> str:
        """Return the name of the pool for searches of this kind of space."""
        name = f"{self._prefix}-{type(space).__name__}"
        self._names.add(name)
        return name

    def __enter__(self) -> SharedPools:
        return self

    def __exit__(self, *exception: object) -> None:
        for name in self._names:
            with suppress(PoolError):  # no search has made it
                ModelPool.attach(name).shutdown()


class SurrogateSearcherConformance(_AnySearcher):
    """Tests of one `SurrogateSearcher`, in a local Ray of two CPUs that is started if there is none.

    Searches of one kind of space share a pool, whose name `make_searcher` gets in its settings. Make the stages short, such as
    `initial=10, stage_size=5`. Only a deterministic search must continue exactly after it was pickled, because another one
    fits again; proposals in another process are not compared, because it has no access to the pool.

    Example:
        >>> class TestMySearcher(SurrogateSearcherConformance):
        ...     def make_searcher(self, space, seed, **settings):
        ...         return MySearcher(space, seed, initial=10, stage_size=5, **settings)
    """

    restores_exactly = False
    _pools: ClassVar[SharedPools]
    _opened: ClassVar[list[ArchitectureSearcher]]

    @pytest.fixture(scope="class", autouse=True)
    def shared_pools(self, request: pytest.FixtureRequest) -> Iterator[SharedPools]:
        """Pools that end with the tests of the class, and with them Ray if it was started here."""
        starts_ray = not ray.is_initialized()
        connect(num_cpus=2)
        with SharedPools() as pools:
            request.cls._pools, request.cls._opened = pools, []
            yield pools
            # The threads of searches that tests have left would start another Ray when they call the pool after its end.
            for searcher in request.cls._opened:
                searcher.close()
        if starts_ray:
            ray.shutdown()

    def searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        searcher = self.make_searcher(space, seed, pool=self._pools.name_for(space), **settings)
        searcher.open(cpus=_CPUS_OF_A_POOL)
        self._opened.append(searcher)
        return searcher

    def test_pickled_search_is_continued(self) -> None:
        for batches in (6, 22):  # in the random stage, and in one that follows a fit
            loop = self.loop(deterministic=True, batch_size=1).run(at_once=2, batches=batches)
            copy = Loop(pickle.loads(pickle.dumps(loop.searcher)), loop.score)
            copy.take_over(loop)
            assert copy.run(at_once=2).candidates == loop.run(at_once=2).candidates


class TrainedOnceConformance(SurrogateSearcherConformance):
    """Tests of one searcher whose model is trained once, whatever the outcomes, and kept in a folder of trained models.

    The searches of a class share a folder, which `make_searcher` gets as `cache` in its settings, so that few are trained.

    Example:
        >>> class TestMySupernet(TrainedOnceConformance):
        ...     def make_searcher(self, space, seed, **settings):
        ...         return MySupernet(space, seed, steps=6, stage_size=5, **settings)
    """

    learns = False
    _cache: ClassVar[Path]

    @pytest.fixture(scope="class", autouse=True)
    def shared_cache(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A folder for the trained models of the class."""
        request.cls._cache = tmp_path_factory.mktemp("cache")

    def searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return super().searcher(space, seed, cache=self._cache, **settings)


def check_search(searcher: ArchitectureSearcher, candidates: Sequence[str], expected: int) -> None:
    """Assert that `expected` candidates were proposed, each structure once, as texts that parse back, and all with an outcome."""
    space = searcher.space
    assert all(str(space.parse(text)) == text for text in candidates)
    keys = [space.key(space.parse(text)) for text in candidates]
    assert len(set(keys)) == len(keys), "a structure was proposed twice"
    assert len(keys) == searcher.num_proposed == len(searcher.history) == expected


def rows(observations: Sequence[Observation]) -> list[tuple[int, int, str, str | None]]:
    """Return comparable rows of observations, with scores as strings, because NaN is not equal to NaN."""
    return [
        (row.batch, row.position, f"{row.evaluation.key} {row.evaluation.score}", row.evaluation.error) for row in observations
    ]


def _is_multiple(divisor: int, text: str) -> bool:
    return sum(text.encode()) % divisor == 0


def _refuses(searcher: ArchitectureSearcher, path: Path) -> bool:
    """Return whether restoring a state raises RunError."""
    try:
        searcher.restore(str(path))
    except RunError:
        return True
    return False

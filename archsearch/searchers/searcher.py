"""Base class of all searchers: batches of unique candidates for Ray Tune."""

from __future__ import annotations

import json
import math
import time
import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from archsearch.atomic_file import written_atomically
from archsearch.cluster.connection import cluster_cpus
from archsearch.cluster.placement import Request, require_room
from archsearch.cluster.trials.batch_size import BatchSizer
from archsearch.cluster.trials.experiment_state import keep_complete_state
from archsearch.cluster.trials.running_experiment import STEPS, request_of, running_experiment, steps_if_stopped
from archsearch.declarations import AtLeast
from archsearch.errors import ArchSearchError, ConfigurationError, RunError, check_kind, first_line
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.plain_number import plain_number
from archsearch.fixed_options import FixedOptions
from archsearch.searchers.goals import SCORE, Goals
from archsearch.searchers.observation import (
    Observation,
    evaluation_from_row,
    evaluation_to_row,
    observation_from_row,
    observation_to_row,
)
from archsearch.searchers.trial_report import outcome_of_report
from archsearch.searchers.unique_candidates import Patience, UniqueCandidates
from archsearch.spaces import Architecture, SearchSpace


@dataclass(slots=True)
class _Batch:
    """An open batch: its candidates, and the evaluations that are known, by position."""

    number: int
    candidates: list[Architecture]
    known: dict[int, Evaluation]

    @property
    def open(self) -> list[int]:
        return [position for position in range(len(self.candidates)) if position not in self.known]


class ArchitectureSearcher(FixedOptions, Searcher):
    """Proposes batches of architectures, each canonical structure once.

    A subclass implements `propose` and may learn from outcomes in `observe`. The base class draws batches, drops structures that
    were proposed before, takes known evaluations from the ledger, and saves and restores the state.

    It is a search algorithm of Ray Tune, for `TuneConfig(search_alg=...)`. A suggestion, the `config` of a trial, is
    `{"batch": number, "candidates": [text, ...]}`, with `architecture`, the text, if there is one candidate. The trial of one
    candidate reports its `metric`: `tune.report({"score": 0.9})`. The first trials have one candidate each; as long as they
    report no `scores`, all have.

    The trial of a batch reports `scores` and may report `seconds` and `errors`, lists in the order of the candidates (see
    `archsearch.cluster.BatchTrial`). If the ledger holds others of the batch, `positions` holds the positions of these candidates
    in it. Its `fidelities`, if it has them, hold the number of steps after which each candidate was stopped, or None for a
    complete evaluation.

    In a user's own experiment of Tune, `num_samples` is the number of candidates unless `num_candidates` is given. Then the
    searcher ends the experiment after `num_candidates`, and fewer samples are refused. What the searcher keeps in the cluster
    starts before the first trial, without reserving CPUs, and ends with the experiment.

    The random numbers of a batch depend only on the seed and the batch's number. `ledger_changes_course` says whether the
    candidates depend on what the ledger holds. With `deterministic=True` batch b is proposed
    from the outcomes of batches 0 to b - `lag`, in their order, whatever else has arrived: 1 worker and `lag` workers give the
    same candidates. Batches then have a fixed size.

    Args:
        space: Space to search.
        seed: Seed of all proposals.
        num_candidates: Number of candidates to propose; None leaves the end to Tune's `num_samples`.
        batch_size: Number of candidates in a trial; None chooses it from the measured cost of a candidate, if trials report
            `scores`.
        deterministic: Whether proposals must not depend on the order in which outcomes arrive.
        lag: Number of batches that may be open at once when `deterministic`.
        goals: Objectives and constraints; None is the score alone. Candidates that violate a constraint are never suggested.
        metric: Name of what trials report as the score; None takes that of `TuneConfig`, or else `score`.
        mode: `max` if larger scores are better, `min` if smaller ones are, which count as their negatives here; None takes that
            of `TuneConfig`, or else `max`.
        workers: Number of trials at once; None takes `max_concurrent_trials`, or else the CPUs of the cluster.

    Raises:
        ConfigurationError: An argument is out of range.

    Example:
        >>> from archsearch import searchers, spaces
        >>> class Uniform(searchers.ArchitectureSearcher):
        ...     def propose(self, count, rng):
        ...         return [self.space.sample(rng) for _ in range(count)]
        >>> len(Uniform(spaces.get("nasbench201"), seed=0, batch_size=8).suggest("t0")["candidates"])
        8
    """

    largest_batch = 10_000
    patience = Patience()
    fixed_options: ClassVar[tuple[str, ...]] = ("space", "seed", "goals", "num_candidates", "metric", "mode", "workers")
    """Arguments of the constructor that the platform or the class itself sets, so that a user cannot give them as options."""

    changeable: ClassVar[frozenset[str]] = frozenset({"num_candidates", "workers"})

    workers: int
    """Number of trials at once; the last candidates are shared among them."""
    ledger: Mapping[str, Evaluation]
    """Known evaluations by key; their candidates are not evaluated again."""
    ledger_root: str | None = None
    """Folder of all ledgers, where a method may keep figures of its own; a search sets it."""
    on_outcomes: Callable[[Sequence[Observation]], None]
    """Called with the observations of each batch that is complete."""
    holds_back: bool
    """Whether outcomes that arrive before those of earlier batches wait for them, if deterministic; a runner whose outcomes come
    in an order that does not depend on the speed of workers sets it to False."""
    notes: tuple[str, ...] = ()
    """Sentences on how the method was set up, for the log and the report."""
    seconds: float
    """Seconds spent on proposing and learning."""
    costs: dict[str, float]
    """Seconds that the method spent in actors, by part, such as `fitting`."""

    def __init__(
        self,
        space: SearchSpace,
        seed: Annotated[int, AtLeast(0)] = 0,
        *,
        num_candidates: Annotated[int, AtLeast(1)] | None = None,
        batch_size: Annotated[int, AtLeast(1)] | None = None,
        deterministic: bool = False,
        lag: Annotated[int, AtLeast(1)] = 4,
        goals: Goals | None = None,
        metric: str | None = None,
        mode: Literal["max", "min"] | None = None,
        workers: Annotated[int, AtLeast(1)] | None = None,
    ) -> None:
        if metric == "":
            raise ConfigurationError("metric: expected the name of what trials report, such as 'score'; got an empty string.")
        super().__init__(metric=metric, mode=mode)
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("goals", goals, (Goals, NoneType), "Goals, such as those of goals_for(evaluator)")
        self.space, self.seed, self.num_candidates = space, seed, num_candidates
        self.deterministic, self.lag = deterministic, lag
        self._goals = goals or Goals()
        fixed = batch_size if batch_size or not deterministic else 1
        self.sizer = BatchSizer(largest=self.largest_batch, fixed=fixed)
        self.workers = workers or 1
        self._knows_workers = workers is not None
        self._goal_given = metric, mode
        self._experiment: weakref.ref[Any] | None = None
        self._counts_samples = self._fits = False
        self._scheduler: TrialScheduler | None = None
        self._refusal: ArchSearchError | None = None  # what Tune would hide, until it can be raised
        self._shown: dict[str, int] = {}  # number of reports of each open trial
        self.ledger: Mapping[str, Evaluation] = {}
        self.on_outcomes: Callable[[Sequence[Observation]], None] = _ignore
        self.exhausted = False
        self.holds_back = True
        self._unique = UniqueCandidates(space, self.patience)
        self._starts: tuple[Architecture, ...] = ()
        self._num_started = self._num_learned = 0
        self._history: list[Observation] = []
        self._partial: list[tuple[int, Observation]] = []  # with the number of outcomes that had arrived before
        self._undelivered_partial: dict[int, list[Observation]] = {}
        self.details: Mapping[str, Any] = {}  # small arrays of a surrogate's last stage, for figures
        self._batches: dict[int, _Batch] = {}
        self._paused: dict[int, _Batch] = {}
        self._trials: dict[str, int] = {}
        self._undelivered: dict[int, list[Observation]] = {}
        self._ready: deque[_Batch] = deque()
        self._next_batch = self._next_delivery = 0
        self.seconds = 0.0
        self.costs = {}

    @property
    def batch_size(self) -> int | None:
        """Number of candidates in a trial; None chooses it from the measured cost of a candidate."""
        return self.sizer.fixed

    @property
    def goals(self) -> Goals:
        """Objectives and constraints; `adopt` replaces them."""
        return self._goals

    # Methods for subclasses

    @abstractmethod
    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Return up to `count` candidates. The caller drops duplicates and asks again.

        Args:
            count: Number of candidates.
            rng: Random generator of the batch.
        """

    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn from observations; they hold only the metrics that are objectives."""

    def observe_partial(self, observations: Sequence[Observation]) -> None:
        """Learn from candidates that were evaluated in part and may go on; by default nothing.

        They are not part of `history`. `observe` gets each candidate once, with its last outcome, when it goes on no more.
        """

    def draw(self, size: int, rng: np.random.Generator) -> list[Architecture]:
        """Return the new and feasible candidates of the next batch, from `propose`; fewer than `size` if there are no more.

        Args:
            size: Number of candidates.
            rng: Random generator of the batch.
        """
        return self._unique.draw(size, rng, self.goals, self.propose, self.reject)

    @property
    def ledger_changes_course(self) -> bool:
        """Whether the candidates depend on which evaluations the ledger holds already.

        Known outcomes arrive at once, so the next batch is proposed from other outcomes and may have another size. With
        `deterministic=True` neither depends on when outcomes arrive.
        """
        return not self.deterministic

    def adopt(self, goals: Goals) -> None:
        """Replace the goals before anything is proposed.

        Raises:
            ConfigurationError: The method does not support them.
        """
        self._goals = goals

    def reject(self, architecture: Architecture, excess: float) -> None:
        """Learn that a proposal violates the constraints, by `excess` as in `Goals.excess`; it will not be evaluated."""

    def ready(self) -> bool:
        """Return whether a batch can be proposed now; True whenever no trial is open."""
        return True

    def room(self) -> int:
        """Return the largest size of the next batch, at least 1."""
        return self.largest_batch

    # Called by the platform

    @property
    def starts(self) -> tuple[Architecture, ...]:
        """Architectures that are proposed first."""
        return self._starts

    def start_with(self, architectures: Sequence[Architecture]) -> None:
        """Propose these architectures first, each structure once; they count as candidates. Call it before `learn`.

        A searcher whose state is restored, or that replays a history, must have got the same ones before.

        Raises:
            ConfigurationError: They are more than `num_candidates`, or one violates the constraints.
            ArchitectureError: One is of another space.
            RunError: This searcher has proposed candidates.
        """
        self._check_unused("start")
        by_key: dict[str, Architecture] = {}
        for architecture in architectures:
            by_key.setdefault(self.space.key(architecture), architecture)
            if self.goals.excess(architecture) > 0.0:
                bounds = " and ".join(map(str, self.goals.constraints))
                raise ConfigurationError(
                    f"start: expected architectures that satisfy {bounds}; got {architecture}. Leave it out."
                )
        if self.num_candidates is not None and len(by_key) > self.num_candidates:
            raise ConfigurationError(
                f"start: expected at most as many architectures as candidates, {self.num_candidates}; got {len(by_key)}. Give "
                "more candidates."
            )
        self._starts = tuple(by_key.values())

    def learn(self, evaluations: Sequence[Evaluation]) -> int:
        """Learn from evaluations of others before anything is proposed, and return how many the method used.

        They are no candidates of this search and cost nothing, and their structures are not proposed, apart from those of
        `start_with`. Failed evaluations, those without the metric of an objective, and repeated structures are left out.

        Raises:
            RunError: This searcher has proposed candidates.
        """
        self._check_unused("learn_from")
        first = {self.space.key(architecture) for architecture in self._starts} | self._unique.known
        found: dict[str, Evaluation] = {}
        for evaluation in map(self._seen, evaluations):
            if evaluation.ok and evaluation.key not in first:
                found.setdefault(evaluation.key, evaluation)
        self._unique.known |= found.keys()
        best_last = sorted(found.values(), key=self.goals.order)  # a method that forgets the oldest keeps the best
        used = self.learned([Observation(-1, place, evaluation, True) for place, evaluation in enumerate(best_last)])
        self._num_learned += used
        return used

    learns_from_others: ClassVar[bool] = True
    """Whether outcomes of others teach the method anything; else it only leaves out their structures."""

    def learned(self, observations: Sequence[Observation]) -> int:
        """Learn from evaluations of others, worst first, and return how many were used."""
        self.observe(observations)
        return len(observations)

    def _check_unused(self, argument: str) -> None:
        if self._next_batch:
            raise RunError(f"{argument}: a searcher that has proposed candidates cannot take others; make a new one.")

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the searcher's options for an evaluator; searchers that learn from images add the evaluator's dataset.

        Args:
            evaluator: Evaluator of the candidates.
            options: Options of the user, which take precedence.

        Raises:
            ConfigurationError: The searcher does not support this evaluator.
        """
        return dict(options)

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        """Return options completed by those whose defaults depend on the number of candidates, for a run that gets more of them.

        Args:
            options: Options of the user.
            num_candidates: Number of candidates with which the run was started.
        """
        return dict(options)

    @property
    def reserved_cpus(self) -> float:
        """Number of CPUs that `open` reserves, besides those of the trials."""
        return 0.0

    def actor_requests(self, cpus: float) -> list[Request]:
        """Return what each process reserves that `open` starts, besides the trials.

        Args:
            cpus: CPUs that the actors reserve together, at most `reserved_cpus`.
        """
        return []

    def open(self, cpus: float | None = None) -> None:
        """Start actors in the cluster, before the first suggestion.

        Args:
            cpus: Number of CPUs to reserve; None takes `reserved_cpus`.
        """

    def reserved(self) -> list[Request]:
        """Return what each actor reserves that `open` has started."""
        return []

    def close(self) -> None:
        """End the actors that `open` started."""

    @property
    def figures(self) -> dict[str, float]:
        """Metrics of the method itself, for the tracker."""
        return {}

    @property
    def groups(self) -> Mapping[str, Collection[str]]:
        """Keys of evaluated candidates by how they were chosen, the method's choice first; empty if there is one way."""
        return {}

    @property
    def ranked(self) -> Mapping[str, float]:
        """Predictions by key of candidates that were ranked before any evaluation, higher is better; empty if none were.

        They are the first rung of the search; see `archsearch.searchers.funnel`.
        """
        return {}

    @property
    def first_scores(self) -> Mapping[str, float]:
        """Scores by key after the smallest number of steps at which candidates were scored, complete ones without a scheduler.

        Groups of candidates can be compared by them, also if only the better ones were evaluated further.
        """
        evaluations = [*(observation.evaluation for _, observation in self._partial), *(row.evaluation for row in self._history)]
        scored = [evaluation for evaluation in evaluations if evaluation.ok]
        steps = min((evaluation.fidelity for evaluation in scored if evaluation.fidelity is not None), default=None)
        return {evaluation.key: evaluation.score for evaluation in scored if evaluation.fidelity == steps}

    def simulate(self, workers: int) -> None:
        """Prepare for workers that are simulated: proposals then do not depend on how long a fit takes.

        Args:
            workers: Number of simulated workers.
        """
        self.workers = workers

    # Called by Ray Tune

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next batch, `FINISHED` after the last one, or None if it must wait for outcomes.

        Raises:
            ConfigurationError: The settings of Tune contradict those of the searcher, or a report lacks what it needs.
            PoolError: What the searcher keeps in the cluster cannot be started.
        """
        self._join()
        self._raise_refusal()
        if not self.prepare():
            return None if (self._batches or self._paused) and not self.finished else Searcher.FINISHED
        batch = self._ready.popleft()
        self._trials[trial_id] = batch.number
        candidates = [str(batch.candidates[position]) for position in batch.open]
        alone: dict[str, Any] = {"architecture": candidates[0]} if len(candidates) == 1 else {}
        suggestion = {**alone, "batch": batch.number, "candidates": candidates}
        if batch.known:
            suggestion["positions"] = batch.open
        return {**suggestion, "metrics": list(self.goals.metrics)} if self.goals.metrics else suggestion

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Store the outcomes of a batch; without a result all its candidates count as failed."""
        started = time.perf_counter()
        batch, shown = self._open_batch(self._trials.pop(trial_id, None)), self._shown.pop(trial_id, 0)
        if batch is None:
            return
        positions, outcome, reason = batch.open, None, "the trial died"
        if result and not error:
            try:
                outcome = self._reported(trial_id, batch, result, steps_if_stopped(self._scheduler, result, shown))
            except ConfigurationError as lacks:
                self._refusal, reason = lacks, str(lacks)
        for index, position in enumerate(positions):
            batch.known[position] = self._evaluation(batch.candidates[position], outcome, index, reason)
        if outcome and "scores" in (result or {}):
            self.sizer.observe(len(positions), _batch_seconds(outcome))
        reused = outcome.get("reused", []) if outcome else []
        self._complete(batch, paid={position for index, position in enumerate(positions) if not any(reused[index : index + 1])})
        self.seconds += time.perf_counter() - started

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Pass partial outcomes on to `observe_partial`.

        Where the result says `paused`, other candidates run before this one goes on, if it ever does: until its next result no
        proposal waits for it.
        """
        started = time.perf_counter()
        batch = self._open_batch(self._trials.get(trial_id))
        if batch is None:
            return
        steps = result.get(STEPS)
        try:
            outcome = self._reported(trial_id, batch, result, steps if self._scheduler else None)
        except ConfigurationError as lacks:
            self._refusal = lacks  # it is raised after this step of Tune, which would hide it here
            return
        self._shown[trial_id] = steps if type(steps) is int else 0
        candidates = [batch.candidates[place] for place in batch.open]
        found = [self._evaluation(candidate, outcome, index) for index, candidate in enumerate(candidates)]
        rows = [Observation(batch.number, place, each, False) for place, each in zip(batch.open, found, strict=True)]
        self.take_partial([row for row in rows if row.evaluation.is_partial])
        before, after = (self._batches, self._paused) if result.get("paused", False) else (self._paused, self._batches)
        if batch.number in before:
            after[batch.number] = before.pop(batch.number)
        self.seconds += time.perf_counter() - started

    def _reported(self, trial_id: str, batch: _Batch, report: Mapping[str, Any], steps: int | None) -> Mapping[str, Any]:
        """Return what a trial has reported as the outcome of its batch; see `outcome_of_report`."""
        metric, mode = self._metric or SCORE, self._mode or "max"
        return outcome_of_report(report, trial_id, len(batch.open), metric, mode, self.goals.metrics, steps)

    def _raise_refusal(self) -> None:
        """Raise what was refused where Tune would have hidden it, once."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal

    def _open_batch(self, number: int | None) -> _Batch | None:
        """Return a batch whose outcomes are not complete."""
        return None if number is None else self._batches.get(number) or self._paused.get(number)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Take metric and mode of `TuneConfig`; return False, because the searcher has its space: `param_space` holds constants.

        Raises:
            ConfigurationError: The searcher was made with another metric or mode.
        """
        self._take_goal(metric, mode)
        return False

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Note the number of trials at once; return False: Tune itself keeps to it."""
        self.workers, self._knows_workers = max_concurrent, True
        return False

    def _take_goal(self, metric: str | None, mode: str | None) -> None:
        for name, own, given in zip(("metric", "mode"), self._goal_given, (metric, mode), strict=True):
            if own is not None and given is not None and own != given:
                raise ConfigurationError(
                    f"{name}: the searcher was made with {name}={own!r}, and TuneConfig has {name}={given!r}. Give both the "
                    "same, or only one of them."
                )
        self._metric, self._mode = metric or self._metric, mode or self._mode

    def _join(self) -> None:
        """Take the settings of the experiment of Tune that calls, if it is a new one, and start actors before its trials.

        Raises:
            ConfigurationError: Its settings contradict those of the searcher.
            PoolError: The actors cannot be started.
        """
        experiment = running_experiment(self)
        if experiment is None:
            return
        if self._experiment is None or self._experiment() is not experiment.controller:
            self._take_goal(experiment.metric, experiment.mode)
            self._experiment, self._scheduler = weakref.ref(experiment.controller), experiment.scheduler
            self._counts_samples, self._fits = True, False
            if not self._knows_workers:
                self.workers = max(1, int(cluster_cpus()))
            experiment.follow(self._after_step, self.close)
            # Trials may take all CPUs. Actors that reserve some could wait for them for ever, and wide trials for the actors.
            self.open(cpus=0.0)
        if self._counts_samples and (samples := experiment.num_samples) is not None:
            self._counts_samples = False
            self._take_samples(samples)

    def _after_step(self, trials: Sequence[Trial]) -> None:
        """Raise what Tune would have hidden in the step; after the first one with a trial, check that there is room for it.

        Raises:
            ArchSearchError: A report lacked something, or a trial does not fit beside the actors and would wait for ever.
        """
        self._raise_refusal()
        if trials and not self._fits:
            self._fits = True
            if actors := self.reserved():
                require_room([*actors, request_of(trials[0])])

    def _take_samples(self, samples: int) -> None:
        """Take the number of Tune's trials for the number of candidates.

        Raises:
            ConfigurationError: They are fewer than `num_candidates`.
        """
        size = self.batch_size or 1
        if self.num_candidates is None:
            self.num_candidates = samples * size
        elif samples * size < self.num_candidates:
            raise ConfigurationError(
                f"num_samples: Tune ends the experiment after {samples} trials of {size}, and num_candidates is "
                f"{self.num_candidates}. Give TuneConfig(num_samples=-1), and the searcher ends it; or leave num_candidates out."
            )

    def save(self, checkpoint_path: str) -> None:
        """Write the state atomically as JSON."""
        with written_atomically(Path(checkpoint_path), durable=False) as temporary:
            temporary.write_text(json.dumps(self.state()))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Write the state into the folder of an experiment, and a copy of Tune's own state, which is complete by now."""
        super().save_to_dir(checkpoint_dir, session_str)
        keep_complete_state(checkpoint_dir, session_str)

    def restore(self, checkpoint_path: str) -> None:
        """Read a state that `save` wrote, into a searcher made with the same arguments.

        Raises:
            RunError: The file is not such a state, or is of another space or seed.
        """
        try:
            self.load_state(_read_state(checkpoint_path))
            self._join()
        except ArchSearchError as error:
            if running_experiment(self) is not None:
                self._refusal = error  # Tune logs it and begins a new search
            raise

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles the searcher, for `Tuner.restore`; the caller's hooks and the ledger's content are not part of it.
        fresh: dict[str, Any] = {"_experiment": None, "_scheduler": None, "_refusal": None, "_shown": {}}
        return {**self.__dict__, "on_outcomes": _ignore, "ledger": {}, **fresh}

    # State as plain data

    @property
    def history(self) -> Sequence[Observation]:
        """All observations so far, in the order of arrival."""
        return self._history

    @property
    def partial_history(self) -> Sequence[tuple[int, Observation]]:
        """The partial evaluations of open candidates so far, each with the length of the `history` when it arrived."""
        return self._partial

    @property
    def num_proposed(self) -> int:
        """Number of candidates proposed so far."""
        return len(self._unique.keys)

    def was_proposed(self, architecture: Architecture) -> bool:
        """Return whether a candidate with the same key was proposed before, or its outcome was learned."""
        return self._unique.is_taken(self.space.key(architecture))

    @property
    def finished(self) -> bool:
        """Whether nothing more will be proposed."""
        return self.exhausted or (self.num_candidates is not None and self.num_proposed >= self.num_candidates)

    @property
    def complete(self) -> bool:
        """Whether nothing more will be proposed and no batch is open."""
        return self.finished and not self._batches and not self._paused

    def state(self) -> dict[str, Any]:
        """Return the state as plain data, for `load_state`."""
        partial = [{"after": after, **observation_to_row(observation)} for after, observation in self._partial]
        return {
            **({"partial": partial} if partial else {}),
            "space": self.space.name,
            "seed": self.seed,
            "next_batch": self._next_batch,
            "history": [observation_to_row(observation) for observation in self._history],
            "batches": [
                {
                    "number": batch.number,
                    "candidates": [str(architecture) for architecture in batch.candidates],
                    "known": {str(position): evaluation_to_row(known) for position, known in batch.known.items()},
                }
                for batch in (*self._batches.values(), *self._paused.values())
            ],
            "trials": dict(self._trials),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a state: replay its observations and reopen its batches.

        Raises:
            RunError: The state is of another space or seed, or this searcher has proposed candidates.
        """
        if (state.get("space"), state.get("seed")) != (self.space.name, self.seed):
            raise RunError(
                f"state: expected one of {self.space.name} with seed {self.seed}; "
                f"got {state.get('space')} with seed {state.get('seed')}."
            )
        partial = [(row["after"], observation_from_row(row, self.space)) for row in state.get("partial", [])]
        history = [observation_from_row(row, self.space) for row in state["history"]]
        self.replay(history, partial) if partial else self.replay(history)
        self._next_batch = max(self._next_batch, state["next_batch"])
        for row in state["batches"]:
            candidates = [self.space.parse(text) for text in row["candidates"]]
            known = {int(position): evaluation_from_row(known, self.space) for position, known in row["known"].items()}
            batch = _Batch(row["number"], candidates, known)
            self._batches[batch.number] = batch
            if batch.number not in state["trials"].values():
                self._ready.append(batch)
            self._unique.keys.update(self.space.key(architecture) for architecture in candidates)
        self._trials = dict(state["trials"])

    def reopen(self, candidates: Sequence[tuple[int, Architecture]]) -> None:
        """Take up candidates that an earlier part of this search had proposed and not finished: they are suggested next.

        Args:
            candidates: The number of the batch and the architecture of each; those that `replay` has taken are left out.
        """
        for number, architecture in candidates:
            self._next_batch = max(self._next_batch, number + 1)
            key = self.space.key(architecture)
            if key in self._unique.keys:
                continue
            self._unique.keys.add(key)
            batch = self._batches[number] = _Batch(number, [architecture], {})
            self._ready.append(batch)

    def replay(self, observations: Sequence[Observation], partial: Sequence[tuple[int, Observation]] = ()) -> None:
        """Take observations of an earlier part of this search, in the order in which they arrived.

        Args:
            observations: Outcomes.
            partial: Partial evaluations, each with the number of outcomes that had arrived before it, as `partial_history`.

        Raises:
            RunError: This searcher has proposed candidates.
        """
        if self._next_batch:
            raise RunError("replay: a searcher that has proposed candidates cannot take the history of another; make a new one.")
        observations = [replace(observation, evaluation=self._seen(observation.evaluation)) for observation in observations]
        for observation in observations:
            self._unique.keys.add(observation.evaluation.key)
            self._next_batch = max(self._next_batch, observation.batch + 1)
        by_batch: dict[int, list[Observation]] = {}
        for observation in observations:
            by_batch.setdefault(observation.batch, []).append(observation)
        self._history.extend(observations)
        held = self.deterministic and self.holds_back
        if held:
            self._undelivered = by_batch
            self._next_delivery = 0
        done = 0
        for after, found in partial:
            if not held and after > done:
                self.observe(observations[done:after])
            done = max(done, after)
            self.take_partial([found], after)
        if not held:
            self.observe(observations[done:])

    def take_partial(self, observations: Sequence[Observation], after: int | None = None) -> None:
        """Take partial evaluations of open candidates, and let the method learn from them.

        If deterministic, the method sees those of a batch just before the outcome of the batch.

        Args:
            observations: The partial evaluations.
            after: Number of outcomes that had arrived before; None if they arrive now.
        """
        place = len(self._history) if after is None else after
        found = [replace(observation, evaluation=self._seen(observation.evaluation)) for observation in observations]
        self._partial += [(place, observation) for observation in found]
        if not (self.deterministic and self.holds_back):
            self.observe_partial(found)
            return
        for observation in found:
            self._undelivered_partial.setdefault(observation.batch, []).append(observation)

    # Batches

    def prepare(self) -> bool:
        """Draw the next batch with a candidate to evaluate; return whether there is one.

        Batches whose candidates are all in the ledger are completed from it on the way.
        """
        started = time.perf_counter()
        if not self._ready and (batch := self._next()):
            self._ready.append(batch)
        self.seconds += time.perf_counter() - started
        return bool(self._ready)

    def _next(self) -> _Batch | None:
        while not self.finished and self._deliver() and self.ready():
            number, self._next_batch = self._next_batch, self._next_batch + 1
            batch = self._draw(number)
            if not batch.candidates:
                break
            self._batches[number] = batch
            if batch.open:
                return batch
            self._complete(batch, paid=set())
        return None

    def _draw(self, number: int) -> _Batch:
        remaining = math.inf if self.num_candidates is None else self.num_candidates - self.num_proposed
        size = self.sizer.next(int(min(remaining, self.largest_batch, self.room())), self.workers)
        candidates = self._next_starts(size)
        if not candidates:
            self._unique.patience = self.patience  # whatever has been set since
            candidates = self.draw(size, np.random.default_rng([self.seed, number]))
            self.exhausted = self.exhausted or len(candidates) < size
        return _Batch(number, candidates, self._from_ledger(candidates))

    def _next_starts(self, size: int) -> list[Architecture]:
        """Return up to `size` of the architectures to start with that were not proposed yet."""
        if self._num_started == len(self._starts):
            return []
        keys = {self.space.key(each): each for each in self._starts}
        open_ones = {key: each for key, each in keys.items() if key not in self._unique.keys}
        chosen = dict(list(open_ones.items())[:size])
        self._num_started = len(self._starts) - len(open_ones) + len(chosen)
        self._unique.keys.update(chosen)
        return list(chosen.values())

    def _evaluation(
        self, architecture: Architecture, outcome: Mapping[str, Any] | None, index: int, reason: str = "the trial died"
    ) -> Evaluation:
        key = self.space.key(architecture)
        if outcome is None:
            return Evaluation(architecture, key, math.nan, {}, 0.0, reason)
        try:
            metrics = {name: values[index] for name, values in zip(self.goals.metrics, outcome.get("metrics", []), strict=True)}
            score, seconds = outcome["scores"][index], outcome["seconds"][index] if "seconds" in outcome else 0.0
            error = outcome["errors"][index] if "errors" in outcome else None
        except (IndexError, KeyError, TypeError, ValueError) as problem:
            why = f"the trial's result has no scores, seconds, errors and metrics for candidate {index} ({first_line(problem)})"
            return Evaluation(architecture, key, math.nan, {}, 0.0, why)
        fidelities = outcome.get("fidelities") or ()
        fidelity = fidelities[index] if index < len(fidelities) else None
        return self._seen(Evaluation(architecture, key, score, metrics, seconds, error, fidelity=fidelity))

    def _seen(self, evaluation: Evaluation) -> Evaluation:
        """Return the part of an evaluation that a searcher may see; without the metric of an objective it counts as failed."""
        metrics = {name: evaluation.metrics.get(name, math.nan) for name in self.goals.metrics}
        lacking = [name for name, value in metrics.items() if not math.isfinite(value)]
        error = f"the evaluation has no {' and no '.join(lacking)}" if lacking and evaluation.ok else evaluation.error
        return replace(evaluation, metrics=metrics, curves={}, error=error)

    def _from_ledger(self, candidates: Sequence[Architecture]) -> dict[int, Evaluation]:
        # The ledger may know the structure in another text, and what is learned from an outcome may depend on its text.
        keys = [self.space.key(architecture) for architecture in candidates]
        return {
            position: replace(self._seen(self.ledger[key]), architecture=candidates[position])
            for position, key in enumerate(keys)
            if key in self.ledger
        }

    def _complete(self, batch: _Batch, paid: set[int]) -> None:
        self._batches.pop(batch.number, None)
        self._paused.pop(batch.number, None)
        self.sizer.note(len(batch.candidates))
        observations = [
            Observation(batch.number, position, batch.known[position], position not in paid)
            for position in range(len(batch.candidates))
        ]
        self._history.extend(observations)
        self.on_outcomes(observations)
        if self.deterministic and self.holds_back:
            self._undelivered[batch.number] = observations
        else:
            self.observe(observations)

    def _deliver(self) -> bool:
        """If deterministic, observe the outcomes that the next batch may depend on; return whether all of them have arrived."""
        while self.deterministic and self.holds_back and self._next_delivery <= self._next_batch - self.lag:
            if self._next_delivery in self._batches or self._next_delivery in self._paused:
                return False
            self._deliver_batch(self._next_delivery)
            self._next_delivery += 1
        return True

    def _deliver_batch(self, number: int) -> None:
        """Observe what is known of a batch."""
        if partial := self._undelivered_partial.pop(number, []):
            self.observe_partial(partial)
        self.observe(self._undelivered.pop(number, []))


def _batch_seconds(outcome: Mapping[str, Any]) -> float:
    """Return the duration of a batch, or where it is not told the sum of those of its candidates."""
    told = plain_number(outcome.get("batch_seconds"))
    return sum(plain_number(each) or 0.0 for each in outcome.get("seconds", [])) if told is None else told


def _read_state(path: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"checkpoint_path: cannot read a searcher's state from {path} ({error}).") from error
    return state


def _ignore(observations: Sequence[Observation]) -> None:
    """Do nothing; the default of `on_outcomes`."""

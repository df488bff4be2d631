"""Base class of searchers with a surrogate that is resident in a pool of actors."""

from __future__ import annotations

import logging
import re
import uuid
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from archsearch.cluster.placement import Request, check_amounts
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.layout import check_pool_name
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind, check_whole_number, first_line
from archsearch.evaluators.evaluation import Evaluation
from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.surrogate.rung_rows import rung_rows
from archsearch.searchers.surrogate.stage import Proposal, Stage
from archsearch.searchers.surrogate.stage_ends import GROWTH, next_size, stage_ends, stage_of
from archsearch.searchers.surrogate.trust import Trust
from archsearch.spaces import Architecture, SearchSpace

logger = logging.getLogger(__name__)

# Proposals of a stage for each one that it evaluates: the next-best keep workers busy during the next fit.
_SURPLUS = 3
_FEWEST_ROWS = 2
_USUAL_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


class SurrogateSearcher(ArchitectureSearcher):
    """Evaluates in stages: random candidates first, then in each stage those that a newly fitted surrogate ranks highest.

    The surrogate is resident in the actors of a `ModelPool`. `suggest` takes candidates from a queue; fits and proposals run in
    the pool, and their results enter the queue when they are ready. Meanwhile each worker gets one more of the last stage's
    next-best candidates. With `deterministic=True` a stage waits for all outcomes of the one before, and any number of workers
    gives the same candidates.

    A subclass returns the function that makes the surrogate from `surrogate`. The surrogate's `fit(rows, seed=...)` gets
    `{"architectures": [text, ...], "values": [rows, objectives]}` (larger is better) and does not depend on earlier fits. Under
    a scheduler the rows hold `fidelities` too, the number of steps of each value or None for a complete evaluation, and
    `rungs`, the fields of `RungRows` with the scores at all rungs. The surrogate's
    `propose(n, seed=..., exclude=..., best=...)` returns `{"architectures": [text, ...], "predictions": [number, ...]}`, best
    first, without structures whose keys are in `exclude`.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        initial: Number of random candidates before the first fit; None takes `usual_initial`, but at most half of
            `num_candidates`, or else of Tune's `num_samples`.
        stage_size: Number of candidates between two fits. Under a scheduler a stage has a fifth of the candidates before it, if
            that is more: most candidates are stopped early, and say little for what a fit costs.
        explore: Fraction of each later stage that is drawn at random, from 0 to below 1, against a poor surrogate.
        actors: Number of actors of the pool; a shared pool that exists keeps its number.
        threads: Number of torch threads in each actor.
        gpus: Number of GPUs that each actor reserves; may be a fraction.
        pool: Name of a shared pool, started if there is none and kept when the search ends; None starts one for this search.
        **settings: As for `ArchitectureSearcher`.

    Raises:
        ConfigurationError: An argument is out of range.

    Example:
        >>> from archsearch import searchers, spaces
        >>> from archsearch.searchers.gaussian_process import GaussianProcessSurrogate
        >>> class Guided(searchers.SurrogateSearcher):
        ...     def surrogate(self):
        ...         return lambda: GaussianProcessSurrogate(self.space)
        >>> Guided(spaces.get("nasbench201"), seed=0, initial=10).suggest("t0")["batch"]
        0
    """

    device: str = "auto"
    """Device of the surrogate."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        initial: Annotated[int, AtLeast(0)] | None = None,
        stage_size: Annotated[int, AtLeast(1)] = 10,
        explore: float = 0.0,
        actors: Annotated[int, AtLeast(1)] = 1,
        threads: Annotated[int, AtLeast(1)] = 1,
        gpus: Annotated[float, AtLeast(0)] = 0.0,
        pool: str | None = None,
        **settings: Any,
    ) -> None:
        given = settings.get("num_candidates")
        budget = given if isinstance(given, int) else None  # other types are refused by the base class
        self._chooses_initial = initial is None
        initial = self.first_stage(budget) if initial is None else initial
        check_whole_number("initial", initial, self.least_initial)
        check_kind("pool", pool, (str, type(None)), "the name of a pool of models")
        if pool is not None:
            check_pool_name("pool", pool)
        check_amounts(Request("an actor of the searcher", float(threads), gpus, "threads", "gpus"))
        if not 0.0 <= explore < 1.0:
            raise ConfigurationError(f"explore: expected a share from 0 to below 1; got {explore!r}.")
        self.largest_batch = max(initial, stage_size)
        super().__init__(space, seed, **settings)
        self.initial, self.stage_size, self.explore = initial, stage_size, explore
        self.actors, self.threads, self.gpus, self.pool_name = actors, threads, gpus, pool
        self.trust = Trust()
        self.costs = {"fitting": 0.0, "ranking": 0.0}
        self._pool: ModelPool | None = None
        self._rows: list[Observation] = []
        self._rungs: dict[str, dict[int, Evaluation]] = {}  # partial evaluations by key and number of steps
        self._queue: deque[Proposal] = deque()
        self._unguided: set[str] = set()  # keys of candidates that were proposed without a prediction
        self._stage: Stage | None = None
        self._stages = 0
        self._outcomes_at_stage = 0
        self._outcomes = 0
        self._stage_end = self._size = initial  # candidates at the end of the stage, and in it
        self._stale = 0
        self._rejoins = self._simulated = False
        if budget is not None and (warning := self.budget_warning(budget)):
            logger.warning("%s", warning)

    def use_device(self, device: str) -> None:
        """Note the device of the surrogate, which a search needs on some node; subclasses that have one call it.

        Raises:
            ConfigurationError: The name is none that torch knows.
        """
        if not isinstance(device, str) or not _USUAL_DEVICE.fullmatch(device):
            from archsearch.evaluators.devices import device_named  # it loads torch, which the usual names need not

            device_named(device)
        self.device = device

    @classmethod
    def first_stage(cls, num_candidates: int | None) -> int:
        """Return the default of `initial`: `usual_initial`, but at most half of the candidates of the search."""
        return cls.usual_initial if num_candidates is None else max(1, min(cls.usual_initial, num_candidates // 2))

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        return {"initial": cls.first_stage(num_candidates), **options}

    def budget_warning(self, num_candidates: int) -> str:
        """Return a sentence if the surrogate chooses fewer candidates than are drawn at random before it; else nothing."""
        chosen = num_candidates - self.initial
        if chosen >= self.initial:
            return ""
        advice = f"Take more candidates, or a smaller initial, such as {max(1, num_candidates // 2)}."
        if chosen <= 0:
            return f"initial: all {num_candidates} candidates are drawn at random; the surrogate chooses none. {advice}"
        return (
            f"initial: the first {self.initial} of {num_candidates} candidates are drawn at random; the surrogate chooses only "
            f"{chosen}. {advice}"
        )

    # Methods for subclasses

    usual_initial: ClassVar[int] = 20
    """Number of random candidates before the first fit in a search that is long enough."""
    least_initial: ClassVar[int] = 1
    """Smallest `initial`; 0 for a surrogate that learns from something else than outcomes."""
    chunk_size: int | None = None
    """Number of candidates that an actor scores together, for reproducible rounding errors; None lets the pool choose it."""

    @abstractmethod
    def surrogate(self) -> Callable[[], Any]:
        """Return the function that makes the `Surrogate` in an actor; it is pickled, for a shared pool to 64 KiB at most."""

    def propose_options(self) -> Mapping[str, Any]:
        """Return further keyword arguments of the surrogate's `propose`."""
        return {}

    def fit_options(self) -> Mapping[str, Any]:
        """Return further keyword arguments of the surrogate's `fit`."""
        return {}

    @property
    def islands(self) -> int:
        """Number of proposals at once in a stage, each in another actor if there are enough."""
        return 1

    def can_fit(self) -> bool:
        """Return whether the outcomes so far suffice for a fit; if not, the next stage is random."""
        values = [self.goals.order(evaluation) for evaluation in self._newest()]
        return len(values) >= _FEWEST_ROWS and len(set(values)) > 1

    def begin_stage(self, pool: ModelPool) -> Stage:
        """Start a stage, in which the surrogate is fitted to all outcomes and proposes, and return it."""
        best = sorted(self._newest(), key=self.goals.order, reverse=True)[: self.stage_size]
        size = self._next_size()
        wanted = max(1, min(self._wanted(), size) if self.deterministic else _SURPLUS * size)
        return Stage(
            pool,
            self._data(),
            {"seed": self._seed(0), **self.fit_options()},
            wanted,
            {
                "seed": self._seed(1),
                "exclude": sorted(self._unique.keys | self._unique.known),
                "best": [str(evaluation.architecture) for evaluation in best],
                **self.propose_options(),
            },
            self.islands,
        )

    # The pool

    @property
    def reserved_cpus(self) -> float:
        return 0.0 if self.gpus or self.pool_name else float(self.actors * self.threads)

    def actor_requests(self, cpus: float) -> list[Request]:
        if self.pool_name:
            return []  # it may be there already, and its resources taken; else `ModelPool` checks them
        return [Request("an actor of the searcher", cpus / self.actors, self.gpus, "threads", "gpus")] * self.actors

    def open(self, cpus: float | None = None) -> None:
        if self._pool is not None:
            return
        branch = uuid.uuid4().hex  # other searches on a shared pool have other branches
        if self.pool_name is not None:
            try:
                self._pool = ModelPool.attach(self.pool_name, branch)
                return
            except PoolError:
                logger.info("making the shared pool %s", self.pool_name)
        self._pool = ModelPool.start(
            self.surrogate(),
            name=self.pool_name,
            branch=branch,
            actors=self.actors,
            threads=self.threads,
            cpus=None if cpus is None or self.gpus else cpus / self.actors,
            gpus=self.gpus,
            shared=self.pool_name is not None,
            chunk_size=self.chunk_size,
        )

    def reserved(self) -> list[Request]:
        return [] if self._pool is None else self._pool.requests

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = self._stage = None

    @property
    def figures(self) -> dict[str, float]:
        """Number of stages, seconds of fits and proposals, and rank correlation of predictions with outcomes."""
        tau = self.trust.tau()
        figures = {f"surrogate/{name}_seconds": seconds for name, seconds in self.costs.items()}
        return {"surrogate/stages": float(self._stages), **figures, **({} if tau is None else {"surrogate/trust_tau": tau})}

    # What is known before

    def start_with(self, architectures: Sequence[Architecture]) -> None:
        super().start_with(architectures)
        self._begin_with(max(self.initial, len(self.starts)))

    def learned(self, observations: Sequence[Observation]) -> int:
        used = super().learned(observations)
        self._begin_with(max(len(self.starts), self.initial - used))
        return used

    def _take_samples(self, samples: int) -> None:
        unknown = self.num_candidates is None
        super()._take_samples(samples)
        if unknown and self.num_candidates is not None:
            if self._chooses_initial and not self._num_learned and not self._stages:
                self._begin_with(max(self.first_stage(self.num_candidates), len(self.starts)))
            if warning := self.budget_warning(self.num_candidates):
                logger.warning("%s", warning)

    def _begin_with(self, initial: int) -> None:
        """Set the number of candidates before the first fit."""
        vars(self)["initial"] = self._stage_end = self._size = initial  # fixed for others
        self.largest_batch = max(self.largest_batch, initial)

    # Proposing

    def simulate(self, workers: int) -> None:
        super().simulate(workers)
        self._simulated = True  # a fit takes no simulated time

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        proposals = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
        for proposal in proposals:
            self.trust.expect(proposal.key, proposal.prediction)
        drawn = [] if proposals else [self.space.sample(rng) for _ in range(count)]
        self._unguided.update(proposal.key for proposal in proposals if proposal.prediction is None)
        self._unguided.update(map(self.space.key, drawn))
        return [proposal.architecture for proposal in proposals] or drawn

    def observe(self, observations: Sequence[Observation]) -> None:
        # A candidate that was scored in part has counted, so that paused ones do not hold a stage up.
        self._outcomes += sum(observation.evaluation.key not in self._rungs for observation in observations)
        self._rows += [observation for observation in observations if observation.evaluation.ok]
        for observation in observations:
            if not observation.evaluation.ok and observation.evaluation.key in self._rungs:
                self._rungs[observation.evaluation.key].clear()

    def observe_partial(self, observations: Sequence[Observation]) -> None:
        for evaluation in (observation.evaluation for observation in observations if observation.evaluation.ok):
            if evaluation.fidelity is not None:
                self._outcomes += evaluation.key not in self._rungs
                self._rungs.setdefault(evaluation.key, {})[evaluation.fidelity] = evaluation

    def _newest(self) -> list[Evaluation]:
        """Return the evaluation of each candidate, that of most steps for those that are still open."""
        done = {row.evaluation.key for row in self._rows} if self._rungs else set()
        open_ones = [rungs[max(rungs)] for key, rungs in self._rungs.items() if rungs and key not in done]
        return [*(row.evaluation for row in self._rows), *open_ones]

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        before = len(self._history)
        super().on_trial_complete(trial_id, result, error)
        for observation in self._history[before:]:
            if observation.evaluation.ok:
                self._compare(observation.evaluation)

    def _compare(self, evaluation: Evaluation) -> None:
        """Compare the outcome of a candidate with its prediction."""
        self.trust.compare(evaluation.key, self.goals.values(evaluation)[0], evaluation.fidelity)

    def ready(self) -> bool:
        self._fold()
        if self._in_stage():
            return True
        self._begin()
        if self._stage is not None and (self._simulated or not self._batches):
            self._stage.wait()  # no trial runs, so Tune may wait
            self._fold()
        if self._in_stage() or not self._batches:
            return True
        if self.deterministic or self._stale >= self.workers:
            return False
        self._stale += 1
        return True

    def room(self) -> int:
        return self._stage_end - self.num_proposed if self._in_stage() else 1

    def _in_stage(self) -> bool:
        return self.num_proposed < self._stage_end and (not self._stages or bool(self._queue))

    def _begin(self) -> None:
        """Start a stage unless one runs, or too few outcomes are new."""
        enough = self._outcomes - self._outcomes_at_stage >= self._size
        idle = not self._batches
        if self._stage is not None or not (enough or idle):
            return
        if self._pool is None:
            self.open()
        assert self._pool is not None
        self._outcomes_at_stage, self._stale = self._outcomes, 0
        self._stages += 1
        if not self.can_fit():
            logger.warning("surrogate: %s outcomes are too few or all equal; the next stage is random", len(self._rows))
            self._fill([])
            return
        self._stage = self.begin_stage(self._pool)

    def _fold(self) -> None:
        """Move the proposals of a finished stage into the queue."""
        if self._stage is None or not self._stage.done():
            return
        stage, self._stage = self._stage, None
        try:
            proposals = stage.result()
        except Exception as error:
            logger.warning("surrogate: stage %s failed (%s); the next candidates are random", self._stages, first_line(error))
            proposals = []
        self.costs["fitting"] += stage.fit_seconds
        self.costs["ranking"] += stage.propose_seconds
        self.details = stage.details or self.details
        self._fill([self._proposal(text, prediction) for text, prediction in proposals])

    def _fill(self, proposals: Sequence[Proposal]) -> None:
        """Fill the queue of a new stage with the new and feasible proposals, and random candidates spread among them."""
        rng = np.random.default_rng([self.seed, self._stages, 2])
        size = self._size = self._next_size()
        self._stage_end = self.num_proposed + size
        kept: dict[str, Proposal] = {}
        for proposal in proposals:
            if not self._unique.is_taken(proposal.key) and self.goals.excess(proposal.architecture) == 0.0:
                kept.setdefault(proposal.key, proposal)
        ranked, self._queue = deque(kept.values()), deque()
        draw = self._unique.fresh(self.goals, rng)
        while ranked or len(self._queue) < size:
            explores = not ranked or rng.random() < self.explore
            architecture = next(draw, None) if explores and len(self._queue) < size else None
            if architecture is not None and self.space.key(architecture) not in kept:
                self._queue.append(Proposal(architecture, self.space.key(architecture), None))
            elif ranked:
                self._queue.append(ranked.popleft())
            elif architecture is None:
                break

    def _proposal(self, text: str, prediction: float) -> Proposal:
        architecture = self.space.parse(text)
        return Proposal(architecture, self.space.key(architecture), prediction)

    def _data(self) -> dict[str, Any]:
        newest = self._newest()
        rows: dict[str, Any] = {
            "architectures": [str(evaluation.architecture) for evaluation in newest],
            "values": np.array([self.goals.values(evaluation) for evaluation in newest]),
        }
        if self._rungs or any(evaluation.is_partial for evaluation in newest):
            rows["fidelities"] = [evaluation.fidelity for evaluation in newest]
            rows["rungs"] = rung_rows(newest, self._rungs, self.goals.values)._asdict()
        return rows

    def _proposed_in(self) -> list[int]:
        """Return for each row of `_data` the stage in which its candidate was proposed; what was learned of others is of stage 0.

        The first stage is 0. Beyond the end of a stage, proposals that kept workers busy count for the next one.
        """
        sizes = Counter(row.batch for row in self._history if row.batch >= 0)
        sizes.update({number: len(batch.candidates) for number, batch in (*self._batches.items(), *self._paused.items())})
        before, starts = 0, {}
        for number in sorted(sizes):
            starts[number], before = before, before + sizes[number]
        batches = {row.evaluation.key: row.batch for row in (*(row for _, row in self._partial), *self._rows)}
        places = [starts.get(batches[evaluation.key], 0) for evaluation in self._newest()]
        stages = stage_of(places, self.initial, self.stage_size, self._growth)
        return [min(stage, max(0, self._stages - 1)) for stage in stages]

    @property
    def _growth(self) -> float:
        """Share of the candidates so far that a stage has at least: 0 unless a scheduler has had candidates scored in part."""
        in_part = self._partial or any(row.evaluation.is_partial for row in self._history)
        return GROWTH if in_part else 0.0

    def _next_size(self) -> int:
        """Return the number of candidates of the next stage."""
        return next_size(self.num_proposed, self.stage_size, self._growth)

    def _wanted(self) -> int:
        return self.stage_size if self.num_candidates is None else self.num_candidates - self.num_proposed

    def _seed(self, part: int, stage: int | None = None) -> int:
        return int(np.random.default_rng([self.seed, self._stages if stage is None else stage, part]).integers(2**31))

    def _deliver(self) -> bool:
        """If deterministic, observe all outcomes of the earlier stages; return whether they have arrived."""
        if not self.deterministic:
            return True
        if self._rejoins:
            self._rejoin()
        if self._in_stage():
            return True
        if self._batches:
            return False
        self._learn(sorted(self._undelivered))
        return True

    def _learn(self, batches: Sequence[int]) -> None:
        for number in batches:
            self._deliver_batch(number)

    # Resuming

    def replay(self, observations: Sequence[Observation], partial: Sequence[tuple[int, Observation]] = ()) -> None:
        super().replay(observations, partial)
        self._rejoins = self.deterministic and self.holds_back and bool(observations)

    def _rejoin(self) -> None:
        """Repeat the stage in which a deterministic search was interrupted, and queue the candidates not yet proposed."""
        self._rejoins = False
        proposed = self._unique.keys
        ends = stage_ends(self.initial, self.stage_size, self._growth)
        begun, self._stage_end, before = 0, next(ends), 0
        while self._stage_end < len(proposed):
            begun, before, self._stage_end = begun + 1, self._stage_end, next(ends)
        if begun == 0:
            return
        earlier = self._first_batches(before)
        keys = {row.evaluation.key for number in earlier for row in self._undelivered[number]}
        self._learn(earlier)
        self._stages, self._outcomes_at_stage = begun, self._outcomes
        if len(proposed) == self._stage_end:
            return
        self._stages, self._outcomes_at_stage, self._unique.keys = begun - 1, 0, keys
        self._begin()
        if self._stage is not None:
            self._stage.wait()
            self._fold()
        self._unique.keys = proposed
        self._queue = deque(proposal for proposal in self._queue if proposal.key not in proposed)

    def _first_batches(self, candidates: int) -> list[int]:
        """Return the numbers of the batches that hold the first `candidates` candidates."""
        numbers: list[int] = []
        for number in sorted(self._undelivered):
            if candidates <= 0:
                break
            numbers.append(number)
            candidates -= len(self._undelivered[number])
        return numbers

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_pool": None, "_stage": None}
        if self._stage is not None:  # the copy starts the stage again
            state |= {"_stages": self._stages - 1, "_outcomes_at_stage": self._outcomes - self._size}
        return state

"""Random search among candidates that a graph hypernetwork has ranked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from concurrent.futures import Future
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from archsearch.cluster.connection import cluster_cpus
from archsearch.cluster.placement import Request
from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError, check_whole_number, unknown_name
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.observation import Observation
from archsearch.searchers.surrogate.ranking_stage import RankingStage
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.searchers.surrogate.stage import Proposal, Stage
from archsearch.searchers.unique_candidates import UniqueCandidates
from archsearch.spaces import Architecture, SearchSpace

_FIGURES = ("loss", "score")
_RULES = ("flip", "class_weights")
_PATIENCE = 20  # draws for each wanted mutation


class GHNRandomSearch(SurrogateSearcher):
    """Random search by the accuracy of generated weights, C. Zhang et al., ICLR 2019, arXiv 1810.05749, section 4.

    A graph hypernetwork is trained in the pool, or read from the cache. All actors together rank `rank_candidates` random
    candidates by networks with the weights that it generates. The candidates are evaluated, best first, up to `num_candidates`;
    when all of them are evaluated, as many new ones are ranked.

    The first `initial` candidates are random and not ranked. They are evaluated while the hypernetwork is being trained, as a
    baseline: the report compares their mean score with that of the ranked ones, and the rank correlation between generated and
    real accuracy is over both.

    Args:
        space: Space to search.
        seed: Seed of the candidates and of the training.
        dataset: Name of the dataset that the hypernetwork learns from, for `datasets.load`; the one that candidates train on.
        root: Folder of downloaded datasets.
        rank_candidates: Number of random candidates to rank.
        rank_by: `loss` on the validation images, or `score`: the accuracy, as in the paper. In our measurements the loss of
            networks with generated weights agreed better with real training. None takes `loss`, or `score` if that is the area
            under an anytime curve.
        mutants: Number of mutations of the best tenth that are ranked too (not in the paper).
        steps: Training steps of the hypernetwork. The default takes about a minute on one CPU core with networks for `digits`.
        trainers: Number of processes that train the hypernetwork by Ray Train; 1 trains it in the pool. Each reserves `threads`
            CPUs, or a GPU if the actors have one. `cache` must then be a folder that all nodes share.
        initial: Number of random candidates before the ranked ones; None takes 5, but at most half of
            `num_candidates`.
        explore: Fraction of the later candidates that is drawn at random.
        preset: Settings of the hypernetwork: `default` or `paper`.
        scale: Size of the networks that are ranked; None takes the one for the dataset.
        device: Device of the hypernetwork: `auto`, `cpu` or `cuda`. An actor sees a GPU only if it reserves a share of one.
        cache: Folder of trained hypernetworks, preferably shared by all nodes; None takes the cache folder of each node.
        chunk_size: Number of candidates that an actor scores together; fixed, as scores depend on it by a rounding error.
        model: Changes to the preset, such as `{"meta_batch": 4}`; see `archsearch.evaluators.ghn.settings`.
        **settings: As for `SurrogateSearcher`, without `stage_size`. A shared pool that exists keeps its dataset and model.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.GHNRandomSearch(spaces.get("nasbench201"), seed=0, dataset="digits")
        >>> searcher.suggest("t0")["batch"]  # the random candidates need no pool
        0
    """

    usual_initial = 5
    fixed_options = (*SurrogateSearcher.fixed_options, "stage_size")

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        dataset: str = "digits",
        root: str | None = None,
        rank_candidates: int = 300,
        rank_by: str | None = None,
        mutants: int = 0,
        steps: int = 500,
        trainers: int = 1,
        initial: int | None = None,
        explore: float = 0.1,
        preset: str = "default",
        scale: Mapping[str, int] | None = None,
        device: str = "auto",
        cache: str | Path | None = None,
        chunk_size: int = 16,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        least_one = {"rank_candidates": rank_candidates, "steps": steps, "trainers": trainers, "chunk_size": chunk_size}
        for name, value in least_one.items():
            check_whole_number(name, value)
        check_whole_number("mutants", mutants, 0)
        if rank_by is None:
            rank_by = "score" if (model or {}).get("objective") == "anytime" else "loss"
        if rank_by not in _FIGURES:
            raise ConfigurationError(unknown_name("rank_by", rank_by, _FIGURES))
        if not isinstance(dataset, str):
            raise ConfigurationError(f"dataset: expected a string such as 'digits', which actors can load; got {dataset!r}.")
        super().__init__(space, seed, initial=initial, stage_size=rank_candidates + mutants, explore=explore, **settings)
        self.steps, self.trainers, self.chunk_size = steps, trainers, chunk_size
        self.rank_candidates, self.rank_by, self.mutants = rank_candidates, rank_by, mutants
        self.cache = None if cache is None else str(Path(cache).absolute())
        self.ghn: dict[str, Any] = {
            "dataset": dataset,
            # Actors run in other folders: relative paths start from the folder of this process.
            "root": root or (str(Path.cwd()) if ":" in dataset else None),
            "preset": preset,
            "scale": scale,
            "device": device,
            "threads": self.threads,
            **(model or {}),
        }
        self.use_device(device)
        self._check()
        self._training: Future[Reply] | None = None
        self._ranked: dict[str, float] = {}
        self._drawn: set[str] = set()

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset, network size and objective of an evaluator that trains, its flips and class weights to the options.

        Raises:
            ConfigurationError: The evaluator has no images, or has them in memory only, and the options name none.
        """
        from archsearch.evaluators.function.evaluator import FunctionEvaluator
        from archsearch.evaluators.training.evaluator import TrainingEvaluator  # they need torch, other searchers do not

        if "dataset" not in options and isinstance(evaluator, FunctionEvaluator):
            if evaluator.images is None or not isinstance(evaluator.images.dataset, str):
                raise ConfigurationError(
                    f"searcher: ghn learns from labelled images, and the function {evaluator.function_name} has none with a "
                    "name. Take gates, gp, ngae, evolution, optuna or random; or name images of classes: the searcher's option "
                    "dataset, such as digits or folder:PATH."
                )
            return {"dataset": evaluator.images.dataset, "root": evaluator.images.root, "scale": evaluator.scale, **options}
        if "dataset" in options or not isinstance(evaluator, TrainingEvaluator):
            return dict(options)
        if not isinstance(evaluator.images.dataset, str):
            raise ConfigurationError(
                "dataset: expected a dataset with a name, which actors can load; the evaluator has images in memory. Set the "
                "searcher's option dataset, such as parquet:PATH."
            )
        images = evaluator.images
        found: dict[str, Any] = {"dataset": images.dataset, "root": images.root, "scale": evaluator.scale, **options}
        # The hypernetwork learns from the images as the trainings of the candidates do.
        model: dict[str, Any] = {name: evaluator.chosen[name] for name in _RULES if name in evaluator.chosen}
        if evaluator.objective.is_anytime:
            model |= {"objective": evaluator.objective.name, "max_budget": evaluator.objective.max_budget}
        if model:
            found["model"] = {**model, **(options.get("model") or {})}
        return found

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; no images are read."""
        from archsearch.evaluators.ghn.ghn import GHN  # it needs torch, other searchers do not

        GHN(self.space, **self.ghn)

    # The hypernetwork

    def surrogate(self) -> Callable[[], Any]:
        from archsearch.searchers.cached_ghn import CachedGHN  # it needs torch, other searchers do not

        return partial(CachedGHN, self.space, cache=self.cache, **self.ghn)

    def actor_requests(self, cpus: float) -> list[Request]:
        gpus = 1.0 if self.gpus else 0.0
        trainer = Request("a process that trains the hypernetwork", float(self.threads), gpus, "trainers", "trainers")
        return [*super().actor_requests(cpus), *([trainer] * self.trainers if self.trainers > 1 else [])]

    def open(self, cpus: float | None = None) -> None:
        if self.trainers > 1 and not self.gpus:
            free = cluster_cpus() - self.reserved_cpus
            if self.trainers * self.threads > free:
                raise ConfigurationError(
                    f"trainers: expected at most {int(free) // self.threads}, as the cluster has {free:g} CPUs besides "
                    f"those of the actors; got {self.trainers} with {self.threads} each. They would wait forever."
                )
        super().open(cpus)
        assert self._pool is not None
        if self.num_candidates is None or self.num_candidates > self.initial:
            self._trained_by(self._pool)

    def close(self) -> None:
        super().close()
        self._training = None

    def _trained_by(self, pool: ModelPool) -> Future[Reply]:
        """Return the training; start it if there is none yet, or if it failed."""
        if self._training is None or (self._training.done() and self._training.exception() is not None):
            together = self.trainers > 1
            self._training = self._trained_together() if together else pool.submit_fit(None, seed=self.seed, steps=self.steps)
        return self._training

    def _trained_together(self) -> Future[Reply]:
        """Start the training by several processes; a thread waits for it, because Tune's loop must not."""
        from archsearch.searchers.cached_ghn import train_together  # it needs torch, other searchers do not

        resources = {"cpus_per_worker": float(self.threads), "gpus_per_worker": 1.0 if self.gpus else 0.0}
        train = partial(train_together, self.space, self.cache, self.seed, self.steps, self.trainers, resources, **self.ghn)
        training: Future[Reply] = Future()

        def run() -> None:
            started = time.perf_counter()
            try:
                training.set_result(Reply(train(), 0, time.perf_counter() - started))
            except BaseException as error:
                training.set_exception(error)

        threading.Thread(target=run, name="ghn-training", daemon=True).start()
        return training

    # Stages

    def can_fit(self) -> bool:
        return True  # it learns from images, not from outcomes

    learns_from_others = False

    def learned(self, observations: Sequence[Observation]) -> int:
        return 0  # it learns from images; that their structures are not proposed is all it takes from outcomes of others

    def begin_stage(self, pool: ModelPool) -> Stage:
        # The draw depends only on seed and stage, so that a resumed search ranks the same candidates.
        rng = np.random.default_rng([self.seed, self._stages, 3])
        drawn = list(islice(UniqueCandidates(self.space, self.patience).fresh(self.goals, rng), self.rank_candidates))
        keys = [self.space.key(architecture) for architecture in drawn]
        self._drawn.update(keys)
        others = [row.evaluation.architecture for row in self._rows if row.evaluation.key not in self._ranked.keys() | set(keys)]
        return RankingStage(
            pool,
            partial(self._trained_by, pool),
            [*drawn, *others],
            self.goals,
            first=self._stages == 1,
            relatives=partial(self._mutations, rng=rng, known=frozenset(self._unique.keys | self._unique.known))
            if self.mutants
            else None,
            by_loss=self.rank_by == "loss",
        )

    def _mutations(self, ranked: Sequence[Architecture], rng: np.random.Generator, known: Set[str]) -> list[Architecture]:
        """Return new feasible mutations of the best tenth, each once; called from the thread of a stage, it changes no state."""
        parents = ranked[: max(1, len(ranked) // 10)]
        known = known | {self.space.key(each) for each in ranked}
        found: dict[str, Architecture] = {}
        for _ in range(_PATIENCE * self.mutants):
            child = self.space.mutate(parents[int(rng.integers(len(parents)))], rng)
            if (key := self.space.key(child)) not in known and self.goals.excess(child) == 0.0:
                found.setdefault(key, child)
            if len(found) == self.mutants:
                break
        return list(found.values())

    def _fill(self, proposals: Sequence[Proposal]) -> None:
        new = {each.key: each.prediction for each in proposals if each.key not in self._ranked and each.prediction is not None}
        self._ranked |= new
        self._drawn |= new.keys() - {row.evaluation.key for row in self._rows}
        for row in self._rows:  # the random candidates count for the rank correlation too
            if row.evaluation.key in new:
                self.trust.expect(row.evaluation.key, new[row.evaluation.key])
                self._compare(row.evaluation)
        super()._fill(proposals)

    @property
    def ranked(self) -> Mapping[str, float]:
        """The figure of each candidate that was ranked, by key: minus the loss, or the accuracy, with generated weights."""
        return self._ranked

    @property
    def figures(self) -> dict[str, float]:
        """Figures of `SurrogateSearcher`, number of ranked candidates, and mean scores of ranked and random candidates.

        Under a scheduler these are the scores at the first rung, to which all candidates came.
        """
        top = self.groups["ranked first"]
        means: dict[str, list[float]] = {"top": [], "random": []}
        for key, score in self.first_scores.items():
            means["top" if key in top else "random"].append(score)
        return {
            **super().figures,
            "surrogate/candidates_ranked": float(len(self._drawn)),
            **{f"surrogate/{name}_mean_score": float(np.mean(scores)) for name, scores in means.items() if scores},
        }

    @property
    def groups(self) -> Mapping[str, Collection[str]]:
        """Keys of the candidates that were ranked first, and of the random ones."""
        order = sorted(self._history, key=lambda row: (row.batch, row.position))
        top = {row.evaluation.key for row in order[self.initial :]} & self._drawn
        return {"ranked first": top, "random": {row.evaluation.key for row in order} - top}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_training": None}

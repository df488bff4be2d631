"""Random search among candidates that a graph hypernetwork has ranked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from archsearch.cluster.connection import cluster_cpus
from archsearch.cluster.placement import Request
from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError, check_whole_number
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.rank_parts import images_of, rank_parts, ranks_of
from archsearch.searchers.ranked_random_search import RankedRandomSearch
from archsearch.searchers.surrogate.ranking_stage import Columns, Order, Ranks
from archsearch.spaces import SearchSpace

_FIGURES = ("loss", "score")
_RULES = ("flip", "class_weights")


class GHNRandomSearch(RankedRandomSearch):
    """Random search by the accuracy of generated weights, C. Zhang et al., ICLR 2019, arXiv 1810.05749, section 4.

    A graph hypernetwork is trained in the pool, or read from the cache. All actors together rank `rank_candidates` random
    candidates by networks with the weights that it generates. The candidates are evaluated, best first, up to `num_candidates`;
    when all of them are evaluated, as many new ones are ranked.

    The first `initial` candidates are random and not ranked. They are evaluated while the hypernetwork is being trained, as a
    baseline; see `RankedRandomSearch`.

    Args:
        space: Space to search.
        seed: Seed of the candidates and of the training.
        dataset: Name of the dataset that the hypernetwork learns from, for `datasets.load`; the one that candidates train on.
        root: Folder of downloaded datasets.
        rank_by: `loss` on the validation images, or `score`: the accuracy, as in the paper. In our measurements the loss of
            networks with generated weights agreed better with real training. None takes `loss`, or `score` if that is the area
            under an anytime curve. Training-free scores can be added, such as `loss+params+nwot`, which ranks by the sum of the
            ranks; see `archsearch.evaluators.proxies.names`.
        steps: Training steps of the hypernetwork. The default takes about a minute on one CPU core with networks for `digits`.
        trainers: Number of processes that train the hypernetwork by Ray Train; 1 trains it in the pool. Each reserves `threads`
            CPUs, or a GPU if the actors have one. `cache` must then be a folder that all nodes share.
        preset: Settings of the hypernetwork: `default` or `paper`.
        scale: Size of the networks that are ranked; None takes the one for the dataset.
        device: Device of the hypernetwork: `auto`, `cpu` or `cuda`. An actor sees a GPU only if it reserves a share of one.
        cache: Folder of trained hypernetworks, preferably shared by all nodes; None takes the cache folder of each node.
        chunk_size: Number of candidates that an actor scores together; fixed, as scores depend on it by a rounding error.
        model: Changes to the preset, such as `{"meta_batch": 4}`; see `archsearch.evaluators.ghn.settings`.
        **settings: As for `RankedRandomSearch`. A shared pool that exists keeps its dataset and model.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.GHNRandomSearch(spaces.get("nasbench201"), seed=0, dataset="digits")
        >>> searcher.suggest("t0")["batch"]  # the random candidates need no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        dataset: str = "digits",
        root: str | None = None,
        rank_by: str | None = None,
        steps: int = 500,
        trainers: int = 1,
        preset: str = "default",
        scale: Mapping[str, int] | None = None,
        device: str = "auto",
        cache: str | Path | None = None,
        chunk_size: int = 16,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        for name, value in {"steps": steps, "trainers": trainers, "chunk_size": chunk_size}.items():
            check_whole_number(name, value)
        if rank_by is None:
            rank_by = "score" if (model or {}).get("objective") == "anytime" else "loss"
        parts = rank_parts(rank_by, _FIGURES)
        if not isinstance(dataset, str):
            raise ConfigurationError(f"dataset: expected a string such as 'digits', which actors can load; got {dataset!r}.")
        super().__init__(space, seed, **settings)
        self.steps, self.trainers, self.chunk_size = steps, trainers, chunk_size
        self.rank_by, self.parts = rank_by, parts
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

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset, network size and objective of an evaluator that trains, its flips and class weights to the options."""
        from archsearch.evaluators.training.evaluator import TrainingEvaluator  # it needs torch, other searchers do not

        found = {**images_of(evaluator, options), **options}
        if "dataset" in options or not isinstance(evaluator, TrainingEvaluator):
            return found
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

        proxies = [part for part in self.parts if part not in _FIGURES]
        return partial(CachedGHN, self.space, cache=self.cache, proxies=proxies, **self.ghn)

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

    def training(self, pool: ModelPool) -> Callable[[], Future[Reply]]:
        return partial(self._trained_by, pool)

    def order(self) -> Order:
        return partial(_ranks, self.parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_training": None}


def _ranks(parts: Sequence[str], columns: Columns) -> Ranks:
    known = {**columns, "loss": -columns["valid_loss"]}
    # Few images give many candidates the same accuracy, so that ties count.
    return ranks_of(parts, known)._replace(ties=known["loss" if parts[0] == "score" else "score"])

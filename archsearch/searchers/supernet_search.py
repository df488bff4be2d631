"""The base of searches in supernets: one training of shared weights, then candidates that it proposes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar

from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.declarations import AtLeast
from archsearch.errors import check_kind
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.presets import PRESETS, preset_named
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.searchers.surrogate.fixed_model import FixedModelSearcher
from archsearch.searchers.surrogate.stage import Stage, finished
from archsearch.spaces import SearchSpace


class SupernetSearch(FixedModelSearcher):
    """Trains a supernet in an actor of the pool, or reads it from the cache, and evaluates what it proposes, best first.

    No outcome changes the supernet: when all of a stage is evaluated, it proposes further candidates. The first `initial`
    candidates, by default none, are random; they are evaluated while the supernet is trained, as a baseline.

    Args:
        space: Space to search; for operator weights and a controller it must have places, see
            `archsearch.evaluators.supernet.places.Places`.
        seed: Seed of the training and of the candidates.
        dataset: Name of the dataset that the supernet learns from, for `datasets.load`; a search takes that of its trainings.
        root: Folder of downloaded datasets.
        preset: Settings of supernet and search together, by name: see `archsearch.searchers.presets`. Other options replace what
            it says.
        steps: Training steps of the supernet; None takes the preset's.
        scale: Size of the supernet; None takes the one for the dataset.
        device: Device of the supernet: `auto`, `cpu` or `cuda`. An actor sees a GPU only if it reserves a share of one.
        cache: Folder of trained supernets, preferably shared by all nodes; None takes the cache folder of each node.
        model: Further arguments of the supernet, such as `{"learning_rate": 0.05}`.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> class Shared(searchers.SupernetSearch):
        ...     method = "enas"
        ...
        ...     def model_arguments(self):
        ...         return {"entropy_weight": 0.01}
        >>> searcher = Shared(spaces.get("nasbench201"), seed=0, initial=1)
        >>> searcher.suggest("t0")["batch"]  # a random candidate needs no pool
        0
    """

    method: ClassVar[str]
    """Name of the supernet in `archsearch.evaluators.supernet.surrogate.METHODS`."""
    usual_initial = 0
    least_initial = 0

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        dataset: str = "digits",
        root: str | None = None,
        preset: str = "default",
        steps: Annotated[int, AtLeast(1)] | None = None,
        scale: Mapping[str, int] | None = None,
        device: str = "auto",
        cache: str | Path | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("cache", cache, (str, Path, NoneType), "a folder of trained supernets")
        images = actor_images(dataset, root, scale)
        record = preset_named(preset, PRESETS[self.method])
        chosen, _ = record.options(getattr(space, "name", ""), {"steps": steps, **self.model_arguments()})
        super().__init__(space, seed, **settings)
        self.steps = int(chosen.pop("steps"))
        self.cache = None if cache is None else str(Path(cache).absolute())
        self.supernet: dict[str, Any] = {
            **images,
            "device": device,
            "threads": self.threads,
            **record.model,
            **chosen,
            **(model or {}),
        }
        self.notes = (
            f"The supernet is trained for {self.steps:,} steps before candidates of its choice are evaluated (option steps); one "
            "that was trained with the same settings is taken from the cache.",
        )
        self.use_device(device)
        self.new_supernet()  # bad settings raise here, not in the actors

    @abstractmethod
    def model_arguments(self) -> Mapping[str, Any]:
        """Return arguments of the supernet that are options of the searcher; those that are None take the preset's.

        The constructor calls it.
        """

    @classmethod
    def first_stage(cls, num_candidates: int | None) -> int:
        return cls.usual_initial

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset and network size of an evaluator that trains to the options.

        Raises:
            ConfigurationError: The evaluator has its images in memory only, and the options name none.
        """
        return {**images_of(evaluator, options), **options}

    def new_supernet(self) -> Any:
        """Return a supernet as the actors make it.

        Raises:
            ConfigurationError: A setting is unknown or out of range, or the space has no places. No images are read.
        """
        from archsearch.evaluators.supernet.surrogate import SupernetSurrogate  # it needs torch, other searchers do not

        return SupernetSurrogate(self.method, self.space, cache=self.cache, **self.supernet).supernet(self.seed)

    def surrogate(self) -> Callable[[], Any]:
        from archsearch.evaluators.supernet.surrogate import SupernetSurrogate  # it needs torch, other searchers do not

        return partial(SupernetSurrogate, self.method, self.space, cache=self.cache, **self.supernet)

    def start_training(self, pool: ModelPool) -> Future[Reply]:
        return pool.submit_fit(None, seed=self.seed, steps=self.steps)

    def begin_stage(self, pool: ModelPool) -> Stage:
        wanted = max(1, min(self._wanted(), self.stage_size) if self.deterministic else 2 * self.stage_size)
        options = {"seed": self._seed(1), "exclude": sorted(self._unique.keys | self._unique.known)}
        training = self.training(pool)
        assert training is not None
        return SupernetStage(pool, training, self._stages == 1, wanted, options)


class SupernetStage(Stage):
    """Publishes the training when it is done, and lets the supernet propose.

    Args:
        pool: Pool of the supernet.
        train: Returns the running or finished training; starts it again if it failed.
        first: Whether the seconds of the training count for this stage.
        wanted: Number of candidates to propose.
        propose_options: Keyword arguments of the proposal.
    """

    def __init__(
        self,
        pool: ModelPool,
        train: Callable[[], Future[Reply]],
        first: bool,
        wanted: int,
        propose_options: Mapping[str, Any],
    ) -> None:
        self._train, self._first = train, first
        super().__init__(pool, None, {}, wanted, propose_options)

    def _fitted(self, rows: Any, fit_options: Mapping[str, Any]) -> Any:
        trained = finished(self._train)
        self.fit_seconds = trained.seconds if self._first else 0.0
        return trained.value

"""Random search among candidates that a graph hypernetwork has ranked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Annotated, Any

from archsearch.cluster.connection import cluster_cpus
from archsearch.cluster.placement import Request
from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.declarations import AtLeast, MoreThan
from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.score_names import CLASSIFICATION
from archsearch.searchers.presets import GHN, preset_named
from archsearch.searchers.pretrained_ghn import FIGURES, PretrainedGHN
from archsearch.searchers.ranked_random_search import RankedRandomSearch
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.searchers.surrogate.rank_parts import rank_parts, ranks_of
from archsearch.searchers.surrogate.ranking_stage import Columns, Order, Ranks
from archsearch.searchers.training_length import TrainingLength
from archsearch.spaces import SearchSpace

_RULES = ("flip", "class_weights")


class GHNRandomSearch(RankedRandomSearch):
    """Random search by the accuracy of generated weights, C. Zhang et al., ICLR 2019, arXiv 1810.05749, section 4.

    A graph hypernetwork is trained in the pool, or read from the cache. All actors together rank `rank_candidates` random
    candidates by networks with the weights that it generates. The candidates are evaluated, best first, up to `num_candidates`;
    when all of them are evaluated, as many new ones are ranked.

    In the paper the ten first of 1,000 are trained, and nothing else is: `preset="paper"`. Its training of 200 epochs of the
    images is scaled by `training_scale`, by default so that the hypernetwork sees as many images as the trainings of the
    candidates have together, and at most all 200 epochs.

    The first `initial` candidates are random and not ranked. They are evaluated while the hypernetwork is being trained, as a
    baseline; see `RankedRandomSearch`.

    Args:
        space: Space to search.
        seed: Seed of the candidates and of the training.
        dataset: Name of the dataset that the hypernetwork learns from, for `datasets.load`; the one that candidates train on.
        root: Folder of downloaded datasets.
        preset: Settings of hypernetwork and search together, by name: see `archsearch.searchers.presets.GHN`. Other options
            replace what it says: `rank_candidates`, `initial` (which may be 0) and `explore` among them.
        rank_by: Names joined by `+`, whose ranks are added. `loss` on the validation images; `score`, the accuracy, as in the
            paper; `centred`, the loss of logits less the mean of each class over the batch, which ranked better than the loss
            on CIFAR-10 images of 16 x 16 pixels, not on others; and training-free scores (`archsearch.evaluators.proxies.names`).
            None takes the preset's: `loss+params+nwot`, which agreed better with real training than the loss in two spaces and
            on two sets of images, and `score` for the paper and where that is the area under an anytime curve.
        rank_size: Side in pixels to which images are reduced for the hypernetwork and the training-free scores; None leaves them
            as they are. 16 for images of 32 x 32 pixels takes half of the time of a step and a fifth of that of a score.
        rank_images: Number of validation images that score a candidate with generated weights, which 400 do as well as all;
            None takes the preset's, all.
        steps: Training steps of the hypernetwork; None takes the preset's. The default, 1,500, takes about a minute on one CPU
            core with networks for `digits`.
        epochs: Passes over the training images instead of `steps`, before they are scaled; None takes the preset's.
        training_scale: Factor on `epochs`, above 0; None takes the trainings of the candidates together, at most 1: the number
            of candidates times `candidate_epochs`, over `epochs`.
        candidate_epochs: Epochs for which a candidate is trained; a search whose evaluator trains knows them. None takes 1.
        budget: Number of candidates from which the default of `training_scale` follows; None takes `num_candidates`.
        hypernetwork: Folder of one that `archsearch ghn train` made. It is used as it is, with its size of networks and of
            images: nothing is trained, and `steps`, `epochs` and `trainers` do not count.
        trainers: Number of processes that train the hypernetwork by Ray Train; 1 trains it in the pool. Each reserves `threads`
            CPUs, or a GPU if the actors have one. `cache` must then be a folder that all nodes share.
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

    least_initial = 0

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        dataset: str = "digits",
        root: str | None = None,
        preset: str = "default",
        rank_by: str | None = None,
        rank_size: Annotated[int, AtLeast(1)] | None = None,
        rank_images: Annotated[int, AtLeast(2)] | None = None,
        steps: Annotated[int, AtLeast(1)] | None = None,
        epochs: Annotated[int, AtLeast(1)] | None = None,
        training_scale: Annotated[float, MoreThan(0)] | None = None,
        candidate_epochs: Annotated[int, AtLeast(1)] | None = None,
        budget: Annotated[int, AtLeast(1)] | None = None,
        hypernetwork: str | Path | None = None,
        trainers: Annotated[int, AtLeast(1)] = 1,
        scale: Mapping[str, int] | None = None,
        device: str = "auto",
        cache: str | Path | None = None,
        chunk_size: Annotated[int, AtLeast(1)] = 16,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        if (number := settings.get("num_candidates")) is not None:
            check_whole_number("num_candidates", number)
        chosen = preset_named(preset, GHN)
        given = {"rank_by": rank_by, "steps": steps, "epochs": epochs}
        options, _ = chosen.options(getattr(space, "name", ""), {**settings, **given})
        candidates = (budget, settings.get("num_candidates"), chosen.candidates)
        length = TrainingLength.chosen(
            {name: options.pop(name) for name in ("steps", "epochs") if name in options},
            {name: value for name, value in given.items() if value is not None},
            training_scale,
            candidate_epochs,
            next((each for each in candidates if each is not None), 1),
        )
        check_kind("cache", cache, (str, Path, NoneType), "a folder of trained hypernetworks")
        usual = options.pop("rank_by")
        if rank_by is None:
            rank_by = "score" if (model or {}).get("objective") == "anytime" else usual
        parts = rank_parts(rank_by, tuple(FIGURES))
        check_kind("hypernetwork", hypernetwork, (str, Path, NoneType), "a folder that `archsearch ghn train` made")
        pretrained = None if hypernetwork is None else PretrainedGHN.read(hypernetwork)
        images = actor_images(dataset, root, scale)
        super().__init__(space, seed, **options)
        self.training_length, self.steps, self.trainers, self.chunk_size = length, length.steps, trainers, chunk_size
        self.notes = (note,) if (note := length.note(preset)) else ()
        self.rank_by, self.parts = rank_by, parts
        self.cache = None if cache is None else str(Path(cache).absolute())
        self.ghn: dict[str, Any] = {
            **images,
            **chosen.model,
            "device": device,
            "threads": self.threads,
            **(model or {}),
            **({} if rank_size is None else {"image_size": rank_size}),
            **({} if rank_images is None else {"evaluation_images": rank_images}),
        }
        self.hypernetwork = None if hypernetwork is None else str(Path(hypernetwork).absolute())
        if pretrained is not None:
            pretrained.check(str(hypernetwork), space.name, scale)
            self.trainers = 1
            self.ghn |= pretrained.arguments
        self.use_device(device)
        self._check()

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset, network size and objective of an evaluator that trains, its flips and class weights to the options.

        Raises:
            ConfigurationError: The evaluator has no images, or has them in memory only, and the options name none.
        """
        from archsearch.evaluators.function.evaluator import FunctionEvaluator
        from archsearch.evaluators.training.evaluator import TrainingEvaluator  # they need torch, other searchers do not

        if "dataset" not in options and isinstance(evaluator, FunctionEvaluator) and evaluator.images is None:
            raise ConfigurationError(
                f"searcher: ghn learns from labelled images, and the function {evaluator.function_name} has none with a "
                "name. Take gates, gp, ngae, evolution, optuna or random; or name images of classes: the searcher's option "
                "dataset, such as digits or imagefolder:PATH."
            )
        found = {**images_of(evaluator, options), **options}
        if "dataset" in options or not isinstance(evaluator, TrainingEvaluator):
            return found
        if "steps" not in options:
            found = {"candidate_epochs": evaluator.max_fidelity, **found}
        # The hypernetwork learns from the images as the trainings of the candidates do.
        model: dict[str, Any] = {name: evaluator.chosen[name] for name in _RULES if name in evaluator.chosen}
        if evaluator.objective.is_anytime:
            model |= {"objective": evaluator.objective.name, "max_budget": evaluator.objective.max_budget}
        if model:
            found["model"] = {**model, **(options.get("model") or {})}
        return found

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        search = preset_named(options.get("preset", "default"), GHN).search
        first = {"initial": search["initial"]} if "initial" in search else {}
        length = {"budget": num_candidates} if "epochs" in search or "epochs" in options else {}
        return super().settled_options({**first, **length, **options}, num_candidates)

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; no images are read."""
        from archsearch.evaluators.ghn.ghn import GHN  # it needs torch, other searchers do not

        ghn = GHN(self.space, **self.ghn)
        if "centred" in self.parts and ghn.images.task != CLASSIFICATION:
            raise ConfigurationError(
                f"rank_by: centred is a loss of classes, and the labels of {ghn.task} are for {ghn.images.task}. Take loss."
            )

    # The hypernetwork

    def surrogate(self) -> Callable[[], Any]:
        from archsearch.searchers.cached_ghn import CachedGHN  # it needs torch, other searchers do not

        proxies = [part for part in self.parts if part not in FIGURES]
        return partial(CachedGHN, self.space, cache=self.cache, pretrained=self.hypernetwork, proxies=proxies, **self.ghn)

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

    def start_training(self, pool: ModelPool) -> Future[Reply]:
        length = self.training_length.arguments()
        return self._trained_together() if self.trainers > 1 else pool.submit_fit(None, seed=self.seed, **length)

    def _trained_together(self) -> Future[Reply]:
        """Start the training by several processes; a thread waits for it, because Tune's loop must not."""
        from archsearch.searchers.cached_ghn import train_together  # it needs torch, other searchers do not

        resources = {"cpus_per_worker": float(self.threads), "gpus_per_worker": 1.0 if self.gpus else 0.0}
        length = self.training_length.arguments()
        train = partial(train_together, self.space, self.cache, self.seed, length, self.trainers, resources, **self.ghn)
        training: Future[Reply] = Future()

        def run() -> None:
            started = time.perf_counter()
            try:
                training.set_result(Reply(train(), 0, time.perf_counter() - started))
            except BaseException as error:
                training.set_exception(error)

        threading.Thread(target=run, name="ghn-training", daemon=True).start()
        return training

    def order(self) -> Order:
        return partial(_ranks, self.parts)


def _ranks(parts: Sequence[str], columns: Columns) -> Ranks:
    known = {**columns, "loss": -columns["valid_loss"]}
    if "centred_loss" in columns:
        known["centred"] = -columns["centred_loss"]
    # Few images give many candidates the same accuracy, so that ties count.
    return ranks_of(parts, known)._replace(ties=known["loss" if parts[0] == "score" else "score"])

"""Scores without training of the architectures that a surrogate asks for, each of them computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.errors import ConfigurationError
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.score_names import CLASSIFICATION
from archsearch.searchers.pretrained_ghn import FIGURES, PretrainedGHN
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.evaluator import Evaluator
    from archsearch.evaluators.ghn.ghn import GHN

_RUN = "training-free scores"
_IMAGES = 400  # validation images that score generated weights, which rank as well as all of CIFAR-10


@dataclass
class ProxyScores:
    """Scores of networks that nothing was trained for, kept by key in this process and in a ledger, if there is one.

    They are training-free scores of untrained networks, and figures of networks with the weights that a hypernetwork generates.
    The ledger is read once, when a score is first missing; what other processes compute after that is computed here too. Each
    score is an evaluator of its own, so that searches with other selections and `--evaluator proxy:NAME` share the entries; the
    figures of a hypernetwork have one together.

    Args:
        space: Space of the architectures.
        names: Names of the scores; see `archsearch.evaluators.proxies.names` and `FIGURES`.
        images: Arguments of `ProxyEvaluator`, among them `dataset`, without space, scores and seed.
        seed: Seed of the images and of all initial weights.
        ledger: Folder of all ledgers, as for `Ledger`; None keeps the scores in memory alone.
        hypernetwork: Folder of a hypernetwork that `archsearch ghn train` made; its networks have their own size.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> images = {"dataset": "digits", "scale": {"channels": 2, "cells_per_stage": 1}}
        >>> ProxyScores(space, ("params", "nwot"), images).of([space.from_genotype([3] * 6)]).shape
        (1, 2)
    """

    space: SearchSpace
    names: tuple[str, ...]
    images: Mapping[str, Any]
    seed: int = 0
    ledger: str | None = None
    hypernetwork: str | None = None
    _known: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    def check(self) -> None:
        """Load the hypernetwork and its images, if there is one, so that what is wrong with them shows before the first score.

        Raises:
            ConfigurationError: The hypernetwork cannot be used for the space and the images, or the images have no classes for
                the figure `centred`.
            DatasetError: The images cannot be read.
        """
        if self.hypernetwork is not None and self._ghn.images.task != CLASSIFICATION and "centred" in self.names:
            raise ConfigurationError(
                f"proxies: centred is a loss of classes, and the labels of {self._ghn.task} are for {self._ghn.images.task}. "
                "Take loss."
            )

    def of(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the scores of architectures, `[architectures, scores]`, larger is better, NaN where one is not defined.

        Raises:
            ConfigurationError: See `check`.
            DatasetError: The images cannot be read.
            LedgerError: The ledger cannot be read or written.
        """
        keys = [self.space.key(each) for each in architectures]
        # Initial weights lie otherwise in another spelling of a key: one of them stands for all.
        pairs = zip(keys, architectures, strict=True)
        missing = {key: self.space.representative(each) for key, each in pairs if key not in self._known}
        if missing:
            found = {key: np.full(len(self.names), np.nan) for key in missing}
            for number, evaluator in enumerate(self._evaluators):
                for key, each in self._evaluated(number, evaluator, missing).items():
                    for place in self._places[number]:
                        found[key][place] = _figure(self.names[place], each)
            self._known |= found
        return np.array([self._known[key] for key in keys]).reshape(len(keys), len(self.names))

    def _evaluated(self, number: int, evaluator: Evaluator, wanted: Mapping[str, Architecture]) -> dict[str, Evaluation]:
        """Return evaluations by key, from the ledger or computed and then written there."""
        recorded = self._recorded[number] if self._ledgers else {}
        # One by one: weights that are generated for several candidates at once differ by rounding errors.
        new = [made for key, each in wanted.items() if key not in recorded for made in evaluator.evaluate([each])]
        if self._ledgers:
            self._ledgers[number].append(_RUN, 0, list(enumerate(new)))
        found = {each.key: each for each in new}
        return {key: found[key] if key in found else recorded[key] for key in wanted}

    @cached_property
    def _recorded(self) -> list[Mapping[str, Evaluation]]:
        """What the ledger held when it was first needed: evaluations by key of each evaluator."""
        return [ledger.read().evaluations() for ledger in self._ledgers]

    @cached_property
    def _places(self) -> list[list[int]]:
        """For each evaluator the numbers of its scores."""
        figures = [place for place, name in enumerate(self.names) if self._is_figure(name)]
        return [*([place] for place in range(len(self.names)) if place not in figures), *([figures] if figures else [])]

    def _is_figure(self, name: str) -> bool:
        return self.hypernetwork is not None and name in FIGURES

    @cached_property
    def _evaluators(self) -> list[Evaluator]:
        from archsearch.evaluators.proxies.evaluator import ProxyEvaluator  # only the actor needs torch

        free = [name for name in self.names if not self._is_figure(name)]
        made: list[Evaluator] = [ProxyEvaluator(self.space, [name], seed=self.seed, **self.images) for name in free]
        return made if len(free) == len(self.names) else [*made, self._ghn]

    @cached_property
    def _ghn(self) -> GHN:
        """The evaluator with the hypernetwork of the folder."""
        from archsearch.searchers.cached_ghn import CachedGHN  # only the actor needs torch

        assert self.hypernetwork is not None
        arguments = {**self.images, **PretrainedGHN.read(self.hypernetwork).arguments, "evaluation_images": _IMAGES}
        return CachedGHN(self.space, pretrained=self.hypernetwork, **arguments).ghn

    @cached_property
    def _ledgers(self) -> list[Ledger]:
        if self.ledger is None:
            return []
        return [Ledger(self.ledger, self.space, each.fingerprint(), seed=each.seed) for each in self._evaluators]


def _figure(name: str, evaluation: Evaluation) -> float:
    """Return a score by its name, NaN where it is not defined."""
    metric = FIGURES.get(name)
    return evaluation.score if metric is None else -evaluation.metrics.get(metric, np.nan)

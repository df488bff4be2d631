"""Training-free scores of the architectures that a surrogate asks for, each of them computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.proxies.evaluator import ProxyEvaluator

_RUN = "training-free scores"


@dataclass
class ProxyScores:
    """Training-free scores of untrained networks, kept by key in this process and in a ledger, if there is one.

    The ledger is read once, when a score is first missing; what other processes compute after that is computed here too. Each
    score is an evaluator of its own, so that searches with other selections and `--evaluator proxy:NAME` share the entries.

    Args:
        space: Space of the architectures.
        names: Names of the scores; see `archsearch.evaluators.proxies.names`.
        images: Arguments of `ProxyEvaluator`, among them `dataset`, without space, scores and seed.
        seed: Seed of the images and of all initial weights.
        ledger: Folder of all ledgers, as for `Ledger`; None keeps the scores in memory alone.

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
    _known: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    def of(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the scores of architectures, `[architectures, scores]`, NaN where one is not defined.

        Raises:
            DatasetError: The images cannot be read.
            LedgerError: The ledger cannot be read or written.
        """
        keys = [self.space.key(each) for each in architectures]
        # Initial weights lie otherwise in another spelling of a key: one of them stands for all.
        pairs = zip(keys, architectures, strict=True)
        missing = {key: self.space.representative(each) for key, each in pairs if key not in self._known}
        if missing:
            for place, evaluator in enumerate(self._evaluators):
                for key, score in self._scored(evaluator, missing).items():
                    self._known.setdefault(key, np.full(len(self.names), np.nan))[place] = score
        return np.array([self._known[key] for key in keys]).reshape(len(keys), len(self.names))

    def _scored(self, evaluator: ProxyEvaluator, wanted: Mapping[str, Architecture]) -> dict[str, float]:
        """Return one score by key, from the ledger or computed and then written there."""
        recorded = self._recorded.get(evaluator.score_name, {})
        new = evaluator.evaluate([each for key, each in wanted.items() if key not in recorded])
        if (ledger := self._ledgers.get(evaluator.score_name)) is not None:
            ledger.append(_RUN, 0, list(enumerate(new)))
        found = {each.key: each.score for each in new}
        return {key: found[key] if key in found else recorded[key] for key in wanted}

    @cached_property
    def _recorded(self) -> dict[str, dict[str, float]]:
        """What the ledger held when it was first needed: scores by name and key."""
        read = {name: ledger.read().evaluations() for name, ledger in self._ledgers.items()}
        return {name: {key: each.score for key, each in known.items()} for name, known in read.items()}

    @cached_property
    def _evaluators(self) -> list[ProxyEvaluator]:
        from archsearch.evaluators.proxies.evaluator import ProxyEvaluator  # only the actor needs torch

        return [ProxyEvaluator(self.space, [name], seed=self.seed, **self.images) for name in self.names]

    @cached_property
    def _ledgers(self) -> dict[str, Ledger]:
        if self.ledger is None:
            return {}
        made = (
            (each.score_name, Ledger(self.ledger, self.space, each.fingerprint(), seed=each.seed)) for each in self._evaluators
        )
        return dict(made)

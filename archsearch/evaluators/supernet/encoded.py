"""A supernet whose paths come from a population that NAO renews (NAO-WS).

R. Luo et al., "Neural Architecture Optimization", NeurIPS 2018, arXiv 1808.07233, where NAO takes the place of the controller of
ENAS. Numbers are those of the authors' program, github.com/renqianluo/NAO, NAO-WS/cnn/train_search.py and train_search.sh.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch

from archsearch.declarations import AtLeast, Between
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.metrics import even_ranks
from archsearch.evaluators.nao.nao import NAO
from archsearch.evaluators.saved_state import taking_over
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.evaluators.supernet.supernet import Supernet
from archsearch.spaces import Architecture, SearchSpace

_STEP, _LENGTHS = 1.0, 30  # length of the first step of encodings, and number of lengths that are tried
_PATIENCE = 200  # draws without a new architecture before a space counts as exhausted
KEPT, IMPROVED, DRAWN = "kept", "improved", "random"


class Member(NamedTuple):
    """An architecture of the population.

    Args:
        architecture: The architecture.
        origin: How it came there: `kept` from the population before, `improved` by a step of its encoding, or `random`.
        figure: Figure of the task with the shared weights when the population was scored last, such as the accuracy; NaN before.
        loss: Loss then, which breaks ties.
    """

    architecture: Architecture
    origin: str
    figure: float = math.nan
    loss: float = math.nan

    @property
    def order(self) -> tuple[float, float]:
        """Sort key, larger is better; one whose loss is not finite is the worst."""
        return (self.figure, -self.loss) if math.isfinite(self.loss) else (-math.inf, -math.inf)


class EncodedSupernet(Supernet):
    """A supernet whose training steps take random paths of a population, which NAO renews.

    The training has `rounds` equal parts. At the end of each, all paths of the population are scored with the shared weights on
    the same images of the other half of the training images. NAO is fitted to genes and ranks, and the encodings of the best
    take a step up the gradient of the predicted rank. What they decode to and some random architectures replace the worst of
    the population. At the end of the last part the population is scored only.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of weights, images, paths and fits.
        population: Number of architectures (NAO-WS: 1,000).
        rounds: Number of times that they are scored (NAO-WS: after each 30 of 150 epochs).
        parents: Number of the best whose encodings are improved (NAO-WS: 100).
        improved: Share of the population that improved ones replace (NAO-WS: 500 of 1,000).
        explore: Share that random ones replace (NAO-WS: 50 of 1,000).
        score_batch: Number of images that score a path (NAO-WS: 500).
        encoder: Settings of NAO, such as `{"hidden": 96}`; see `archsearch.evaluators.nao.settings`.
        **options: As for `Supernet`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, the space leaves nothing to choose, or it is a `ModuleSpace`.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.encoded import EncodedSupernet
        >>> space, scale = spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}
        >>> small = {"population": 8, "rounds": 2, "encoder": {"steps": 5}}
        >>> supernet = EncodedSupernet(space, "digits", scale=scale, batch_size=8, **small).fit(steps=4)
        >>> len(supernet.ranked())
        8
    """

    title = "nao-ws"

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        population: Annotated[int, AtLeast(2)] = 100,
        rounds: Annotated[int, AtLeast(1)] = 5,
        parents: Annotated[int, AtLeast(1)] = 20,
        improved: Annotated[float, Between(0.0, 0.9)] = 0.5,
        explore: Annotated[float, Between(0.0, 0.1)] = 0.05,
        score_batch: Annotated[int, AtLeast(2)] = 128,
        encoder: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(space, dataset, seed, **options)
        self.population, self.rounds, self.parents = population, rounds, parents
        self.improved, self.explore, self.score_batch = improved, explore, score_batch
        self._encoder: dict[str, Any] = dict(encoder or {})
        NAO(space, seed, **self._encoder)  # it refuses wrong settings, and a space with nothing to choose
        self._method: dict[str, Any] = {
            "population": population,
            "rounds": rounds,
            "parents": parents,
            "improved": improved,
            "explore": explore,
            "score_batch": score_batch,
            "encoder": self._encoder,
        }
        rng = np.random.default_rng([seed, 0])
        self.members = [Member(each, DRAWN) for each in islice(self._fresh(set(), rng), population)]
        """The population; a small space may have fewer architectures than it should hold."""
        self.history: list[tuple[int, dict[str, float]]] = []
        """Steps done, and of the figures at each scoring the `best`, the `mean` and the means by origin."""

    def ranked(self) -> list[Architecture]:
        """Return the population, best first by its last scores."""
        return [each.architecture for each in self._best_first()]

    def further(self, count: int, known: Collection[str], seed: int) -> Iterator[Architecture]:
        """Yield new architectures: at least `count` improved ones if there are enough, then random ones until none is new.

        Args:
            count: Number of improved ones after which no longer steps are tried.
            known: Keys of architectures that are not new.
            seed: Seed of the random ones.
        """
        taken = set(known)
        if count and self.history:
            improved = self._descendants(count, taken)
            taken.update(map(self.space.key, improved))
            yield from improved
        yield from self._fresh(taken, np.random.default_rng([self.seed, 1, seed]))

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "population": [(str(each.architecture), *each[1:]) for each in self.members],
            "history": [(step, dict(means)) for step, means in self.history],
        }

    def load(self, state: Mapping[str, Any]) -> EncodedSupernet:
        super().load(state)
        with taking_over("nao-ws evaluator"):
            members = [Member(self.space.parse(text), *rest) for text, *rest in state["population"]]
            history = [(int(step), dict(means)) for step, means in state["history"]]
        self.members, self.history = members, history
        return self

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "method": self._method}

    @cached_property
    def _parts(self) -> tuple[Resident, Resident]:
        return self.halves()

    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        for_weights, for_scores = self._parts
        generator = self.generator(number)
        chosen = int(torch.randint(len(self.members), (), generator=generator))
        plan = self.path(self.members[chosen].architecture)
        value = self.train_path(weights, plan, self.batch(for_weights, generator), self.learning_rate(number, steps))
        # A round ends where the number of whole rounds grows, so that the last one ends with the training.
        if (number + 1) * self.rounds // steps > number * self.rounds // steps:
            rows = torch.randperm(len(for_scores), generator=generator)[: self.score_batch].to(for_scores.labels.device)
            self._end_round(weights, Resident(for_scores.images[rows], for_scores.labels[rows]), number + 1, steps)
        return value

    def _end_round(self, weights: SharedWeights, images: Resident, done: int, steps: int) -> None:
        """Score the population, and renew it unless the training ends."""
        self.members = [
            Member(each.architecture, each.origin, *self.path_figures(weights, self.path(each.architecture), images))
            for each in self.members
        ]
        self.history.append((done, self._means()))
        if done < steps:
            self._renew(np.random.default_rng([self.seed, 2, done]))

    def _renew(self, rng: np.random.Generator) -> None:
        """Replace the worst of the population by improved and by random architectures."""
        taken = {self.space.key(each.architecture) for each in self.members}
        wanted = round(self.improved * self.population)
        improved = self._descendants(wanted, taken)[:wanted]
        taken.update(map(self.space.key, improved))
        drawn = list(islice(self._fresh(taken, rng), round(self.explore * self.population)))
        kept = self._best_first()[: self.population - len(improved) - len(drawn)]
        self.members = [
            *(each._replace(origin=KEPT) for each in kept),
            *(Member(each, IMPROVED) for each in improved),
            *(Member(each, DRAWN) for each in drawn),
        ]

    def _best_first(self) -> list[Member]:
        return sorted(self.members, key=lambda each: each.order, reverse=True)

    def _descendants(self, wanted: int, known: Collection[str]) -> list[Architecture]:
        """Fit NAO to the scores of the population; return what the improved encodings of the best decode to, if it is new."""
        ranks = even_ranks([each.order for each in self.members])
        nao = NAO(self.space, self.seed, **self._encoder).fit([each.architecture for each in self.members], ranks)
        parents = self.ranked()[: self.parents]
        return nao.descendants(parents, wanted, step=_STEP, lengths=_LENGTHS, admits=lambda key, _: key not in known)

    def _fresh(self, known: Collection[str], rng: np.random.Generator) -> Iterator[Architecture]:
        """Yield random architectures, each structure once, until many draws in a row are known."""
        taken, stale = set(known), 0
        while stale < _PATIENCE:
            architecture = self.space.sample(rng)
            key, stale = self.space.key(architecture), stale + 1
            if key not in taken:
                taken.add(key)
                stale = 0
                yield architecture

    def _means(self) -> dict[str, float]:
        """Return the best figure of the population, its mean, and the means by origin."""
        fine = [each for each in self.members if math.isfinite(each.loss)]
        if not fine:
            return {}
        groups = {name: [each.figure for each in fine if each.origin == name] for name in (KEPT, IMPROVED, DRAWN)}
        means = {name: float(np.mean(figures)) for name, figures in groups.items() if figures}
        figures = [each.figure for each in fine]
        return {"best": max(figures), "mean": float(np.mean(figures)), **means}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_parts"}

"""Neural architecture optimization: the best architectures are improved by a gradient step of their encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.declarations import AtLeast, MoreThan
from archsearch.errors import check_kind
from archsearch.evaluators.metrics import even_ranks
from archsearch.searchers.fitness import fitness
from archsearch.searchers.goals import Goals
from archsearch.searchers.presets import NAO as NAO_PRESETS
from archsearch.searchers.presets import preset_named
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences

if TYPE_CHECKING:
    from archsearch.evaluators.nao.nao import NAO


class EncodingSurrogate:
    """A `Surrogate` that learns sequences once, from random architectures, and the order of the outcomes at each fit.

    Args:
        space: Space of the architectures.
        seed: Seed of the random architectures and of the weights.
        unlabelled: Number of random architectures; with 0 each fit starts from new weights, on the outcomes alone.
        **model: Arguments of `NAO`, without space and seed.
    """

    def __init__(self, space: SearchSpace, seed: int, *, unlabelled: int, **model: Any) -> None:
        self.space, self.seed, self.arguments = space, seed, model
        rng = np.random.default_rng([seed, 0])
        self._unlabelled = [space.sample(rng) for _ in range(unlabelled)]
        self._first: dict[str, Any] | None = None
        self._model = self._made()

    def load(self, state: Mapping[str, Any]) -> None:
        self._model = self._made().load(state)

    def fit(self, rows: Mapping[str, Any], *, seed: int, measured: Sequence[bool]) -> dict[str, Any]:
        """Return the state of a model fitted to the rows, starting from the one that has learned sequences alone.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better; under a scheduler also
                `fidelities`.
            seed: Seed of the fit.
            measured: Whether each objective needs an evaluation.
        """
        known = [self.space.parse(text) for text in rows["architectures"]]
        ranks = even_ranks(fitness(rows["values"].tolist(), rows.get("fidelities", ()), measured))
        if self._unlabelled and self._first is None:
            self._first = self._made().fit(self._unlabelled, None).state()
        self._model = self._made()
        if self._first is not None:
            self._model.load(self._first)
        self._model.fit(known, ranks, self._unlabelled, warm=self._first is not None, seed=seed)
        return self._model.state()

    def score(self, batch: Sequence[str]) -> NDArray[np.float64]:
        """Return predicted ranks, 0 to 1, of architectures given as texts, `[batch]`."""
        return self._model.predict([self.space.parse(text) for text in batch])

    def propose(
        self,
        n: int,
        *,
        seed: int,
        exclude: Sequence[str],
        best: Sequence[str],
        goals: Goals,
        starts: Sequence[str],
        step: float,
        rounds: int,
        rerank: bool,
    ) -> dict[str, list[Any]]:
        """Return up to `n` new feasible architectures that the improved encodings decode to.

        The step grows, `step`, 2 `step`, ..., until there are enough.

        Args:
            n: Number of architectures.
            seed: Not read; nothing is drawn.
            exclude: Keys of architectures that were proposed before.
            best: Not read; see `starts`.
            goals: Objectives and constraints.
            starts: Texts of the architectures to improve, best first.
            step: Length of the first step; see `NAO.improved`.
            rounds: Number of steps that are tried at most.
            rerank: Whether what was decoded is encoded again and ranked by its prediction; else shorter steps and better starts
                come first.
        """
        known, parents = set(exclude), [self.space.parse(text) for text in starts]

        def admits(key: str, architecture: Architecture) -> bool:
            return key not in known and goals.excess(architecture) == 0.0

        architectures = self._model.descendants(parents, n, step=step, lengths=rounds, admits=admits)
        values = self._model.predict(architectures)
        order = np.argsort(-values, kind="stable") if rerank else np.arange(len(values))
        chosen = order[:n].tolist()
        return {"architectures": [str(architectures[at]) for at in chosen], "predictions": [float(values[at]) for at in chosen]}

    def _made(self) -> NAO:
        from archsearch.evaluators.nao.nao import NAO  # only the actor needs torch

        return NAO(self.space, self.seed, **self.arguments)


class EncodingSearch(SurrogateSearcher):
    """Neural architecture optimization (NAO), R. Luo et al., NeurIPS 2018, arXiv 1808.07233, without weight sharing.

    A first stage is random. In each later stage an LSTM encoder, a predictor on the encoding and an LSTM decoder are fitted to
    the genes of all outcomes and their ranks. The encodings of the best architectures take one step up the gradient of the
    predicted rank, and the new architectures that they decode to are evaluated. With several objectives ranks are those of
    NSGA-II.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        preset: Settings of model and search together, by name: see `archsearch.searchers.presets.NAO`. The options below replace
            what it says.
        initial: Number of random candidates before the first fit; None takes 20, but at most half of `num_candidates`.
        stage_size: Number of candidates between two fits; None takes the preset's.
        explore: Fraction of each later stage that is drawn at random; None takes the preset's.
        unlabelled: Number of random architectures whose sequences are learned before the first fit; 0 for none; None takes the
            preset's.
        parents: Number of the best architectures that are improved; None takes the preset's.
        step: Length of the first step, where vectors have length 1; it grows by this until there are enough new architectures.
            None takes the preset's.
        rounds: Number of lengths that are tried at most; None takes the preset's.
        rerank: Whether what was decoded is ranked by prediction; None takes the preset's.
        model: Changes to the settings of the model, such as `{"hidden": 96}`; see `archsearch.evaluators.nao.settings`.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: A setting is out of range, or the space leaves nothing to choose.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.EncodingSearch(spaces.get("nasbench201"), seed=0, initial=20)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        preset: str = "default",
        initial: Annotated[int, AtLeast(1)] | None = None,
        stage_size: Annotated[int, AtLeast(1)] | None = None,
        explore: float | None = None,
        unlabelled: Annotated[int, AtLeast(0)] | None = None,
        parents: Annotated[int, AtLeast(1)] | None = None,
        step: Annotated[float, MoreThan(0)] | None = None,
        rounds: Annotated[int, AtLeast(1)] | None = None,
        rerank: bool | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the model by name, such as {'hidden': 96}")
        GeneSequences(space)  # it refuses a space with nothing to choose
        improving = {"parents": parents, "step": step, "rounds": rounds, "rerank": rerank}
        given = {"initial": initial, "stage_size": stage_size, "explore": explore, "unlabelled": unlabelled, **improving}
        chosen = preset_named(preset, NAO_PRESETS)
        options, self.notes = chosen.options(space.name, {**given, **settings}, settings.get("num_candidates"))
        self.unlabelled = options.pop("unlabelled")
        self.improving: dict[str, Any] = {name: options.pop(name) for name in improving}
        super().__init__(space, seed, **options)
        self.model: dict[str, Any] = {**chosen.model, **(model or {})}
        from archsearch.evaluators.nao.settings import settings_of  # it refuses wrong settings here, not in the actors

        settings_of(self.model.get("preset", "default")).with_changes(
            **{name: value for name, value in self.model.items() if name != "preset"}
        )

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        settled = preset_named(options.get("preset", "default"), NAO_PRESETS).settled(options, num_candidates)
        return super().settled_options(settled, num_candidates)

    def surrogate(self) -> Callable[[], Any]:
        return partial(EncodingSurrogate, self.space, self.seed, unlabelled=self.unlabelled, **self.model)

    def fit_options(self) -> Mapping[str, Any]:
        return {"measured": self.goals.measured}

    def propose_options(self) -> Mapping[str, Any]:
        known = self._newest()
        keys = fitness([self.goals.values(each) for each in known], [each.fidelity for each in known], self.goals.measured)
        order = sorted(range(len(known)), key=lambda place: keys[place], reverse=True)[: self.improving["parents"]]
        steps = {name: value for name, value in self.improving.items() if name != "parents"}
        return {"goals": self.goals, "starts": [str(known[place].architecture) for place in order], **steps}

"""NAO: architectures are improved by one gradient step of their encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.nao.model import SequenceAutoencoder, unit
from archsearch.evaluators.nao.settings import Settings, settings_of
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences

_VERSION = 1
_CHUNK = 512  # architectures that are encoded at once


class NAO(FixedOptions):
    """Encodes the genes of architectures, predicts their performance from the encoding, and decodes encodings.

    R. Luo et al., "Neural Architecture Optimization", NeurIPS 2018, arXiv 1808.07233. The loss of a fit is
    w (f(e_x) - y)^2 - (1 - w) log P(x | e_x), the first term over architectures with a score y and the second, per gene, over
    all; architectures without one are an addition, as in R. Luo et al., "Semi-Supervised Neural Architecture Search",
    NeurIPS 2020, arXiv 2002.10389.

    The outcome depends on the arguments and on the calls of `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of weights and batches.
        preset: `default` or `paper`; see `settings`.
        **changes: Changes to the preset, such as `hidden=96`; see `Settings`.

    Raises:
        ConfigurationError: A setting is out of range, or the space leaves nothing to choose.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.nao.nao import NAO
        >>> space, rng = spaces.get("nasbench201"), np.random.default_rng(0)
        >>> architectures = [space.sample(rng) for _ in range(20)]
        >>> model = NAO(space, hidden=16).fit(architectures, np.linspace(0.0, 1.0, 20), steps=5)
        >>> len(model.improved(architectures[:3], step=1.0))
        3
    """

    def __init__(
        self, space: SearchSpace, seed: Annotated[int, AtLeast(0)] = 0, *, preset: str = "default", **changes: Any
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed = space, seed
        self.settings: Settings = settings_of(preset).with_changes(**changes)
        self._sequences = GeneSequences(space)
        self._model: SequenceAutoencoder | None = None

    def fit(
        self,
        architectures: Sequence[Architecture],
        scores: ArrayLike | None,
        others: Sequence[Architecture] = (),
        *,
        warm: bool = False,
        steps: int | None = None,
        seed: int | None = None,
    ) -> NAO:
        """Learn from architectures, and return the model.

        Args:
            architectures: Those with a score, or any if `scores` is None.
            scores: `[architectures]` from 0 to 1, higher is better; None learns sequences alone.
            others: Architectures without a score, which train encoder and decoder.
            warm: Whether to continue from the last fit; without an earlier one this is a fit like any other.
            steps: Number of steps; None takes `steps`, or with `warm` `warm_steps`, of the settings.
            seed: Seed of the batches; None takes that of the model.

        Raises:
            ConfigurationError: Scores are out of range, not one for each architecture or not finite, there is no architecture,
                or the training diverged.
        """
        if steps is not None:
            check_whole_number("steps", steps)
        labels = None if scores is None else _checked(scores, len(architectures))
        if not len(architectures):
            raise ConfigurationError("architectures: expected at least 1 to learn from; got 0.")
        continued = warm and self._model is not None
        model = self._model if continued and self._model is not None else self._made()
        usual = self.settings.warm_steps if continued else self.settings.steps
        scored = torch.from_numpy(self.tokens(architectures))
        unscored = torch.from_numpy(self.tokens(others)) if len(others) else scored[:0]
        generator = torch.Generator().manual_seed(self.seed if seed is None else seed)
        self._train(model, scored, labels, unscored, steps or usual, generator)
        self._model = model
        return self

    def tokens(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """Return architectures as tokens, `[architectures, genes]`: in a small space those of `space.representative`."""
        if self.space.size <= self.space.enumerable:
            architectures = [self.space.representative(each) for each in architectures]
        return self._sequences.tokens(architectures)

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the predicted performance of architectures, 0 to 1, `[architectures]`.

        Raises:
            ConfigurationError: There was no fit before.
        """
        model = self._fitted()
        if not len(architectures):
            return np.empty(0)
        with torch.inference_mode():
            parts = torch.from_numpy(self.tokens(architectures)).split(_CHUNK)
            found: NDArray[np.float64] = torch.cat([model.predict(model.encode(part)) for part in parts]).double().numpy()
        return found

    def improved(self, architectures: Sequence[Architecture], step: float) -> list[Architecture | None]:
        """Return what the encodings of architectures decode to after one step up the gradient of the predicted performance.

        e' = e + step * df/de (section 3.2), and vectors of length 1 again.

        Args:
            architectures: Architectures to improve.
            step: Length of the step in multiples of a gradient that is scaled to length 1 in its longest place, so that it
                does not depend on how steep the predictor is.

        Returns:
            An architecture for each; None where the sequence is none of the space.

        Raises:
            ConfigurationError: There was no fit before.
        """
        model = self._fitted()
        if not len(architectures):
            return []
        encoding = model.encode(torch.from_numpy(self.tokens(architectures))).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.predict(encoding).sum(), encoding)
        longest = gradient.norm(dim=2, keepdim=True).amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        written = model.decode(unit(encoding.detach() + step * gradient / longest))
        return [self._sequences.architecture_of(row) for row in written.tolist()]

    def descendants(
        self,
        parents: Sequence[Architecture],
        wanted: int,
        *,
        step: float,
        lengths: int,
        admits: Callable[[str, Architecture], bool],
    ) -> list[Architecture]:
        """Return what improved encodings decode to, each structure once; there may be fewer or more than wanted.

        The step grows, `step`, 2 `step`, ..., until there are enough.

        Args:
            parents: Architectures to improve, best first.
            wanted: Number after which no longer steps are tried.
            step: Length of the first step; see `improved`.
            lengths: Number of lengths that are tried at most.
            admits: Returns whether an architecture, given with its key, may be returned.

        Raises:
            ConfigurationError: There was no fit before.
        """
        found: dict[str, Architecture] = {}
        for number in range(1, lengths + 1):
            for improved in self.improved(parents, step * number):
                if improved is not None and (key := self.space.key(improved)) not in found and admits(key, improved):
                    found[key] = improved
            if len(found) >= wanted:
                break
        return list(found.values())

    def reconstructed(self, architectures: Sequence[Architecture]) -> float:
        """Return the share of architectures that are decoded exactly from their own encodings.

        Raises:
            ConfigurationError: There was no fit before.
        """
        model, tokens = self._fitted(), torch.from_numpy(self.tokens(architectures))
        with torch.inference_mode():
            return float((model.decode(model.encode(tokens)) == tokens).all(1).float().mean())

    def state(self) -> dict[str, Any]:
        """Return the weights and what they are of, as tensors and plain data.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return {**self._identity(), "model": {name: value.clone() for name, value in self._fitted().state_dict().items()}}

    def load(self, state: Mapping[str, Any]) -> NAO:
        """Restore what `state` of a model with the same arguments returned, and return the model.

        Raises:
            ConfigurationError: The state is of another space or version, or it is corrupt.
        """
        with taking_over("NAO"):
            check_identity(state, self._identity(), "Make the model with the arguments of the saved one.")
            model = self._made()
            model.load_state_dict(state["model"])
        self._model = model
        return self

    def _train(
        self,
        model: SequenceAutoencoder,
        scored: Tensor,
        labels: Tensor | None,
        unscored: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        wanted = self.settings
        optimizer = torch.optim.Adam(model.parameters(), lr=wanted.learning_rate)
        weight = 0.0 if labels is None else wanted.performance_weight
        for _ in range(steps):
            rows = torch.randperm(len(scored), generator=generator)[: wanted.batch_size]
            more = torch.randperm(len(unscored), generator=generator)[: wanted.batch_size]
            tokens = torch.cat([scored[rows], unscored[more]])
            encoding = model.encode(tokens)
            loss = -(1.0 - weight) * model.log_probabilities(encoding, tokens).mean()
            if labels is not None:
                loss = loss + weight * (model.predict(encoding[: len(rows)]) - labels[rows]).square().mean()
            if not torch.isfinite(loss):
                raise ConfigurationError(
                    f"learning_rate: expected one with which the training converges; it diverged with {wanted.learning_rate:g}. "
                    "Lower it."
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), wanted.gradient_norm)
            optimizer.step()

    def _made(self) -> SequenceAutoencoder:
        sequences, wanted = self._sequences, self.settings
        generator = torch.Generator().manual_seed(self.seed)
        return SequenceAutoencoder(sequences.alternatives, sequences.num_tokens, wanted.hidden, wanted.head, generator)

    def _fitted(self) -> SequenceAutoencoder:
        if self._model is None:
            raise ConfigurationError("NAO: it has learned nothing yet; call fit or load first.")
        return self._model

    def _identity(self) -> dict[str, Any]:
        return {"version": _VERSION, "space": self.space.name, "sizes": list(self._sequences.sizes)}


def _checked(scores: ArrayLike, number: int) -> Tensor:
    """Return scores as a tensor `[architectures]`.

    Raises:
        ConfigurationError: They are not one for each architecture, or one is not from 0 to 1.
    """
    found = np.asarray(scores, dtype=np.float32)
    if found.shape != (number,) or not ((found >= 0.0) & (found <= 1.0)).all():
        raise ConfigurationError(
            f"scores: expected {number} numbers from 0 to 1, such as ranks; got shape {list(found.shape)} with "
            f"{found.min(initial=np.inf):g} to {found.max(initial=-np.inf):g}."
        )
    return torch.from_numpy(found)

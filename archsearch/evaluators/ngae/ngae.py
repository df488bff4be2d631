"""Neural architecture optimization with a graph variational auto-encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.ngae.ascent import REGIONS, Path, ascend
from archsearch.evaluators.ngae.generation import generate
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs, from_batch, to_batch
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.proposals import Proposals, Proposer
from archsearch.evaluators.ngae.region import Region
from archsearch.evaluators.ngae.settings import Settings, settings_of
from archsearch.evaluators.ngae.targets import Scale, checked, joined
from archsearch.evaluators.ngae.training import Epoch, train
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

Vector = NDArray[np.float64]
Architectures = Sequence[Architecture] | GraphBatch
_VERSION = 1
_CHUNK = 1024  # graphs that are encoded or written at once


class NGAE:
    """Maps architectures to a latent space, predicts accuracy and complexity there, and climbs to better ones.

    J. Li, Y. Liu, J. Liu, W. Wang, "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310. It works on every space:
    the decoder learns the rules of the space from random architectures of it, and writes no graph that breaks them.

    The outcome depends on the arguments and on the data given to `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Of weights, order and noise.
        preset: `default` or `paper`; see `settings`.
        device: `cpu`, `cuda`, ...
        **changes: Changes to the preset, such as `epochs=50`; see `Settings`.

    Raises:
        ConfigurationError: A name is unknown or a setting is out of range.

    Example:
        >>> model = NGAE(space).fit(architectures, accuracy, [space.cost(each).macs for each in architectures])
        >>> model.ascend(10, best=architectures[:100]).architectures
    """

    def __init__(
        self, space: SearchSpace, seed: int = 0, *, preset: str = "default", device: str = "cpu", **changes: Any
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed, self.device = space, seed, torch.device(device)
        self.settings: Settings = settings_of(preset).with_changes(**changes)
        self.history: list[Epoch] = []
        self._grammar: Grammar | None = None
        self._model: GraphVAE | None = None
        self._region: Region | None = None
        self._accuracy = self._complexity = Scale(0.0, 0.0)

    def fit(
        self,
        architectures: Architectures,
        accuracy: ArrayLike | None = None,
        complexity: ArrayLike | None = None,
        *,
        warm: bool = False,
        epochs: int | None = None,
        on_epoch: Callable[[int, Epoch], None] | None = None,
    ) -> NGAE:
        """Learn from architectures, and return the model; those whose accuracy is unknown teach what graphs look like.

        Args:
            architectures: At least two, or graphs as `space.encode` gives them.
            accuracy: `[architectures]` fractions, higher is better, NaN where unknown; None where all are.
            complexity: `[architectures]` MACs or any other cost, likewise. Where all are the same it is not learned.
            warm: Go on from the last fit. Without an earlier one this is a fit like any other.
            epochs: Passes over the architectures; None takes `epochs` of the settings.
            on_epoch: Is told the number of each epoch, from 1, and what it showed.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There are fewer than two architectures, figures are out of range or not one for each, or the
                training diverged.
        """
        if epochs is not None:
            check_whole_number("epochs", epochs)
        number = len(architectures)
        if number < 2:
            raise ConfigurationError(f"architectures: expected at least 2 to learn from; got {number}.")
        known = checked("accuracy", accuracy, number, 1.0), checked("complexity", complexity, number, np.inf)
        graphs = self._graphs(architectures)
        if self._model is None or not warm:
            self._grammar = Grammar.of(self.space).widened(graphs.to(torch.device("cpu"))).to(self.device)
        self._accuracy, self._complexity = (Scale.of(figures, not self.settings.sigmoid) for figures in known)
        targets = joined(self._accuracy.learned(known[0]), self._complexity.learned(known[1])).to(self.device)
        grammar = self._rules()
        generator = torch.Generator(self.device).manual_seed(self.seed)
        if self._model is None or not warm:
            first = torch.Generator().manual_seed(self.seed)
            self._model = GraphVAE(grammar, self.space.num_inputs, self.settings, first).to(self.device)
        self.history = train(self._model, grammar, graphs, targets, epochs or self.settings.epochs, generator, on_epoch)
        self._region = Region.of(self._means(graphs))
        return self

    def encode(self, architectures: Architectures) -> Vector:
        """Return the mean in the latent space of each architecture, `[architectures, latent]`.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: There was no fit before.
        """
        self._fitted()
        latents: Vector = self._means(self._graphs(architectures)).double().cpu().numpy()
        return latents

    def decode(self, latents: ArrayLike, *, sample: bool = False, seed: int = 0) -> list[Architecture]:
        """Return the architectures of latent points.

        Args:
            latents: `[points, latent]`.
            sample: Whether each decision is drawn with its probability; otherwise the likelier one is taken.
            seed: Of the draws.

        Raises:
            ConfigurationError: There was no fit before, the points have another width, or one is not finite.
        """
        model = self._fitted()
        array = np.asarray(latents, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.settings.latent:
            raise ConfigurationError(
                f"latents: expected points [points, {self.settings.latent}] of this model; got {list(array.shape)}."
            )
        if not np.isfinite(array).all():
            raise ConfigurationError("latents: expected finite points; got NaN or infinity. Take smaller steps.")
        generator = torch.Generator(self.device).manual_seed(seed) if sample else None
        points = torch.tensor(array, dtype=torch.float32, device=self.device)
        found: list[Architecture] = []
        for chunk in points.split(_CHUNK):
            found += self._architectures(generate(model.decoder, self._rules(), chunk, generator))
        return found

    def predict(self, architectures: Architectures) -> Vector:
        """Return the predicted accuracy of each architecture, `[architectures]` fractions.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: No accuracies were learned before.
        """
        self._check_learned("accuracy", self._accuracy)
        return self.predict_latents(self.encode(architectures))[0]

    def predict_complexity(self, architectures: Architectures) -> Vector:
        """Return the predicted complexity of each architecture, `[architectures]`, in the unit of the fit.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: No complexities were learned before.
        """
        self._check_learned("complexity", self._complexity)
        return self.predict_latents(self.encode(architectures))[1]

    def sample_latents(self, number: int, seed: int = 0) -> Vector:
        """Return latent points `[number, latent]` from the normal distribution with the mean and variance of the data.

        Raises:
            ConfigurationError: There was no fit before.
        """
        self._fitted()
        assert self._region is not None
        points: Vector = self._region.sample(number, torch.Generator(self.device).manual_seed(seed)).double().cpu().numpy()
        return points

    @torch.inference_mode()
    def predict_latents(self, latents: ArrayLike) -> tuple[Vector, Vector]:
        """Return predicted accuracy and complexity of latent points `[points, latent]`, `[points]` each.

        Raises:
            ConfigurationError: There was no fit before.
        """
        model = self._fitted()
        points = torch.tensor(np.asarray(latents), dtype=torch.float32, device=self.device)
        return self._accuracy.figures(model.performance(points)), self._complexity.figures(model.complexity(points))

    def ascend(
        self,
        n: int,
        *,
        weight: float = 0.3,
        budget: float | None = None,
        starts: int = 1000,
        steps: int = 100,
        step: float = 0.1,
        region: str = "ball",
        best: Architectures = (),
        exclude: Collection[str] = (),
        followed: int = 0,
        seed: int = 0,
    ) -> Proposals:
        """Return up to `n` new architectures that gradient ascent from many points leads to (NGAE, equation 7).

        The points that it leads to are decoded, encoded again and ranked by what is predicted then: a point far from the data may
        promise what its architecture does not hold.

        Args:
            n: How many are wanted.
            weight: Of the complexity against the accuracy, both in standard deviations; not used where complexity was not
                learned.
            budget: Largest complexity, in the unit of the fit; the weight is then the smallest that keeps the proposals below.
            starts: Points to start from: half of them the encodings of `best`, the others from the distribution of the data.
            steps: Steps of the ascent.
            step: Their size in standard deviations of the data for each unit of gradient.
            region: How points are kept near the data: `ball`, `prior` or `free`; see `ascent`.
            best: Known architectures to start from.
            exclude: Keys of architectures that are not proposed.
            followed: Of so many starts the way is told.
            seed: Of the starts and of what is drawn where the ascent yields too little that is new.

        Raises:
            ConfigurationError: An argument is out of range, or no accuracies were learned before.
        """
        model = self._fitted()
        self._check_learned("accuracy", self._accuracy)
        for name, value in (("n", n), ("starts", starts), ("steps", steps)):
            check_whole_number(name, value)
        if region not in REGIONS:
            raise ConfigurationError(f"region: expected one of {', '.join(REGIONS)}; got {region!r}.")
        if budget is not None:
            self._check_learned("complexity", self._complexity)
        assert self._region is not None
        kept = self._region

        def climb(points: torch.Tensor, weight: float, followed: int) -> Path:
            slope = weight if self._complexity.spread else 0.0
            return ascend(model, kept, points, weight=slope, steps=steps, step=step, keep=region, followed=followed)

        return Proposer(self, kept, climb, np.random.default_rng(seed)).propose(
            n, weight, budget, starts, self.encode(best) if len(best) else None, set(exclude), followed
        )

    def objective(self, accuracy: Vector, complexity: Vector, weight: float) -> Vector:
        """Return `accuracy - weight * complexity`, both as they are learned: in standard deviations."""
        learned = self._accuracy.learned(accuracy)
        return learned - weight * self._complexity.learned(complexity) if self._complexity.spread else learned

    @property
    def num_parameters(self) -> int:
        """Trainable parameters.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return sum(parameter.numel() for parameter in self._fitted().parameters())

    def state(self) -> dict[str, Any]:
        """Return what was learned as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        model, region = self._fitted(), self._region
        assert region is not None
        return copy.deepcopy(
            {
                **self._identity(),
                "settings": asdict(self.settings),
                "grammar": self._rules().state(),
                "model": dict(model.state_dict()),
                "region": asdict(region),
                "accuracy": asdict(self._accuracy),
                "complexity": asdict(self._complexity),
                "history": [tuple(epoch) for epoch in self.history],
            }
        )

    def load(self, state: Mapping[str, Any]) -> NGAE:
        """Take over what another model of this space has learned, with its settings, and return the model.

        Raises:
            ConfigurationError: The state is of another space or version, or it is damaged.
        """
        with taking_over("model"):
            remedy = "Make the model for the space of the one that was saved, with the same version of archsearch."
            check_identity(state, self._identity(), remedy)
            state = copy.deepcopy(dict(state))
            settings, grammar = Settings(**state["settings"]), Grammar(**state["grammar"]).to(self.device)
            model = GraphVAE(grammar, self.space.num_inputs, settings, torch.Generator()).to(self.device)
            model.load_state_dict(state["model"])
            region, scales = Region(**state["region"]), (Scale(**state["accuracy"]), Scale(**state["complexity"]))
            history = [Epoch(*epoch) for epoch in state["history"]]
        self.settings, self._grammar, self._model, self._region = settings, grammar, model.eval(), region
        (self._accuracy, self._complexity), self.history = scales, history
        return self

    def _identity(self) -> dict[str, Any]:
        return {"version": _VERSION, "space": self.space.name, "vocabulary": list(self.space.vocabulary)}

    def _fitted(self) -> GraphVAE:
        if self._model is None:
            raise ConfigurationError("NGAE: it has learned nothing yet; call fit or load first.")
        return self._model

    def _check_learned(self, name: str, scale: Scale) -> None:
        self._fitted()
        if not scale.spread:
            raise ConfigurationError(
                f"{name}: the model was given none, or only one and the same; call fit with at least two different ones."
            )

    def _rules(self) -> Grammar:
        if self._grammar is None:
            self._grammar = Grammar.of(self.space).to(self.device)
        return self._grammar

    def _graphs(self, architectures: Architectures) -> Graphs:
        batch = architectures if isinstance(architectures, GraphBatch) else self.space.encode(architectures)
        rules = self._rules()
        if batch.vocabulary != self.space.vocabulary or (len(batch) and batch.operators.shape[1] != rules.cells):
            raise ArchitectureError(
                f"architectures: expected graphs of {self.space.name} with {rules.cells} cells; got others. "
                "Encode them with the space of the model."
            )
        if len(batch) and batch.operators.shape[2] > rules.vertices:
            raise ArchitectureError(
                f"architectures: expected at most {rules.vertices} vertices a cell, as in {self.space!r}; "
                f"got {batch.operators.shape[2]}."
            )
        return from_batch(batch, rules.vertices).to(self.device)

    @torch.inference_mode()
    def _means(self, graphs: Graphs) -> torch.Tensor:
        model = self._fitted()
        starts = range(0, len(graphs), _CHUNK)
        parts = [model.encoder(graphs.rows(slice(start, start + _CHUNK)))[0] for start in starts]
        return torch.cat(parts) if parts else torch.empty(0, self.settings.latent)

    def _architectures(self, graphs: Graphs) -> list[Architecture]:
        """Return graphs as architectures; should a space of one's own refuse one, the others stay."""
        batch = to_batch(graphs, self.space.vocabulary)
        try:
            return self.space.decode(batch)
        except ArchitectureError:
            found = []
            for row in range(len(batch)):
                try:
                    found += self.space.decode(batch[row : row + 1])
                except ArchitectureError:
                    continue
            return found

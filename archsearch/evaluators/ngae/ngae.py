"""NGAE: neural architecture optimization with a graph variational auto-encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.ngae.ascent import REGIONS, Path, ascend
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.latent_space import Architectures, LatentSpace, Vector, graphs_of
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.process import LatentProcess
from archsearch.evaluators.ngae.proposals import Proposals, propose
from archsearch.evaluators.ngae.region import Region
from archsearch.evaluators.ngae.settings import Settings, settings_of
from archsearch.evaluators.ngae.targets import Scale, checked, joined
from archsearch.evaluators.ngae.training import Epoch, train
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.vectors import learnable_scores
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, SearchSpace

_VERSION = 1
_REMEDY = "Make the model with the space of the saved one, by the same version of archsearch."


class NGAE(FixedOptions):
    """Maps architectures to a latent space, predicts accuracy and complexity there, and climbs to better ones.

    J. Li, Y. Liu, J. Liu, W. Wang, "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310. It works on every space:
    the decoder learns the rules of the space from random architectures of it, and generates no graph that breaks them.

    The outcome depends on the arguments and on the data given to `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of weights, order and noise.
        preset: `default`, `paper` or `authors`; see `settings`.
        device: `auto`, `cpu`, `cuda`, ...
        **changes: Changes to the preset, such as `epochs=50`; see `Settings`.

    Raises:
        ConfigurationError: A name is unknown or a setting is out of range.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import NGAE
        >>> space, rng = spaces.get("enas"), np.random.default_rng(0)
        >>> architectures = [space.sample(rng) for _ in range(50)]
        >>> model = NGAE(space, width=16, epochs=2).fit(architectures, np.linspace(0.5, 0.9, 50))
        >>> len(model.ascend(3, starts=20, steps=5).architectures)
        3
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: Annotated[int, AtLeast(0)] = 0,
        *,
        preset: str = "default",
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed, self.device = space, seed, device_named(device)
        self.settings: Settings = settings_of(preset).with_changes(**changes)
        self.history: list[Epoch] = []
        self._latent: LatentSpace | None = None

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
        """Learn from architectures, and return the model; those of unknown accuracy do not train its predictor.

        Args:
            architectures: At least two, or graphs as `space.encode` gives them.
            accuracy: `[architectures]` fractions, higher is better, NaN where unknown; None where all are.
            complexity: `[architectures]` MACs or any other cost, likewise. Where all are the same it is not learned.
            warm: Whether to continue from the last fit; without an earlier one this is a fit like any other.
            epochs: Passes over the architectures; None takes `epochs` of the settings.
            on_epoch: Called after each epoch with its number, from 1, and its losses.

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
        latent = self._latent if warm else None
        if latent is None:
            rules = Grammar.of(self.space)
            graphs = graphs_of(self.space, rules, architectures)
            grammar, graphs = rules.widened(graphs).to(self.device), graphs.to(self.device)
            first = torch.Generator().manual_seed(self.seed)
            model = GraphVAE(grammar, self.space.num_inputs, self.settings, first).to(self.device)
        else:
            grammar, model = latent.grammar, latent.model
            graphs = graphs_of(self.space, grammar, architectures)
        scales = [Scale.of(figures, not self.settings.sigmoid) for figures in known]
        targets = joined(*(scale.learned(figures) for scale, figures in zip(scales, known, strict=True))).to(self.device)
        generator = torch.Generator(self.device).manual_seed(self.seed)
        region = self._latent.region if self._latent else None
        self._latent = LatentSpace(self.space, grammar, model, accuracy=scales[0], complexity=scales[1], region=region)
        self.history = train(model, grammar, graphs, targets, epochs or self.settings.epochs, generator, on_epoch)
        self._latent = replace(self._latent, region=Region.of(self._latent.means(graphs)))
        return self

    def condition(self, architectures: Architectures, scores: ArrayLike, *, optimism: float = 0.0, seed: int = 0) -> NGAE:
        """Predict accuracy by a Gaussian process on the latent space until the next fit, and return the model.

        Encoder, decoder and the predictor of complexity stay as they are; see `process`. A process learns more from a few dozen
        architectures than the head of the model does.

        Args:
            architectures: At least two, or graphs as `space.encode` gives them.
            scores: `[architectures]` finite figures of any scale, higher is better; `predict` returns the like.
            optimism: Number of standard deviations that a prediction lies above the mean of the process.
            seed: Seed of the search for the parameters of the kernel.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before, scores are not one for each architecture or not finite, or they are all
                equal.
        """
        space = self.latent_space
        figures = learnable_scores(scores, len(architectures))
        scale = Scale.of(figures, standardised=True)
        latents = space.means(graphs_of(self.space, space.grammar, architectures))
        targets = torch.from_numpy(scale.learned(figures)).to(self.device)
        process = LatentProcess.of(space.data_region(), latents, targets, optimism=optimism, seed=seed)
        self._latent = replace(space, accuracy=scale, process=process)
        return self

    @property
    def latent_space(self) -> LatentSpace:
        """The latent space of the model.

        Raises:
            ConfigurationError: There was no fit before.
        """
        if self._latent is None:
            raise ConfigurationError("NGAE: it has learned nothing yet; call fit or load first.")
        return self._latent

    def encode(self, architectures: Architectures) -> Vector:
        """Return the mean in the latent space of each architecture, `[architectures, latent]`.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: There was no fit before.
        """
        return self.latent_space.encode(architectures)

    def decode(self, latents: ArrayLike, *, sample: bool = False, seed: int = 0) -> list[Architecture]:
        """Return the architectures of latent points.

        Args:
            latents: `[points, latent]`.
            sample: Whether each decision is drawn with its probability; otherwise the likelier one is taken.
            seed: Seed of the draws.

        Raises:
            ConfigurationError: There was no fit before, the points have another width, or one is not finite.
        """
        return self.latent_space.decode(latents, sample=sample, seed=seed)

    def predict(self, architectures: Architectures) -> Vector:
        """Return the predicted accuracy of each architecture, `[architectures]` fractions.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: No accuracies were learned before.
        """
        space = self.latent_space
        _check_learned("accuracy", space.accuracy)
        return space.predict_latents(space.encode(architectures))[0]

    def predict_complexity(self, architectures: Architectures) -> Vector:
        """Return the predicted complexity of each architecture, `[architectures]`, in the unit of the fit.

        Raises:
            ArchitectureError: One is not of the space.
            ConfigurationError: No complexities were learned before.
        """
        space = self.latent_space
        _check_learned("complexity", space.complexity)
        return space.predict_latents(space.encode(architectures))[1]

    def sample_latents(self, number: int, seed: int = 0) -> Vector:
        """Return latent points `[number, latent]` from the normal distribution with the mean and variance of the data.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return self.latent_space.sample_latents(number, seed)

    def predict_latents(self, latents: ArrayLike) -> tuple[Vector, Vector]:
        """Return predicted accuracy and complexity of latent points `[points, latent]`, `[points]` each.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return self.latent_space.predict_latents(latents)

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
        best_share: float = 0.5,
        best_spread: float = 0.5,
        sample: bool = False,
        rerank: bool = True,
        exclude: Collection[str] = (),
        recorded_starts: int = 0,
        seed: int = 0,
    ) -> Proposals:
        """Return up to `n` new architectures that gradient ascent from many points leads to (NGAE, equation 7; see `ascent`).

        The last points are decoded, encoded again and ranked by the predictions then, because those for a point far from the data
        may not hold for its architecture. As published it is `region="plain", sample=True, rerank=False, weight=1.0`.

        Args:
            n: Number of architectures that are wanted.
            weight: Weight of the complexity against the accuracy, both in standard deviations; not used where complexity was not
                learned.
            budget: Largest complexity, in the unit of the fit; the weight is then the smallest that keeps the proposals below.
            starts: Points to start from: some are encodings of `best`, the others are drawn from the distribution of the data.
            steps: Steps of the ascent.
            step: Step size in standard deviations of the data for each unit of gradient.
            region: Rule that keeps points near the data: `ball`, `prior` or `free`; see `ascent`. With `plain` there is none, the
                steps are those of equation 7 in the latent space itself, and starts are drawn from N(0, I).
            best: Known architectures to start from.
            best_share: Share of the starts that are encodings of `best`, if there are any, or points around them.
            best_spread: Largest standard deviation of the noise around an encoding, in those of the data. Each of these starts
                has its own, from 0 on; the first ones are the encodings themselves.
            sample: Whether the ends are decoded by drawing each decision, in place of the likelier one.
            rerank: Whether the decoded architectures are encoded again and ranked; otherwise they come in the order of their
                starts.
            exclude: Keys of architectures that are not proposed.
            recorded_starts: Number of starts whose trajectory is recorded.
            seed: Seed of the starts, and of the random architectures if the ascent yields too few new ones.

        Raises:
            ConfigurationError: An argument is out of range, or no accuracies were learned before.
        """
        space = self.latent_space
        _check_learned("accuracy", space.accuracy)
        for name, value in (("n", n), ("starts", starts), ("steps", steps)):
            check_whole_number(name, value)
        if region not in REGIONS:
            raise ConfigurationError(f"region: expected one of {', '.join(REGIONS)}; got {region!r}.")
        if not 0.0 <= best_share <= 1.0:
            raise ConfigurationError(f"best_share: expected a share from 0 to 1; got {best_share!r}.")
        if not 0.0 <= best_spread < np.inf:
            raise ConfigurationError(f"best_spread: expected a number of at least 0; got {best_spread!r}.")
        if budget is not None:
            _check_learned("complexity", space.complexity)
        kept = space.data_region()
        if region == "plain":
            kept = Region.of_prior(kept.center)

        def climb(points: torch.Tensor, weight: float, recorded_starts: int) -> Path:
            return ascend(
                space.performance,
                space.model.complexity,
                kept,
                points,
                weight=weight if space.complexity.spread else 0.0,
                steps=steps,
                step=step,
                keep=region,
                recorded_starts=recorded_starts,
            )

        return propose(
            space,
            climb,
            n,
            region=kept,
            weight=weight,
            budget=budget,
            starts=starts,
            best=space.encode(best) if len(best) else None,
            best_share=best_share,
            best_spread=best_spread,
            sample=sample,
            rerank=rerank,
            exclude=set(exclude),
            recorded_starts=recorded_starts,
            rng=np.random.default_rng(seed),
        )

    def objective(self, accuracy: Vector, complexity: Vector, weight: float) -> Vector:
        """Return `accuracy - weight * complexity`, both as they are learned: in standard deviations.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return self.latent_space.objective(accuracy, complexity, weight)

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return sum(parameter.numel() for parameter in self.latent_space.model.parameters())

    def state(self) -> dict[str, Any]:
        """Return the trained model as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        space = self.latent_space
        return copy.deepcopy(
            {
                **self._identity(),
                "settings": asdict(self.settings),
                "grammar": space.grammar.state(),
                "model": dict(space.model.state_dict()),
                "region": asdict(space.data_region()),
                "accuracy": asdict(space.accuracy),
                "complexity": asdict(space.complexity),
                "process": None if space.process is None else space.process.state(),
                "history": [tuple(epoch) for epoch in self.history],
            }
        )

    def load(self, state: Mapping[str, Any]) -> NGAE:
        """Restore the saved state of a model of this space, with its settings, and return the model.

        Raises:
            ConfigurationError: The state is of another space or version, or it is corrupt.
        """
        with taking_over("model"):
            check_identity(state, self._identity(), _REMEDY)
            state = copy.deepcopy(dict(state))
            settings, grammar = Settings(**state["settings"]), Grammar(**state["grammar"]).to(self.device)
            model = GraphVAE(grammar, self.space.num_inputs, settings, torch.Generator()).to(self.device)
            model.load_state_dict(state["model"])
            region, process = Region(**state["region"]), state.get("process")
            latent = LatentSpace(
                self.space,
                grammar,
                model.eval(),
                accuracy=Scale(**state["accuracy"]),
                complexity=Scale(**state["complexity"]),
                region=region,
                process=None if process is None else LatentProcess(region, **process),
            )
            history = [Epoch(*epoch) for epoch in state["history"]]
        self.settings, self._latent, self.history = settings, latent, history
        return self

    def _identity(self) -> dict[str, Any]:
        return {"version": _VERSION, "space": self.space.name, "vocabulary": list(self.space.vocabulary)}


def _check_learned(name: str, scale: Scale) -> None:
    if not scale.spread:
        raise ConfigurationError(
            f"{name}: the model was given none, or only one and the same value; call fit with at least two different ones."
        )

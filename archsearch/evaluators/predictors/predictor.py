"""The predictor, which learns from scored architectures to rank others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from archsearch.declarations import AtLeast
from archsearch.errors import ArchitectureError, ConfigurationError, check_kind, check_whole_number, unknown_name
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.predictors import losses
from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.encoders.gates_cells import CellsGATES
from archsearch.evaluators.predictors.encoders.gates_edge import EdgeGATES
from archsearch.evaluators.predictors.encoders.gates_node import NodeGATES
from archsearch.evaluators.predictors.encoders.gcn import GCN, GlobalGCN
from archsearch.evaluators.predictors.encoders.lstm import LSTM
from archsearch.evaluators.predictors.encoders.mlp import RawNumbers
from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.settings import PRESETS, Settings, settings_of
from archsearch.evaluators.predictors.structure import structure
from archsearch.evaluators.predictors.trained import Trained
from archsearch.evaluators.predictors.training import train
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.vectors import learnable_scores
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

Vector = NDArray[np.float64]
Architectures = Sequence[Architecture] | GraphBatch | Population

ENCODERS: Mapping[str, Callable[[Form], type[Encoder]]] = {
    "gates": lambda form: (CellsGATES if form.slots else EdgeGATES) if form.width else NodeGATES,
    "gcn": lambda form: GCN,
    "gcn-global": lambda form: GlobalGCN,
    "lstm": lambda form: LSTM,
    "mlp": lambda form: RawNumbers,
}
_VERSION = 2


class Predictor(FixedOptions):
    """Ranks architectures after training on scored ones.

    X. Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
    arXiv 2004.01899. A prediction is in standard deviations from the mean of the predictions for the architectures of the
    training. Only the order is learned (but for `loss="mse"`), so predictions are not accuracies.

    The outcome depends on the arguments and on the data given to `fit` alone. `fit` starts from new weights unless `warm`.

    Args:
        space: Space of the architectures.
        encoder: `gates` (with operators on nodes, on edges, or in slots of several cells, as the space has them), or one of its
            baselines `gcn`, `gcn-global`, `lstm`, `mlp`.
        loss: `hinge`, `bce`, `comparator`, `listmle` or `mse`; see `losses`.
        seed: Seed of weights, order, pairs and dropout.
        preset: `default` or `paper`; see `settings_of`.
        members: Models that are trained side by side; their mean is the prediction. Member k is the same in any number of them.
        device: `auto`, `cpu`, `cuda`, ...
        **changes: Changes to the preset, such as `epochs=50`; see `Settings`.

    Raises:
        ConfigurationError: A name is unknown or a setting is out of range.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import Predictor
        >>> space, rng = spaces.get("nasbench201"), np.random.default_rng(0)
        >>> architectures = [space.sample(rng) for _ in range(20)]
        >>> Predictor(space, epochs=5).fit(architectures, np.linspace(0.5, 0.9, 20)).predict(architectures).shape
        (20,)
    """

    def __init__(
        self,
        space: SearchSpace,
        encoder: str = "gates",
        loss: str = "hinge",
        seed: Annotated[int, AtLeast(0)] = 0,
        *,
        preset: str = "default",
        members: int = 1,
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        for argument, value, known in (("encoder", encoder, ENCODERS), ("loss", loss, losses.NAMES), ("preset", preset, PRESETS)):
            if value not in known:
                raise ConfigurationError(unknown_name(argument, value, known))
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_whole_number("members", members)
        Settings().with_changes(**changes)
        self.space, self.encoder, self.loss, self.seed = space, encoder, loss, seed
        self.preset, self.members, self.device, self._changes = preset, members, device_named(device), changes
        self._trained: Trained | None = None

    @property
    def compares_pairs(self) -> bool:
        """Whether the loss is on pairs, so that `fit` takes `rungs`."""
        return self.loss in losses.PAIRWISE

    def prepare(self, architectures: Architectures) -> Population:
        """Return architectures as the tensors that `fit` and `predict` read, to be used again and again.

        Args:
            architectures: A sequence of them, or graphs as `space.encode` gives them.

        Raises:
            ArchitectureError: One is not of the space, or has more nodes than the encoder is made for (`mlp` and `lstm`, which
                take rows of one length: that of the first fit).
        """
        return self._population(architectures, self._trained)

    def fit(
        self,
        architectures: Architectures,
        scores: ArrayLike,
        *,
        rungs: ArrayLike | None = None,
        warm: bool = False,
        epochs: int | None = None,
    ) -> Predictor:
        """Learn from scored architectures, and return the predictor.

        With `rungs`, an architecture is given once for each number of training steps after which it was scored, and only the
        order within a rung is learned: scores after different numbers of steps are never compared. The pairs of rung k, from 0,
        weigh 2^k in all, because scores after more steps tell more; benchmarks/fidelity/predictors.py measures it beside other
        ways.

        Args:
            architectures: At least two, as in `prepare`. One that is given twice counts twice, also with two different scores.
            scores: `[architectures]`, higher is better.
            rungs: `[architectures]` whole numbers from 0, larger for more steps; None if all scores can be compared. It needs a
                loss on pairs: `hinge`, `bce` or `comparator`.
            warm: Whether to continue from the last fit, with the state of its optimizer, on these architectures alone: give
                the old ones too. Without an earlier fit this is a fit like any other.
            epochs: Passes over the architectures; None takes `epochs` of the settings, or `warm_epochs` in a warm fit.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There are fewer than two different scores, one is NaN or infinite, their number is not that of
                the architectures, the training diverged, or a score is not between 0 and 1 (`loss="mse"` of the preset `paper`
                alone); or the rungs are no whole numbers from 0, no rung has two different scores, or the loss is not on pairs.
        """
        if epochs is not None:
            check_whole_number("epochs", epochs)
        trained = self._trained if warm else None
        population = self._population(architectures, trained)
        vector = learnable_scores(scores, len(population))
        levels = None if rungs is None else self._rungs(rungs, vector)
        number = epochs
        if trained is None:
            settings = self._settings(population.form, None)
            trained = self._made(population.encoder, population.form, settings)
            trained.begin(population)
            number = epochs or settings.epochs
        settings = trained.settings
        train(
            trained.model,
            trained.parameters,
            trained.optimizer,
            population.tensors,
            self._targets(vector, settings),
            trained.generators,
            epochs=number or settings.warm_epochs,
            batch_size=settings.batch_size,
            rungs=levels,
        )
        trained.settle(population)
        self._trained = trained
        return self

    def predict(self, architectures: Architectures) -> Vector:
        """Return a score for each architecture, `[architectures]` float64, higher is better: the mean over the members.

        Raises:
            ArchitectureError: See `prepare`.
            ConfigurationError: There was no fit before.
        """
        mean: Vector = self.predict_members(architectures).mean(axis=0)
        return mean

    def predict_members(self, architectures: Architectures) -> Vector:
        """Return the score that each member gives, `[members, architectures]` float64; their spread is a measure of uncertainty.

        Raises:
            ArchitectureError: See `prepare`.
            ConfigurationError: There was no fit before.
        """
        trained = self._fitted()
        if not len(architectures):
            return np.empty((self.members, 0))
        return trained.scores(self._population(architectures, trained))

    @property
    def settings(self) -> Settings:
        """The settings in use: those of the preset for this kind of space, with the changes.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return self._fitted().settings

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters of a member.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return sum(parameter.numel() for parameter in self._fitted().model.parameters()) // self.members

    def state(self) -> dict[str, Any]:
        """Return weights and optimizer as tensors and plain data that `torch.load(..., weights_only=True)` reads.

        Raises:
            ConfigurationError: There was no fit before.
        """
        trained = self._fitted()
        return {**self._identity(), "settings": asdict(trained.settings), "form": asdict(trained.form), **trained.state()}

    def load(self, state: Mapping[str, Any]) -> Predictor:
        """Restore the saved state of a predictor with the same arguments (but the seed), and return the predictor.

        Raises:
            ConfigurationError: The state is of another space, encoder, loss, number of members or version, or it is corrupt.
        """
        with taking_over("predictor"):
            check_identity(state, self._identity(), "Make the predictor with the arguments of the saved one.")
            form, settings = Form(**state["form"]), Settings(**state["settings"])
            trained = self._made(ENCODERS[self.encoder](form), form, settings)
            trained.load({name: state[name] for name in trained.state()})
        self._trained = trained
        return self

    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "space": self.space.name,
            "vocabulary": list(self.space.vocabulary),
            "encoder": self.encoder,
            "loss": self.loss,
            "members": self.members,
        }

    def _fitted(self) -> Trained:
        if self._trained is None:
            raise ConfigurationError("predictor: it has learned nothing yet; call fit or load first.")
        return self._trained

    def _made(self, encoder: type[Encoder], form: Form, settings: Settings) -> Trained:
        return Trained(encoder, form, self.loss, settings, self.seed, self.members, self.device)

    def _population(self, architectures: Architectures, trained: Trained | None) -> Population:
        """Return architectures as tensors that suit the fitted model, if there is one."""
        if not isinstance(architectures, Population):
            architectures = self._encoded(architectures, trained)
        form = architectures.form
        _check_vocabulary(form.vocabulary, self.space)
        settings = self._settings(form, trained)
        expected = ENCODERS[self.encoder](form), settings.structure, settings.features
        if (architectures.encoder, architectures.structured, architectures.featured) != expected:
            raise ConfigurationError(
                f"architectures: expected a population prepared for encoder={self.encoder!r} and preset={self.preset!r}; got one "
                f"for {architectures.encoder.__name__}, structure={architectures.structured}, features={architectures.featured}. "
                "Prepare it with this predictor."
            )
        if trained:
            _check_form(architectures, trained.form)
        return architectures

    def _encoded(self, architectures: Sequence[Architecture] | GraphBatch, trained: Trained | None) -> Population:
        batch = architectures if isinstance(architectures, GraphBatch) else self.space.encode(architectures)
        _check_vocabulary(batch.vocabulary, self.space)
        given, batch = batch, self.space.canonical_graphs(batch)
        batch = batch.first_cells(self.space.ranked_cells)
        form = Form.of(batch, self.space.num_inputs)
        encoder, settings = ENCODERS[self.encoder](form), self._settings(form, trained)
        if trained and encoder.fixed_size:
            form = replace(form, nodes=max(form.nodes, trained.form.nodes))
        tensors = [*encoder.tensors(batch, form)]
        if settings.structure:
            tensors.append(structure(batch))
        if settings.features:
            tensors.append(torch.from_numpy(features_of(self.space, given, "graf")))
        placed = tuple(tensor.to(self.device) for tensor in tensors)
        return Population(encoder, form, placed, settings.structure, settings.features)

    def _settings(self, form: Form, trained: Trained | None) -> Settings:
        return trained.settings if trained else settings_of(self.preset, form).with_changes(**self._changes)

    def _rungs(self, rungs: ArrayLike, scores: Vector) -> torch.Tensor:
        """Return rungs as a tensor `[architectures]`, after checking them."""
        if not self.compares_pairs:
            raise ConfigurationError(
                f"rungs: expected a loss on pairs, one of {', '.join(losses.PAIRWISE)}; got loss={self.loss!r}, which compares "
                "scores after different numbers of steps."
            )
        levels = np.asarray(rungs)
        if levels.shape != scores.shape or not np.issubdtype(levels.dtype, np.integer) or levels.min() < 0:
            raise ConfigurationError(
                f"rungs: expected {len(scores)} whole numbers from 0, one for each architecture; got {levels.dtype} of shape "
                f"{list(levels.shape)}."
            )
        if all(len(np.unique(scores[levels == level])) < 2 for level in np.unique(levels)):
            raise ConfigurationError(
                "rungs: expected a rung with two different scores, so that there is an order to learn; got none."
            )
        return torch.tensor(levels, dtype=torch.int64, device=self.device)

    def _targets(self, scores: Vector, settings: Settings) -> torch.Tensor:
        """Return the targets of the loss: ranks, whose differences single precision keeps, or for `mse` fractions from 0 to 1."""
        if self.loss != "mse":
            targets = stats.rankdata(scores, method="dense")
        elif settings.rank_targets:
            targets = (stats.rankdata(scores) - 1.0) / (len(scores) - 1.0)
        elif scores.min() >= 0.0 and scores.max() <= 1.0:
            targets = scores
        else:
            raise ConfigurationError(
                f"scores: expected fractions from 0 to 1 for loss='mse'; got {scores.min()} to {scores.max()}. "
                "Scale them, or set rank_targets=True."
            )
        return torch.tensor(targets, dtype=torch.float32, device=self.device)


def _check_vocabulary(vocabulary: Sequence[str], space: SearchSpace) -> None:
    if vocabulary != space.vocabulary:
        raise ArchitectureError(
            f"architectures: expected graphs with the operators of {space.name}; got {', '.join(vocabulary)}. "
            "Encode them with the space of the predictor."
        )


def _check_form(population: Population, form: Form) -> None:
    given = population.form
    if given.nodes > form.nodes and population.encoder.fixed_size:
        raise ArchitectureError(
            f"architectures: expected at most {form.nodes} nodes, as in the first fit; got {given.nodes}. "
            "Fit anew with the largest among the architectures, or use encoder='gates'."
        )
    if replace(given, nodes=form.nodes) != form:
        raise ArchitectureError(f"architectures: expected graphs like those of the first fit, {form}; got {given}.")

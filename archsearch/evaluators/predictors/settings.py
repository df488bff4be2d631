"""Settings of a predictor and its presets: sizes and training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.settings import AtLeast, Between, check_settings, with_changes


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a predictor, without space, encoder, loss, members and seed.

    Args:
        layers: Layers of a GATES encoder; information moves one edge a layer.
        width: Features of a layer of GATES and of a graph convolution.
        embedding: Features of an embedded operator and of an embedded input.
        hidden: Features of the first states of GATES.
        residual: Whether a node's own state is added in a layer of GATES with operators on nodes.
        self_loops: Whether a node's own state passes its gate there.
        depth_scale: Size of the random embedding of its depth that a node starts from there; with 0 all start from zero.
        structure: Whether counted properties of the graph are appended to the encoder's vector; see `structure`.
        features: Whether graph features (GRAF) are appended to it, standardised by the architectures of the fit; see `featured`.
        convolutions: Layers of a graph convolution network.
        recurrent: Features of embeddings and states of the LSTM.
        head: Widths of the hidden layers between vector and score.
        dropout: Share of their values that is set to zero in training.
        epochs: Passes over the architectures in a fit.
        warm_epochs: Passes over the architectures in a fit that continues an earlier one.
        batch_size: Largest number of architectures in one step.
        learning_rate: Learning rate of Adam, constant.
        margin: Gap above which a hinge loss is zero.
        pairs: Pairs for each architecture of a step that a pairwise loss draws; 0 takes all.
        rank_targets: Whether the regression loss is on ranks from 0 to 1, and not on the scores as they are.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    layers: Annotated[int, Between(1, 1000)] = 5
    width: Annotated[int, Between(1, 100_000)] = 128
    embedding: Annotated[int, Between(1, 100_000)] = 48
    hidden: Annotated[int, Between(1, 100_000)] = 96
    residual: bool = False
    self_loops: bool = True
    depth_scale: Annotated[float, Between(0.0, 1000.0)] = 0.0
    structure: bool = False
    features: bool = False
    convolutions: Annotated[int, Between(1, 1000)] = 2
    recurrent: Annotated[int, Between(1, 100_000)] = 100
    head: Annotated[tuple[int, ...], AtLeast(1)] = (200,)
    dropout: Annotated[float, Between(0.0, 0.99)] = 0.1
    epochs: Annotated[int, Between(1, 1_000_000)] = 200
    warm_epochs: Annotated[int, Between(1, 1_000_000)] = 50
    batch_size: Annotated[int, Between(2, 1_000_000)] = 512
    learning_rate: Annotated[float, Between(0.0, 1000.0)] = 1e-3
    margin: Annotated[float, Between(0.0, 1000.0)] = 0.1
    pairs: Annotated[int, Between(0, 1_000_000)] = 4
    rank_targets: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "predictor", changes)


PRESETS = ("default", "paper")


def settings_of(preset: str, form: Form) -> Settings:
    """Return the settings of a preset for a space.

    `paper` is the configuration of the authors of GATES: layers and heads by space, scores as targets of a regression. `default`
    reads counted properties of the graph besides (see `structure`) and depths of nodes, with fewer layers;
    benchmarks/gates/kendall.py measures the effect. Graph features, with a smaller head, rank better on NAS-Bench-201, but
    searches with them need more evaluations (benchmarks/gates/encodings.py, benchmarks/gates/search.py): they are off.

    Raises:
        ConfigurationError: There is no preset of that name.
    """
    if preset not in PRESETS:
        raise ConfigurationError(unknown_name("preset", preset, PRESETS))
    on_pairs = bool(form.width) and not form.slots
    if preset == "paper":
        return Settings(head=(300,) * 5) if on_pairs else Settings()
    ours = Settings(layers=3, structure=True, head=(200, 200), rank_targets=True)
    if on_pairs:
        return replace(ours, head=(300,) * 5)
    if form.slots:
        return replace(ours, layers=form.width - form.inputs)
    return replace(ours, depth_scale=0.3)

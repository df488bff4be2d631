"""Sizes and training of a predictor, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archsearch.evaluators.checked_settings import check_ranges, check_widths, with_changes


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a predictor depends on but its space, encoder, loss, members and seed.

    Args:
        layers: Layers of a GATES encoder; information moves one edge a layer.
        width: Features of a layer of GATES and of a graph convolution.
        embedding: Features of an embedded operator and of an embedded input.
        hidden: Features of the first states of GATES.
        residual: Whether a node's own state is added in a layer of GATES with operators on nodes.
        self_loops: Whether a node's own state passes its gate there.
        depth_scale: Size of the random embedding of its depth that a node starts from there; with 0 all start from zero.
        structure: Whether counted properties of the graph stand beside the encoder's vector; see `structure`.
        convolutions: Layers of a graph convolution network.
        recurrent: Features of embeddings and states of the LSTM.
        head: Widths of the hidden layers between vector and score.
        dropout: Share of their values that is set to zero in training.
        epochs: Passes over the architectures in a fit.
        warm_epochs: Likewise when a fit continues an earlier one.
        batch_size: Most architectures in one step.
        learning_rate: Of Adam, constant.
        margin: Gap from which on a hinge loss is zero.
        pairs: Pairs for each architecture of a step that a pairwise loss draws; 0 takes all.
        rank_targets: Whether the regression loss is on ranks from 0 to 1, and not on the scores as they are.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    layers: int = 5
    width: int = 128
    embedding: int = 48
    hidden: int = 96
    residual: bool = False
    self_loops: bool = True
    depth_scale: float = 0.0
    structure: bool = False
    convolutions: int = 2
    recurrent: int = 100
    head: tuple[int, ...] = (200,)
    dropout: float = 0.1
    epochs: int = 200
    warm_epochs: int = 50
    batch_size: int = 512
    learning_rate: float = 1e-3
    margin: float = 0.1
    pairs: int = 4
    rank_targets: bool = False

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "layers": (1, 1000),
            "width": (1, 100_000),
            "embedding": (1, 100_000),
            "hidden": (1, 100_000),
            "depth_scale": (0.0, 1000.0),
            "convolutions": (1, 1000),
            "recurrent": (1, 100_000),
            "dropout": (0.0, 0.99),
            "epochs": (1, 1_000_000),
            "warm_epochs": (1, 1_000_000),
            "batch_size": (2, 1_000_000),
            "learning_rate": (0.0, 1000.0),
            "margin": (0.0, 1000.0),
            "pairs": (0, 1_000_000),
        }
        check_ranges(self, ranges)
        check_widths("head", self.head)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "predictor", changes)

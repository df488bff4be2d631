"""Sizes, training and evaluation of a graph hypernetwork, by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.checked_settings import check_ranges, with_changes

_NAMES = {
    "scheme": ("forward-backward", "synchronous"),
    "backward_messages": ("reversed", "forward"),
    "synchronous_messages": ("incoming", "both"),
    "stacking": ("shared", "separate"),
    "affine": ("generated", "fixed"),
    "schedule": ("cosine", "halving", "constant"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "hidden": (1, 10_000),
    "propagations": (1, 1000),
    "virtual_edges": (0, 1000),
    "width": (1, 100_000),
    "tile": (1, 10_000),
    "meta_batch": (1, 1000),
    "batch_size": (2, 1_000_000),
    "learning_rate": (0.0, 10.0),
    "weight_decay": (0.0, 10.0),
    "clip": (0.0, 1e6),
    "max_skips": (0, 1_000_000),
    "crop": (0, 1000),
    "training_nodes": (0, 120),
    "evaluation_images": (0, 1_000_000_000),
    "evaluation_batch": (1, 1_000_000),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a graph hypernetwork depends on but its space, dataset, size of networks, and seed.

    C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, arXiv 1810.05749: sections
    3, 4 and 5.1. The options of its successor are those of B. Knyazev et al., "Parameter Prediction for Unseen Deep
    Architectures", NeurIPS 2021, arXiv 2110.13100 (GHN-2). Where the paper is silent, the default is a choice of this project.

    Args:
        hidden: Features of a node's state, in the GRU and in the messages.
        propagations: Full phases of propagation in each module, the paper's T.
        scheme: `forward-backward` (equation 15) or `synchronous`, all nodes at once.
        backward_messages: Along which edges the backward half of a phase reads: `reversed`, or `forward` as in the first half.
        synchronous_messages: What a node reads in the synchronous scheme: `incoming` edges, or `both` directions.
        stacking: Whether the modules of a network have one graph network (`shared`) or each its own (`separate`).
        passing: Whether a module starts from the mean state of the one before it (equations 12 to 14).
        positions: Whether a node's first state tells how often its map is halved, and its stride, besides its operator.
        virtual_edges: Longest path, in edges, over which nodes read each other besides; 0 is off. GHN-2: 50.
        module_pattern: Regular expression whose first group is the module of a step, matched with the beginning of its name; an
            empty one takes that of the space, or one module where the space has none.
        width: Hidden units of the hypernetwork H.
        normalised_states: Whether states are layer-normalised before H (GHN-2).
        tile: Channels of the kernels that H puts out, in both directions. Fewer are sliced, more are tiled.
        distinct_tiles: Whether H is told which tile it makes; otherwise all tiles of a kernel are alike.
        sliced_kernels: Whether operators that differ in kernel size or dilation alone share outputs of H: the smaller kernel is
            the middle of the larger one.
        fan_in: Whether generated weights are scaled to the variance 2 / fan-in, and affine ones kept near 1 and 0 (GHN-2).
        affine: Scale and shift of normalisations: `generated`, or `fixed` to 1 and 0.
        training_nodes: Nodes of the blocks trained on in spaces that have a choice; 0 takes those of the space.
        meta_batch: Architectures for each batch of images (GHN-2: 8).
        batch_size: Images in a step.
        learning_rate: Of Adam, at the first step.
        schedule: `halving` after half and after three quarters of the steps, `cosine` to zero, or `constant`.
        weight_decay: Of Adam.
        clip: Largest norm of the gradient; 0 does not clip.
        max_skips: Steps in a row whose loss or gradient may be no finite number; they are left out.
        crop: Random crops after padding by this many pixels; 0 is off.
        flip: Random horizontal flips.
        evaluation_images: Validation images that score a candidate; 0 takes all.
        evaluation_batch: Most of them in one batch, whose statistics normalise it.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    hidden: int = 32
    propagations: int = 5
    scheme: str = "forward-backward"
    backward_messages: str = "reversed"
    synchronous_messages: str = "incoming"
    stacking: str = "shared"
    passing: bool = True
    positions: bool = True
    virtual_edges: int = 0
    module_pattern: str = ""
    width: int = 64
    normalised_states: bool = True
    tile: int = 32
    distinct_tiles: bool = True
    sliced_kernels: bool = True
    fan_in: bool = True
    affine: str = "generated"
    training_nodes: int = 7
    meta_batch: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: str = "halving"
    weight_decay: float = 0.0
    clip: float = 5.0
    max_skips: int = 10
    crop: int = 0
    flip: bool = False
    evaluation_images: int = 0
    evaluation_batch: int = 500

    def __post_init__(self) -> None:
        for name, known in _NAMES.items():
            if getattr(self, name) not in known:
                raise ConfigurationError(unknown_name(name, getattr(self, name), known))
        check_ranges(self, _RANGES)
        for field in fields(self):
            if isinstance(field.default, bool) and not isinstance(getattr(self, field.name), bool):
                raise ConfigurationError(f"{field.name}: expected True or False; got {getattr(self, field.name)!r}.")

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "ghn", changes)

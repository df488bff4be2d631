"""Settings of a graph hypernetwork and its presets: sizes, training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.settings import Between, check_settings, with_changes
from archsearch.evaluators.training.recipe import default_recipe


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a graph hypernetwork, without space, dataset, size of networks and seed.

    C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, arXiv 1810.05749: sections
    3, 4 and 5.1. The options of its successor are those of B. Knyazev et al., "Parameter Prediction for Unseen Deep
    Architectures", NeurIPS 2021, arXiv 2110.13100 (GHN-2). The page "Graph hypernetworks: as published, and ours" of the
    documentation says for each equation what is as published, and what is ours and why.

    Args:
        hidden: Features of a node's state, in the GRU and in the messages.
        propagations: Full phases of propagation in each module, the paper's T.
        scheme: `forward-backward` (equation 15) or `synchronous`, all nodes at once.
        backward_messages: Along which edges the backward half of a phase reads: `reversed`, or `forward` as in the first half.
        synchronous_messages: Edges that a node reads along in the synchronous scheme: `incoming` edges, or `both` directions.
        stacking: Whether the modules of a network have one graph network (`shared`) or each its own (`separate`).
        passing: Whether a module starts from the mean state of the one before it (equations 12 to 14).
        passes_stem: Whether the first block starts from the mean state of what stands before it, such as the stem; in the paper
            the state of graph 0 is zero.
        output_node: Whether each module's graph ends in one more node, which reads whatever leaves the module, and so is the last
            one whatever the order of the others; it counts in the mean state.
        positions: Whether a node's first state also encodes how often its map was halved, and its stride.
        encoder: What the states of nodes are made of: the `graph`, or, as in SMASH, a `flat` encoding of the whole architecture,
            the one-hot vectors of its genes, beside the type and the place of the node; there are no messages then.
        virtual_edges: Longest path, in edges, over which nodes also read each other, besides their edges; 0 is off. GHN-2: 50.
        module_pattern: Regular expression whose first group is the module of a step, matched with the beginning of its name; an
            empty one takes that of the space, or one module where the space has none.
        width: Hidden units of the hypernetwork H.
        normalised_states: Whether states are layer-normalised before H (GHN-2).
        tile: Input and output channels of the kernels that H makes. Smaller ones are sliced, larger ones are tiled.
        distinct_tiles: Whether H reads an embedding of the tile that it makes; otherwise all tiles of a kernel are equal.
        sliced_kernels: Whether operators that differ in kernel size or dilation alone share outputs of H: the smaller kernel is
            the middle of the larger one.
        fan_in: Whether generated weights are scaled to the variance 2 / fan-in, and affine ones kept near 1 and 0 (GHN-2).
        affine: Scale and shift of normalisations: `generated`, or `fixed` to 1 and 0.
        training_nodes: Nodes of the blocks trained on in spaces that have a choice; 0 takes those of the space.
        meta_batch: Architectures for each batch of images (GHN-2: 8).
        batch_size: Images in a step.
        learning_rate: Learning rate of Adam at the first step.
        schedule: `halving` after half and after three quarters of the steps, `cosine` to zero, or `constant`.
        weight_decay: Weight decay of Adam.
        clip: Largest norm of the gradient; 0 does not clip.
        max_skips: Largest number of consecutive steps with an infinite or NaN loss or gradient; these are skipped.
        crop: Random crops after padding by this many pixels; 0 is off.
        flip: Random horizontal flips.
        class_weights: Whether the loss of an image counts by the inverse share of its class among the training images, so that
            all classes count the same: n / (classes * n_of_the_class).
        evaluation_images: Validation images that score a candidate; 0 takes all.
        evaluation_batch: Largest number of them in one batch, whose statistics normalise it.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    hidden: Annotated[int, Between(1, 10_000)] = 32
    propagations: Annotated[int, Between(1, 1000)] = 5
    scheme: Literal["forward-backward", "synchronous"] = "forward-backward"
    backward_messages: Literal["reversed", "forward"] = "reversed"
    synchronous_messages: Literal["incoming", "both"] = "incoming"
    stacking: Literal["shared", "separate"] = "shared"
    passing: bool = True
    passes_stem: bool = True
    output_node: bool = True
    positions: bool = True
    encoder: Literal["graph", "flat"] = "graph"
    virtual_edges: Annotated[int, Between(0, 1000)] = 0
    module_pattern: str = ""
    width: Annotated[int, Between(1, 100_000)] = 64
    normalised_states: bool = True
    tile: Annotated[int, Between(1, 10_000)] = 32
    distinct_tiles: bool = True
    sliced_kernels: bool = True
    fan_in: bool = True
    affine: Literal["generated", "fixed"] = "generated"
    training_nodes: Annotated[int, Between(0, 120)] = 7
    meta_batch: Annotated[int, Between(1, 1000)] = 1
    batch_size: Annotated[int, Between(2, 1_000_000)] = 64
    learning_rate: Annotated[float, Between(0.0, 10.0)] = 1e-3
    schedule: Literal["cosine", "halving", "constant"] = "halving"
    weight_decay: Annotated[float, Between(0.0, 10.0)] = 0.0
    clip: Annotated[float, Between(0.0, 1e6)] = 5.0
    max_skips: Annotated[int, Between(0, 1_000_000)] = 10
    crop: Annotated[int, Between(0, 1000)] = 0
    flip: bool = False
    evaluation_images: Annotated[int, Between(0, 1_000_000_000)] = 0
    evaluation_batch: Annotated[int, Between(1, 1_000_000)] = 500
    class_weights: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "ghn", changes)


PRESETS = ("default", "paper")


def settings_of(preset: str, dataset: str) -> Settings:
    """Return the settings of a preset for a dataset.

    `paper` is what the paper says: its configuration (section 5.1; batch size, learning rate and its halvings are recollected
    from the appendix), no gradient clipping, blocks without a further node, and a first block that starts from zero (equation
    14). Where it is silent, the values are those of the class. `default` is made for short trainings, and departs from the paper.

    Args:
        preset: `default` or `paper`.
        dataset: Name of a dataset such as `digits`; natural images are cropped and flipped.

    Raises:
        ConfigurationError: There is no preset of that name.
    """
    if preset not in PRESETS:
        raise ConfigurationError(unknown_name("preset", preset, PRESETS))
    recipe = default_recipe(dataset)
    settings = Settings(propagations=1, tile=8, learning_rate=1e-2, schedule="cosine", affine="fixed")
    if preset == "paper":
        settings = Settings(
            positions=False, normalised_states=False, fan_in=False, clip=0.0, passes_stem=False, output_node=False
        )
    return replace(settings, crop=recipe.crop, flip=recipe.flip)

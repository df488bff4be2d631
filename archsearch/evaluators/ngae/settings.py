"""Settings of the auto-encoder and its presets: sizes, objective and training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.settings import AtLeast, Between, check_settings, with_changes


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a fit, without space, data and seed.

    Args:
        latent: Dimensions of the latent space.
        width: Features of a vertex.
        type_width: Hidden features that predict the type of the next vertex.
        edge_width: Hidden features that predict an edge.
        identified: Whether a message tells the place of the vertex that sends it.
        backward: Whether the encoder also passes messages against the edges, from the output to the inputs.
        reads_all: Whether the encoder reads the states of all vertices, and not only of those at the ends of the graph.
        perceptrons: Whether mean and log-variance each come from a perceptron with a hidden layer of `width`; otherwise they are
            linear in the vertices that are read.
        conditioned: Whether each decision on a type or edge also reads the latent point, and not only the vertices before. With
            `reads_all` and `conditioned`, gradients take a short way through the model, and a hundredth of the steps is enough.
        head: Widths of the hidden layers of the two predictors.
        sigmoid: Whether the predictors end in a sigmoid and learn figures from 0 to 1 as they are; otherwise they are linear and
            learn standardised ones.
        head_reads: Whether the predictors learn from the `mean` of an architecture or from the drawn `sample`.
        divergence_weight: Weight of the Kullback-Leibler divergence.
        noise: Scale of the noise in the latent space while training.
        performance_weight: Weight of the squared error of the predicted performance.
        complexity_weight: Weight of the squared error of the predicted complexity; 0 leaves that predictor out.
        epochs: Passes over the architectures.
        batch_size: Architectures in a step.
        optimizer: `adam`, or `sgd`: plain stochastic gradient descent.
        learning_rate: Learning rate, the highest of a one-cycle schedule.
        one_cycle: Whether the learning rate rises and falls in one cycle.
        patience: Epochs without a smaller loss after which the learning rate is divided by ten, without `one_cycle`; with 0 it is
            constant.
        clip: Largest norm of the gradient; 0 does not clip.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    latent: Annotated[int, Between(1, 10_000)] = 56
    width: Annotated[int, Between(1, 100_000)] = 128
    type_width: Annotated[int, Between(1, 100_000)] = 128
    edge_width: Annotated[int, Between(1, 100_000)] = 128
    identified: bool = True
    backward: bool = True
    reads_all: bool = True
    perceptrons: bool = False
    conditioned: bool = True
    head: Annotated[tuple[int, ...], AtLeast(1)] = (128, 128)
    sigmoid: bool = False
    head_reads: Literal["mean", "sample"] = "mean"
    divergence_weight: Annotated[float, Between(0.0, 1e6)] = 0.005
    noise: Annotated[float, Between(0.0, 1e3)] = 0.01
    performance_weight: Annotated[float, Between(0.0, 1e6)] = 1.0
    complexity_weight: Annotated[float, Between(0.0, 1e6)] = 1.0
    epochs: Annotated[int, Between(1, 1_000_000)] = 20
    batch_size: Annotated[int, Between(1, 1_000_000)] = 64
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Annotated[float, Between(0.0, 1e3)] = 3e-3
    one_cycle: bool = True
    patience: Annotated[int, Between(0, 1_000_000)] = 10
    clip: Annotated[float, Between(0.0, 1e6)] = 5.0

    def __post_init__(self) -> None:
        check_settings(self)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "NGAE", changes)


_AUTHORS = Settings(
    width=501,
    type_width=1002,
    edge_width=2004,
    reads_all=False,
    conditioned=False,
    head=(501,),
    sigmoid=True,
    epochs=300,
    batch_size=32,
    learning_rate=1e-4,
    one_cycle=False,
    clip=0.0,
)
PRESETS = {
    # What trains fastest to the same quality; benchmarks/ngae/table1.py and speed.py measure both.
    "default": Settings(),
    # What J. Li et al., arXiv 2006.10310, write: equations 2, 3, 4, 6 and algorithm 1. They give no sizes, batch or step size:
    # sizes and batch are those of the authors' programs, the step size is ours.
    "paper": replace(
        _AUTHORS,
        identified=False,
        backward=False,
        perceptrons=True,
        head=(501, 501),
        head_reads="sample",
        divergence_weight=1.0,
        noise=1.0,
        optimizer="sgd",
        learning_rate=0.1,
        patience=0,
    ),
    # What the authors' programs do, where they differ from the paper.
    "authors": _AUTHORS,
}


def settings_of(preset: str) -> Settings:
    """Return the settings of a preset.

    Raises:
        ConfigurationError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigurationError(unknown_name("preset", preset, PRESETS))
    return PRESETS[preset]

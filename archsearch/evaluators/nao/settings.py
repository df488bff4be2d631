"""Settings of the sequence auto-encoder and its presets: sizes and training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.settings import AtLeast, Between, check_settings, with_changes


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a sequence auto-encoder, without space and seed.

    Args:
        hidden: Features of embeddings and states of the encoder and of the decoder.
        head: Widths of the hidden layers of the predictor.
        performance_weight: Weight of the predictor's squared error; the reconstruction has the rest to 1.
        steps: Steps of the first training, on sequences alone or on all outcomes.
        warm_steps: Steps of a training that continues from the first one.
        batch_size: Largest number of architectures of each kind, with and without a score, in a step.
        learning_rate: Learning rate of Adam.
        gradient_norm: Largest norm of the gradient.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    hidden: Annotated[int, Between(1, 100_000)] = 48
    head: Annotated[tuple[int, ...], AtLeast(1)] = (64,)
    performance_weight: Annotated[float, Between(0.0, 1.0)] = 0.8
    steps: Annotated[int, Between(1, 10_000_000)] = 300
    warm_steps: Annotated[int, Between(1, 10_000_000)] = 50
    batch_size: Annotated[int, Between(1, 1_000_000)] = 64
    learning_rate: Annotated[float, Between(0.0, 1000.0)] = 5e-3
    gradient_norm: Annotated[float, Between(0.0, 1e6)] = 5.0

    def __post_init__(self) -> None:
        check_settings(self)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "NAO", changes)


PRESETS = {
    "default": Settings(),
    # R. Luo et al., NeurIPS 2018, arXiv 1808.07233, section 4.1: LSTMs of 96 features, Adam with .001, 1,000 epochs in batches of
    # 100, of 600 outcomes at first.
    "paper": Settings(hidden=96, head=(200,), steps=6_000, warm_steps=6_000, batch_size=100, learning_rate=1e-3),
}


def settings_of(preset: str) -> Settings:
    """Return the settings of a preset.

    Raises:
        ConfigurationError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigurationError(unknown_name("preset", preset, PRESETS))
    return PRESETS[preset]

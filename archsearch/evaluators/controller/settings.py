"""Settings of a controller and its presets: sizes and policy gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.settings import Between, check_settings, with_changes


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a controller, without space and seed.

    Args:
        hidden: Features of embeddings and states of the LSTM.
        layers: Layers of the LSTM.
        initial: Weights are drawn uniformly from -initial to initial.
        method: `reinforce`, or `ppo`: proximal policy optimisation.
        rewards: What is rewarded: `ranks` of the scores among all so far, from 0 to 1; `standardised` scores; or `scores` as
            they are.
        update_size: Number of outcomes in an update.
        epochs: Gradient steps in an update with `ppo`.
        clip: Range 1 - clip to 1 + clip of the ratio of probabilities with `ppo`.
        learning_rate: Learning rate of Adam, constant.
        entropy_weight: Weight of the entropy of a gene, in nats, which is added to the objective.
        baseline_decay: Share of the moving baseline that an outcome keeps.
        gradient_norm: Largest norm of the gradient.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    hidden: Annotated[int, Between(1, 100_000)] = 64
    layers: Annotated[int, Between(1, 100)] = 1
    initial: Annotated[float, Between(0.0, 1000.0)] = 0.1
    method: Literal["reinforce", "ppo"] = "ppo"
    rewards: Literal["ranks", "standardised", "scores"] = "ranks"
    update_size: Annotated[int, Between(1, 1_000_000)] = 10
    epochs: Annotated[int, Between(1, 10_000)] = 10
    clip: Annotated[float, Between(0.0, 1.0)] = 0.2
    learning_rate: Annotated[float, Between(0.0, 1000.0)] = 3e-3
    entropy_weight: Annotated[float, Between(0.0, 1000.0)] = 0.03
    baseline_decay: Annotated[float, Between(0.0, 1.0)] = 0.9
    gradient_norm: Annotated[float, Between(0.0, 1e6)] = 5.0

    def __post_init__(self) -> None:
        check_settings(self)

    def with_changes(self, **changes: Any) -> Settings:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "controller", changes)


PRESETS = {
    "default": Settings(),
    # B. Zoph et al., CVPR 2018, arXiv 1707.07012, appendix A.
    "paper": Settings(
        hidden=100,
        rewards="scores",
        update_size=20,
        learning_rate=3.5e-4,
        entropy_weight=1e-5,
        baseline_decay=0.95,
    ),
    # B. Zoph, Q. Le, ICLR 2017, arXiv 1611.01578, section 4.1; the reward there is the cube of the accuracy.
    "reinforce": Settings(
        hidden=35,
        layers=2,
        initial=0.08,
        method="reinforce",
        rewards="scores",
        update_size=8,
        learning_rate=6e-4,
        entropy_weight=0.0,
        baseline_decay=0.95,
    ),
}


def settings_of(preset: str) -> Settings:
    """Return the settings of a preset.

    Raises:
        ConfigurationError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigurationError(unknown_name("preset", preset, PRESETS))
    return PRESETS[preset]

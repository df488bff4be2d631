"""Presets of searchers: named settings of model and search together.

The option `preset` of a searcher names one of its records here. Options that are given to the searcher replace those of the
record; so do the changes in `model`. A method gets another variant by another record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archsearch.errors import ConfigurationError, unknown_name


@dataclass(frozen=True)
class Preset:
    """A variant of a method.

    Args:
        name: Its name.
        description: What it is and where its values come from, as sentences.
        model: Arguments of the model beside its defaults; `preset` among them names the settings that the others change.
        search: Options of the searcher beside its defaults.
        by_space: Further options of the searcher, by the name of the space in which they hold.
        candidates: Number of candidates that the method evaluates as published; None where none is published.
    """

    name: str
    description: str
    model: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    by_space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    candidates: int | None = None

    def options(self, space: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the searcher in a space: those of the preset, or those given unless None."""
        return {
            **self.search,
            **self.by_space.get(space, {}),
            **{name: value for name, value in given.items() if value is not None},
        }


Presets = Mapping[str, Preset]


def _registry(*presets: Preset) -> Presets:
    return {preset.name: preset for preset in presets}


GATES: Presets = _registry(
    Preset(
        "default",
        "The predictor also reads counted properties of the graph. Each fit starts from new weights, a small space is ranked as "
        "a whole, and a tenth of each stage is drawn at random.",
    ),
    Preset(
        "paper",
        "X. Ning et al., ECCV 2020: the published encoder; nothing is drawn at random after the first stage, and no space is "
        "ranked as a whole.",
        model={"preset": "paper"},
        search={"explore": 0.0, "enumerable": 0},
    ),
)
"""Presets of `GATESEvolution`. The model is a `Predictor`: encoder, loss, members and epochs may be set too."""


_NGAE_SEARCH: Mapping[str, Any] = {
    "weight": 0.0,
    "stage_size": 5,
    "explore": 0.0,
    "unlabelled": 1000,
    "warm_epochs": 10,
    "predictor": "ensemble",
    "optimism": 1.0,
    "targets": "ranks",
    "acquisition": "ascent",
    "starts": 500,
    "steps": 60,
    "step": 0.1,
    "region": "ball",
    "best_share": 0.5,
    "best_spread": 0.5,
    "sample": False,
    "rerank": True,
}
_NGAE_PUBLISHED: Mapping[str, Any] = {
    "weight": 1.0,
    "stage_size": 10,
    "unlabelled": 0,
    "predictor": "heads",
    "targets": "scores",
    "starts": 100,
    "steps": 100,
    "region": "plain",
    "best_share": 0.0,
    "best_spread": 0.0,
    "sample": True,
    "rerank": False,
}
NGAE: Presets = _registry(
    Preset(
        "default",
        "The auto-encoder learns graphs from random architectures that are not evaluated, with a hundredth of the steps. A "
        "Gaussian process on its latent space predicts ranks; steps are taken in standard deviations of the data and stay near "
        "them, half of the starts are the best known, and another process on the features of graphs helps to rank what is "
        "decoded. The complexity has no weight.",
        model={"preset": "default"},
        search=_NGAE_SEARCH,
    ),
    Preset(
        "paper",
        "J. Li et al., arXiv 2006.10310: equation 6 with all weights and the noise 1, predictors that read the drawn sample and "
        "learn the scores as they are, and stochastic gradient descent, on evaluated architectures alone. Equation 7 with a "
        "weight of 1, by plain steps from N(0, I), and ends that are decoded by drawing. The paper gives no sizes and no step "
        "sizes: they are those of the authors' programs, but for the step of the descent. What is ours: the fit is repeated in "
        "each stage, and a decoder cannot leave the space.",
        model={"preset": "paper"},
        search={**_NGAE_SEARCH, **_NGAE_PUBLISHED, "step": 10.0},
    ),
    Preset(
        "authors",
        "What the authors' programs do where they differ from the paper: the weight of the divergence is .005 and the noise .01, "
        "predictors with one hidden layer read the mean, the encoder reads the graph in both directions, and Adam trains it. The "
        "ascent starts from the best known architectures, with steps of 1,000.",
        model={"preset": "authors"},
        search={**_NGAE_SEARCH, **_NGAE_PUBLISHED, "step": 1000.0, "best_share": 1.0},
    ),
)
"""Presets of `NGAEAscent`. The model is an `NGAE`: its settings may be set too."""


def preset_named(name: object, presets: Presets) -> Preset:
    """Return a preset.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if not isinstance(name, str) or name not in presets:
        raise ConfigurationError(unknown_name("preset", name, presets))
    return presets[name]

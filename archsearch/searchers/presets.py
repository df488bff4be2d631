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


def preset_named(name: object, presets: Presets) -> Preset:
    """Return a preset.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if not isinstance(name, str) or name not in presets:
        raise ConfigurationError(unknown_name("preset", name, presets))
    return presets[name]

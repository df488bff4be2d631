"""Settings of a controller: presets and refusals."""

from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.controller.settings import PRESETS, Settings, settings_of


def test_presets_hold_the_published_values() -> None:
    paper, first = PRESETS["paper"], PRESETS["reinforce"]
    assert (paper.method, paper.learning_rate, paper.entropy_weight, paper.update_size) == ("ppo", 3.5e-4, 1e-5, 20)
    assert (paper.hidden, paper.layers, paper.initial, paper.baseline_decay, paper.clip) == (100, 1, 0.1, 0.95, 0.2)
    assert (first.method, first.learning_rate, first.layers, first.hidden, first.initial) == ("reinforce", 6e-4, 2, 35, 0.08)


def test_unknown_names_and_values_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="preset: expected one of default, paper, reinforce; got 'papers'"):
        settings_of("papers")
    with pytest.raises(ConfigurationError, match="controller: no setting 'hiden'"):
        Settings().with_changes(hiden=3)
    with pytest.raises(ConfigurationError, match="method"):
        Settings(method="sarsa")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="learning_rate"):
        Settings(learning_rate=float("nan"))

"""Settings of NAO: presets and refusals."""

from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.nao.settings import PRESETS, Settings, settings_of


def test_the_preset_of_the_paper_holds_its_values() -> None:
    paper = PRESETS["paper"]
    assert (paper.hidden, paper.learning_rate, paper.batch_size, paper.performance_weight) == (96, 1e-3, 100, 0.8)


def test_unknown_names_and_values_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="preset: expected one of default, paper; got 'papers'"):
        settings_of("papers")
    with pytest.raises(ConfigurationError, match="performance_weight"):
        Settings(performance_weight=1.5)
    with pytest.raises(ConfigurationError, match="NAO: no setting 'hiden'"):
        Settings().with_changes(hiden=4)

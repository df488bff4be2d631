from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import PRESETS, Settings, settings_of

NODES = Form(("input", "output"), 1, 1, 7)
EDGES = Form(("input", "output"), 1, 1, 8, width=4)
SLOTS = Form(("input", "output"), 2, 2, 6, width=6, slots=2)


def test_presets_follow_the_form_of_the_space() -> None:
    assert settings_of("paper", NODES) == Settings()
    assert settings_of("paper", EDGES).head == (300,) * 5
    assert [settings_of("default", form).head for form in (NODES, EDGES, SLOTS)] == [(200, 200), (300,) * 5, (200, 200)]
    assert settings_of("default", SLOTS).layers == 4
    assert settings_of("default", NODES).depth_scale == 0.3
    with pytest.raises(ConfigurationError, match=f"preset: expected one of {', '.join(PRESETS)}; got 'fast'"):
        settings_of("fast", NODES)


@pytest.mark.parametrize(("name", "value"), [("layers", 0), ("head", (200.0,)), ("residual", 1), ("dropout", 1.0)])
def test_wrong_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: expected"):
        Settings().with_changes(**{name: value})

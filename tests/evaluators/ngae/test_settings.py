from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ngae.settings import PRESETS, settings_of


def test_presets_by_name() -> None:
    assert all(settings_of(name) is PRESETS[name] for name in PRESETS)
    assert settings_of("paper").width == 501
    with pytest.raises(ConfigurationError, match="preset: expected one of authors, default, paper; got 'fast'"):
        settings_of("fast")


@pytest.mark.parametrize(("name", "value"), [("latent", 0), ("head", [0]), ("head", "8"), ("sigmoid", 1), ("noise", -1.0)])
def test_wrong_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: expected"):
        settings_of("default").with_changes(**{name: value})

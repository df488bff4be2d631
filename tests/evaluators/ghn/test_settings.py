from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ghn.settings import PRESETS, Settings, settings_of


def test_presets_take_crops_from_the_recipe_of_the_dataset() -> None:
    assert [settings_of(name, "digits").crop for name in PRESETS] == [0, 0]
    assert [settings_of(name, "cifar10").flip for name in PRESETS] == [True, True]
    assert settings_of("paper", "digits") == Settings(
        positions=False, normalised_states=False, fan_in=False, clip=0.0, passes_stem=False, output_node=False
    )
    with pytest.raises(ConfigurationError, match="preset: expected one of default, paper; got 'papers'. Did you mean 'paper'"):
        settings_of("papers", "digits")


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("scheme", "forward"), ("flip", 1), ("batch_size", 1), ("tile", 2.0)])
def test_wrong_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: expected"):
        Settings().with_changes(**{name: value})

"""Settings by name."""

from __future__ import annotations

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings

NAMES = ("default", "paper")


def settings_of(preset: str, form: Form) -> Settings:
    """Return the settings of a preset for a space.

    Raises:
        ConfigurationError: There is no preset of that name.
    """
    if preset not in NAMES:
        raise ConfigurationError(unknown_name("preset", preset, NAMES))
    if form.width and not form.slots:
        return Settings(head=(300,) * 5)
    return Settings()

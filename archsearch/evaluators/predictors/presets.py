"""Settings by name."""

from __future__ import annotations

from dataclasses import replace

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.predictors.encoders.form import Form
from archsearch.evaluators.predictors.settings import Settings

NAMES = ("default", "paper")


def settings_of(preset: str, form: Form) -> Settings:
    """Return the settings of a preset for a space.

    `paper` is what the authors of GATES used: layers and heads by space, scores as targets of a regression. `default` reads
    counted properties of the graph besides (see `structure`), and depths of nodes, with fewer layers; see
    benchmarks/gates/kendall.py for what that gives.

    Raises:
        ConfigurationError: There is no preset of that name.
    """
    if preset not in NAMES:
        raise ConfigurationError(unknown_name("preset", preset, NAMES))
    on_pairs = bool(form.width) and not form.slots
    if preset == "paper":
        return Settings(head=(300,) * 5) if on_pairs else Settings()
    ours = Settings(layers=3, structure=True, head=(200, 200), rank_targets=True)
    if on_pairs:
        return replace(ours, head=(300,) * 5)
    if form.slots:
        return replace(ours, layers=form.width - form.inputs)
    return replace(ours, depth_scale=0.3)

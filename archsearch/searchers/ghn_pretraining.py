"""The training of a hypernetwork in a folder, with a recipe and a card, for any number of searches."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.searchers.pretrained_ghn import CARD, RECIPE, STATE, PretrainedGHN

if TYPE_CHECKING:
    from archsearch.evaluators.ghn.ghn import GHN
    from archsearch.evaluators.tabular import TabularEvaluator
    from archsearch.spaces import SearchSpace

_WARM_UP, _TIMED = 3, 12  # steps of the trial that says how long a step takes


def pretrain(
    folder: str | Path,
    space: SearchSpace,
    dataset: str,
    *,
    hours: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    workers: int = 1,
    preset: str = "default",
    scale: Mapping[str, int] | None = None,
    image_size: int | None = None,
    threads: int | None = None,
    table: TabularEvaluator | None = None,
) -> PretrainedGHN:
    """Train a hypernetwork in a folder, or go on where a training was stopped, and write its card.

    Args:
        folder: Where state, recipe and card are kept.
        space: Space of the architectures.
        dataset: Name of the dataset.
        hours: Duration of the training, from which the number of steps follows by a trial; None needs `steps`.
        steps: Number of training steps.
        seed: Seed of the training.
        workers: Number of processes, with a CPU each, that train it together by Ray Train.
        preset: `default` or `paper`.
        scale: Size of the networks; None takes the one for the dataset.
        image_size: Side in pixels to which images are reduced; None leaves them as they are.
        threads: CPU threads of a single process; None takes all cores.
        table: Trained scores that the card compares the ranking with; None takes `digits201` where it fits, or none.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the folder has another hypernetwork.
        DatasetError: The images cannot be loaded.
        RunError: The folder cannot be written.
    """
    from archsearch.evaluators.ghn.ghn import GHN  # it needs torch, other searchers do not

    check_kind("folder", folder, (str, Path), "a folder")
    path = Path(folder).expanduser()
    number = 1 if workers > 1 else threads or os.cpu_count() or 1
    made: dict[str, Any] = {"preset": preset, "scale": scale, "image_size": image_size, "threads": number}
    ghn = GHN(space, dataset, seed, **made)
    size = {name: value for name, value in ghn.scale.items() if name != "replicas"}  # a hypernetwork has one
    arguments = {"preset": preset, "scale": size, "image_size": image_size}
    recipe = PretrainedGHN(space.name, dataset, 0, seed, workers, arguments)
    if (path / RECIPE).exists():
        before = PretrainedGHN.read(path)
        _check_same(path, before, recipe, steps)
        recipe = before
    else:
        if steps is None:
            steps = _steps_for(hours, lambda: GHN(space, dataset, seed, **made))
        check_whole_number("steps", steps)
        recipe = PretrainedGHN(space.name, dataset, steps, seed, workers, arguments)
        recipe.write(path)
    if workers > 1:
        from archsearch.cluster.ghn_training import train_ghn

        ghn.load(train_ghn(space, dataset, recipe.steps, path / STATE, workers=workers, seed=seed, **{**made, "threads": 1}))
    else:
        ghn.fit(recipe.steps, checkpoint=path / STATE)
    from archsearch.searchers.ghn_card import card

    (path / CARD).write_text(card(recipe, path, ghn, table), encoding="utf-8")
    return recipe


def _check_same(folder: Path, before: PretrainedGHN, asked: PretrainedGHN, steps: int | None) -> None:
    """Raise ConfigurationError if a folder has a hypernetwork other than the one asked for."""
    old, new = asdict(before), asdict(asked)
    new["steps"] = old["steps"] if steps is None else steps
    if differing := [name for name in old if old[name] != new[name]]:
        name = differing[0]
        raise ConfigurationError(
            f"folder: expected an empty one, or one with {name} {new[name]!r}; the hypernetwork in {folder} has {old[name]!r}. "
            "Choose another folder."
        )


def _steps_for(hours: float | None, make: Any) -> int:
    """Return the number of steps that take some hours, by a trial of a few."""
    number = isinstance(hours, int | float) and not isinstance(hours, bool)
    if not number or not 0.0 < hours < float("inf"):  # type: ignore[operator]
        raise ConfigurationError(f"hours: expected a number above 0, or steps; got {hours!r}.")
    trial: GHN = make().fit(_WARM_UP)
    started = time.perf_counter()
    trial.fit(_WARM_UP + _TIMED)
    return max(1, round(float(hours) * 3600.0 * _TIMED / (time.perf_counter() - started)))  # type: ignore[arg-type]

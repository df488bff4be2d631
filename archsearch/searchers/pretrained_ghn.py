"""Graph hypernetworks in folders: trained once, for any number of searches, with a card that says what they are good for."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, RunError, check_kind, check_whole_number, first_line

if TYPE_CHECKING:
    from archsearch.evaluators.ghn.ghn import GHN
    from archsearch.evaluators.tabular import TabularEvaluator
    from archsearch.spaces import SearchSpace

STATE, RECIPE, CARD = "ghn.pt", "recipe.json", "README.md"
"""Files of the folder: the weights, with which a training goes on; how they are trained, as JSON; the card."""
_WARM_UP, _TIMED = 3, 12  # steps of the trial that says how long a step takes


@dataclass(frozen=True)
class PretrainedGHN:
    """The recipe of a hypernetwork in a folder, with which it is trained and used.

    Args:
        space: Name of the space.
        dataset: Name of the dataset that it learns from.
        steps: Number of training steps.
        seed: Seed of the training.
        workers: Number of processes that train it.
        arguments: `preset`, `scale` and `image_size` of `GHN`.

    Example:
        >>> from archsearch.searchers.pretrained_ghn import PretrainedGHN
        >>> recipe = PretrainedGHN("nasbench201", "digits", steps=500)
        >>> recipe.command("ghn/digits")
        'archsearch ghn train nasbench201 digits --steps 500 --seed 0 --folder ghn/digits'
    """

    space: str
    dataset: str
    steps: int
    seed: int = 0
    workers: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path) -> PretrainedGHN:
        """Return the recipe in a folder.

        Raises:
            ConfigurationError: There is none, or the file is corrupt.
        """
        path = Path(folder) / RECIPE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(**found)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"hypernetwork: expected a folder that `archsearch ghn train` made; {folder} has no {RECIPE}. "
                "Train one: archsearch ghn train SPACE DATASET --hours 2"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"hypernetwork: {path} cannot be read ({first_line(error)}). Delete the folder and train it anew: archsearch ghn "
                "train SPACE DATASET --hours 2"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the recipe.

        Raises:
            RunError: The folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with written_atomically(folder / RECIPE) as temporary:
                temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(f"folder: cannot write {folder} ({error.strerror}); choose another place.") from error

    def command(self, folder: str | Path) -> str:
        """Return the command that trains it anew."""
        words = [self.space, self.dataset, "--steps", str(self.steps), "--seed", str(self.seed)]
        arguments = dict(self.arguments)
        words += ["--preset", arguments["preset"]] if arguments.get("preset", "default") != "default" else []
        words += ["--image-size", str(arguments["image_size"])] if arguments.get("image_size") else []
        words += ["--workers", str(self.workers)] if self.workers > 1 else []
        for name, value in (arguments.get("scale") or {}).items():
            words += ["--scale", f"{name}={value}"]
        return " ".join(["archsearch", "ghn", "train", *words, "--folder", str(folder)])

    def check(self, folder: str | Path, space: str, scale: Mapping[str, int] | None) -> None:
        """Raise ConfigurationError if a search has another space or another size of networks; no images are read."""
        if space != self.space:
            raise ConfigurationError(
                f"hypernetwork: that in {folder} generates weights for {self.space}; the search is in {space}. Leave it out, or "
                f"train one: archsearch ghn train {space} {self.dataset} --hours 2"
            )
        own = dict(self.arguments.get("scale") or {})
        if scale is not None and any(own.get(name, value) != value for name, value in scale.items()):
            words = " ".join(f"--scale {name}={value}" for name, value in scale.items() if name in own)
            raise ConfigurationError(
                f"hypernetwork: that in {folder} generates weights for networks of the size {own}; the search has {dict(scale)}. "
                f"Set the option scale to the former, or train one: archsearch ghn train {space} {self.dataset} {words} --hours 2"
            )


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

"""The recipe of a hypernetwork that is trained once, in a folder, for any number of searches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, RunError, first_line

STATE, RECIPE, CARD = "ghn.pt", "recipe.json", "README.md"
"""Files of the folder: the weights, with which a training goes on; how they are trained, as JSON; the card."""
FIGURES: Mapping[str, str | None] = {"loss": "valid_loss", "score": None, "centred": "centred_loss"}
"""What a candidate can be ranked by, and the metric of `GHN` that is the less, the better it is; None is the score itself."""


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

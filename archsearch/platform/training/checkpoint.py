"""Checkpoint file of a final training, written after each epoch, and within long ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators.saved_state import read_state, write_state
from archsearch.evaluators.training.loop import Training

_VERSION = 1


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """Loss and time of the epochs so far.

    Args:
        loss: Mean training loss of the last complete epoch.
        seconds: Seconds of all epochs together, with what is done of the next one.
        images_per_second: Images a second of all processes in the last epoch; 0 if it is not known.
        waiting: Fraction of that time in which the first process waited for images, 0..1.
    """

    loss: float = math.nan
    seconds: float = 0.0
    images_per_second: float = 0.0
    waiting: float = 0.0


class TrainingStore:
    """Writes the state of a training to a file atomically, and reads it again.

    Args:
        path: The file; None stores nothing.
        settings: All settings that the training depends on, as plain data; a checkpoint with other settings is refused.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self.path = Path(path).expanduser() if path else None
        self._settings = {"version": _VERSION, **settings}

    def save(self, state: Mapping[str, Any], history: TrainingHistory) -> None:
        """Write the state of a training, as `Training.state` returned it after an epoch or within one.

        Raises:
            RunError: The file cannot be written.
        """
        if self.path is None:
            return
        content = {
            "settings": json.dumps(self._settings, sort_keys=True),
            "training": state,
            **asdict(history),
        }
        write_state(self.path, content)

    def load(self, training: Training) -> TrainingHistory:
        """Restore a training from the file, if it exists, and return its history.

        Raises:
            ConfigurationError: The file is corrupt, or belongs to another training.
        """
        if self.path is None or not self.path.exists():
            return TrainingHistory()
        remedy = "Give another file, or delete this one to start over."
        try:
            state = read_state(self.path)
            stored = json.loads(state["settings"])
            if stored == self._settings:
                training.load_state(state["training"])
                return TrainingHistory(**{each.name: float(state.get(each.name, 0.0)) for each in fields(TrainingHistory)})
        except (ConfigurationError, LookupError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise ConfigurationError(
                f"checkpoint: {self.path} is not the state of a training, or is corrupt. {remedy}"
            ) from error
        names = sorted(name for name in {*stored, *self._settings} if stored.get(name) != self._settings.get(name))
        raise ConfigurationError(f"checkpoint: {self.path} belongs to a training with another {', '.join(names)}. {remedy}")

"""What a trained state belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from archsearch.errors import ConfigurationError, one_line
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.ghn.settings import Settings
from archsearch.spaces import SearchSpace

VERSION = 1
EVALUATION = ("evaluation_images", "evaluation_batch")
"""Settings that nothing learned depends on."""
TRAINING = (
    "training_nodes",
    "meta_batch",
    "batch_size",
    "learning_rate",
    "schedule",
    "weight_decay",
    "clip",
    "max_skips",
    "crop",
    "flip",
)
"""Settings that a state does not depend on once it is there."""


def usable_with(space: SearchSpace, images: ImageTask, scale: Mapping[str, int], settings: Settings) -> dict[str, Any]:
    """Return what must be alike to use a state, as plain data: format, space, form of the images, sizes."""
    return {
        "version": VERSION,
        "space": space.name,
        "operators": list(space.operators),
        "classes": images.num_classes,
        "image_shape": list(images.input_shape),
        "scale": dict(scale),
        "sizes": {name: value for name, value in asdict(settings).items() if name not in EVALUATION + TRAINING},
    }


def trained_by(space: SearchSpace, images: ImageTask, settings: Settings, seed: int) -> dict[str, Any]:
    """Return what must be alike besides to go on with a training, as plain data; `space` is the one trained on."""
    return {
        "training_space": repr(space),
        "dataset": images.digest,
        "training": {name: getattr(settings, name) for name in TRAINING},
        "seed": seed,
    }


def check(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse a state that does not belong to what is at hand.

    Raises:
        ConfigurationError: Something differs; both sides are named.
    """
    for name, expected in own.items():
        given = state.get(name)
        if given != expected:
            if isinstance(expected, dict) and isinstance(given, dict):
                expected, given = (
                    {key: side.get(key) for key in expected if expected[key] != given.get(key)} for side in (expected, given)
                )
            raise ConfigurationError(
                f"state: expected one whose {name.replace('_', ' ')} is {expected!r}; got {one_line(given)}, of a model "
                f"trained on {state.get('task', 'other data')}. Use the arguments of the one that was saved."
            )

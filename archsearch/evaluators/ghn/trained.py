"""A trained hypernetwork with its optimizer and step count, and the identity of its saved states."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import Vocabulary
from archsearch.evaluators.score_names import CLASSIFICATION
from archsearch.spaces import SearchSpace


class Learned:
    """A hypernetwork with all that is needed to continue its training.

    Args:
        vocabulary: Node types and outputs.
        settings: Sizes and training.
        seed: Seed of the initial weights.
        device: Device of the hypernetwork.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings, seed: int, device: torch.device) -> None:
        self.vocabulary, self.device, self.steps, self.skipped = vocabulary, device, 0, 0
        self.model = GraphHyperNetwork(vocabulary, settings, torch.Generator().manual_seed(seed)).to(device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )

    def state(self) -> dict[str, Any]:
        """Return a copy of all that training has changed, as tensors on the CPU and plain data."""
        optimizer = self.optimizer.state_dict()
        moments = {
            number: {name: value.detach().cpu().clone() for name, value in entries.items()}
            for number, entries in optimizer["state"].items()
        }
        return {
            "vocabulary": self.vocabulary.state(),
            "model": {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()},
            "moments": moments,
            "steps": self.steps,
            "skipped": self.skipped,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a copy of what `state` returned."""
        self.model.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": copy.deepcopy(state["moments"]), "param_groups": groups})
        self.steps, self.skipped = state["steps"], state["skipped"]

    def digest(self) -> str:
        """Return the identity of the weights: 16 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=8)
        for name, value in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


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
_LATER = ("class_weights",)
"""Further ones, which came later: they are left out while they have their defaults, so that older states can be continued."""
_LATER_SIZES = ("passes_stem", "output_node", "encoder")
"""Those on which the use of a state depends, and which came later."""


def usable_with(space: SearchSpace, images: ImageTask, scale: Mapping[str, int], settings: Settings) -> dict[str, Any]:
    """Return the plain data that must be equal for a saved state to be used: format, space, shape of the images, sizes."""
    left_out = {*EVALUATION, *TRAINING, *_LATER, *(name for name in _LATER_SIZES if _is_default(name, settings))}
    return {
        "version": VERSION,
        "space": space.name,
        "operators": list(space.operators),
        "classes": images.num_classes,
        **({} if images.task == CLASSIFICATION else {"task": images.task}),
        "image_shape": list(images.input_shape),
        "scale": dict(scale),
        "sizes": {name: value for name, value in asdict(settings).items() if name not in left_out},
    }


def trained_by(space: SearchSpace, images: ImageTask, settings: Settings, seed: int) -> dict[str, Any]:
    """Return the further plain data that must be equal to continue a training; `space` is the one trained on."""
    changed = [name for name in _LATER if not _is_default(name, settings)]
    return {
        "training_space": repr(space),
        "dataset": images.digest,
        "training": {name: getattr(settings, name) for name in (*TRAINING, *changed)},
        "seed": seed,
    }


def _is_default(name: str, settings: Settings) -> bool:
    return bool(getattr(settings, name) == getattr(Settings(), name))

"""Loads a network from MLflow's registry. It travels with each registered model and needs torch and numpy alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Logits = NDArray[np.float32]


class RegisteredNetwork:
    """A network that takes and gives arrays, as MLflow serves them.

    Args:
        network: Images `[batch, channels, height, width]` to logits `[batch, classes]`, or to one such tensor for each exit.
    """

    def __init__(self, network: Callable[[Tensor], Tensor | Sequence[Tensor]]) -> None:
        self.network = network

    def predict(self, images: Any, params: dict[str, Any] | None = None) -> Logits | dict[str, Logits]:
        """Return the logits of normalised images, `[batch, classes]`; with several exits by name: `exit1`, `exit2`, ...

        Args:
            images: float32 `[batch, channels, height, width]`, `(pixels / 255 - mean) / std`.
            params: Not used.
        """
        with torch.inference_mode():
            output = self.network(torch.from_numpy(np.array(images, dtype=np.float32)))
        if isinstance(output, Tensor):
            return output.numpy()
        return {f"exit{number}": logits.numpy() for number, logits in enumerate(output, start=1)}


def _load_pyfunc(data_path: str) -> RegisteredNetwork:
    """Return the network of an exported folder; MLflow calls this by its name."""
    source = Path(data_path) / "model.py"
    if not source.exists():
        return RegisteredNetwork(torch.export.load(source.with_name("model.pt2")).module())
    spec = importlib.util.spec_from_file_location("archsearch_registered_model", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {source}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return RegisteredNetwork(module.load())

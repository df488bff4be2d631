"""The checkpoint file of a final training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe
from archsearch.evaluators.training.loop import Training
from archsearch.platform.training.checkpoint import TrainingHistory, TrainingStore


def training(seed: int = 0) -> Training:
    torch.manual_seed(seed)
    return Training(nn.Linear(3, 2), Recipe(epochs=2, batch_size=4), [torch.Generator().manual_seed(0)])


def test_a_training_comes_back_with_its_history(tmp_path: Path) -> None:
    store, before, after = TrainingStore(tmp_path / "c.pt", {"seed": 1}), training(0), training(1)
    assert math.isnan(store.load(after).loss), "there is no file yet"
    store.save(before.state(), TrainingHistory(0.5, 12.0))
    assert store.load(after) == TrainingHistory(0.5, 12.0)
    torch.testing.assert_close(after.state(), before.state())
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_a_file_of_another_training_or_a_corrupt_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    TrainingStore(path, {"seed": 1}).save(training().state(), TrainingHistory(0.5, 12.0))
    with pytest.raises(ConfigurationError, match=r"checkpoint: .*c\.pt belongs to a training with another seed\. Give another"):
        TrainingStore(path, {"seed": 2}).load(training())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigurationError, match=r"c\.pt is not the state of a training, or is corrupt"):
        TrainingStore(path, {"seed": 1}).load(training())


def test_without_a_path_nothing_is_stored() -> None:
    store = TrainingStore(None, {})
    store.save(training().state(), TrainingHistory(0.5, 1.0))
    assert math.isnan(store.load(training()).loss)

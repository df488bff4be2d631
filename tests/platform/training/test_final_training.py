"""Parts and identity of a final training; whole trainings are tested in `test_retraining.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.checkpoint import TrainingStore
from archsearch.platform.training.final_training import FinalTraining, Parts
from archsearch.platform.training.progress import EpochProgress
from tests.evaluators.datasets.photographs import write_photographs

SPLITS = datasets.load("digits")
DATA = TrainingData.of("digits", SPLITS, False)


def test_validation_images_are_trained_on_or_measured() -> None:
    apart = Parts.of(SPLITS, DATA, False, torch.device("cpu"))
    both = Parts.of(SPLITS, DATA, True, torch.device("cpu"))
    assert apart.validation is not None and both.validation is None
    torch.testing.assert_close(both.train.images[:], torch.cat([apart.train.images[:], apart.validation.images[:]]))
    torch.testing.assert_close(both.train.labels, torch.cat([apart.train.labels, apart.validation.labels]))
    torch.testing.assert_close(apart.train.images[:].mean(), torch.tensor(0.0), atol=1e-4, rtol=0.0)


def test_the_identity_holds_all_that_the_outcome_depends_on() -> None:
    space = spaces.get("nasbench201")
    architecture = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    training = FinalTraining(space, architecture, DATA, Recipe(epochs=2), seed=1, scale={"channels": 2})
    identity = training.identity()
    assert (identity["space"], identity["architecture"], identity["dataset"]) == ("nasbench201", str(architecture), DATA.digest)
    for changed in (
        replace(training, seed=2),
        replace(training, scale={"channels": 3}),
        replace(training, recipe=Recipe(epochs=3)),
        replace(training, with_validation=True),
        replace(training, initial_weights={"weight": torch.ones(2)}),
    ):
        assert changed.identity() != identity


@pytest.mark.parametrize("streamed", [False, True])
def test_a_training_goes_on_within_an_epoch_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "cache"))
    write_photographs(tmp_path / "photos")
    name = f"imagefolder:{tmp_path / 'photos'}?size=16"
    splits = datasets.load(name, loading=Loading(0.0, 1) if streamed else Loading())
    data = TrainingData.of(name, splits, False)
    space = spaces.get("nasbench201")
    architecture = space.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|none~2|")
    recipe = Recipe(epochs=2, batch_size=6, crop=1, flip=True, resized_crop=0.5, drop_path=0.3, weight_average=0.9)
    training = FinalTraining(space, architecture, data, recipe, 1, {"channels": 2, "cells_per_stage": 1})
    parts = Parts.of(splits, data, False, torch.device("cpu"))
    network, figures = training.run(parts, EpochProgress(2, None))
    assert figures["images_per_second"] > 0.0 and 0.0 <= figures["waiting_for_images"] <= 1.0
    kept, written, save = replace(training, checkpoint=tmp_path / "final.pt", checkpoint_seconds=0.0), [], TrainingStore.save

    def saved(self: TrainingStore, state: Any, history: Any) -> None:
        save(self, state, history)
        written.append(state["epoch"] + ("within" in state))
        if written in ([1, 1], [1, 1, 1, 1, 2]):
            raise KeyboardInterrupt  # after two steps of the first epoch, and one of the second

    monkeypatch.setattr(TrainingStore, "save", saved)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            kept.run(parts, EpochProgress(2, None))
    resumed, again = kept.run(parts, EpochProgress(2, None))
    assert written == [1, 1, 1, 1, 2, 2, 2, 2], "4 steps an epoch, saved after each"
    assert again["train_loss"] == figures["train_loss"] and again["seconds"] > 0.0
    for one, other in zip(network.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)

"""Parts and identity of a final training; whole trainings are tested in `test_retraining.py`."""

from __future__ import annotations

from dataclasses import replace

import torch

from archsearch import spaces
from archsearch.evaluators import Recipe, datasets
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.final_training import FinalTraining, Parts

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

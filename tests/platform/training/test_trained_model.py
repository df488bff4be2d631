"""Facts of a trained model, for its export."""

from __future__ import annotations

from archsearch import spaces
from archsearch.evaluators import Recipe, datasets
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.trained_model import TrainedModel


def test_the_facts_are_those_of_the_model() -> None:
    space, size = spaces.get("nasbench201"), {"channels": 2, "cells_per_stage": 1}
    architecture = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    model = TrainedModel(
        network=space.build(architecture, 10, 1, channels=2, cells_per_stage=1),
        space=space,
        architecture=architecture,
        scale=size,
        data=TrainingData.of("digits", datasets.load("digits"), False),
        recipe=Recipe(epochs=3),
        recipe_name="short",
        seed=7,
        metrics={"test_accuracy": 0.5},
        exit_accuracies=(0.5,),
        origin={"run": "r"},
    )
    facts = model.facts()
    assert (facts.input_shape, facts.num_classes, facts.num_exits, facts.origin) == ((1, 8, 8), 10, 1, {"run": "r"})
    assert facts.training is not None
    assert (facts.training.settings["epochs"], facts.training.seed, facts.training.data) == (3, 7, model.data)

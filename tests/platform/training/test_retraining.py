"""Final trainings: measured, resumed after a stop, refused when they are others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.training.scoring import score
from archsearch.platform.result import Found
from archsearch.platform.training.retraining import retrain
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
SIZE = {"channels": 4, "cells_per_stage": 1}
RECIPE = Recipe(epochs=4, batch_size=64, learning_rate=0.05, weight_average=0.9, drop_path=0.1, cutout=2, auxiliary=0.4)

_KILLED = """
import os, signal, sys
from archsearch.platform.training import checkpoint
from archsearch.platform.training.retraining import retrain
from archsearch.evaluators import Recipe
from archsearch.spaces.nasbench201 import NASBench201
space = NASBench201()
save = checkpoint.TrainingStore.save
def save_and_die(self, training, history):
    save(self, training, history)
    if training["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.TrainingStore.save = save_and_die
recipe = Recipe(epochs=4, batch_size=64, learning_rate=0.05, weight_average=0.9, drop_path=0.1, cutout=2, auxiliary=0.4)
retrain(space, space.parse(sys.argv[1]), "digits", recipe=recipe, scale={"channels": 4, "cells_per_stage": 1},
        checkpoint=sys.argv[2], device="cpu", progress=False)
"""


def trained(**changes: Any) -> TrainedModel:
    settings = {"recipe": RECIPE, "scale": SIZE, "device": "cpu", "progress": False}
    return retrain(SPACE, CELL, "digits", **{**settings, **changes})


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return trained()


def test_figures_are_those_of_the_network(model: TrainedModel) -> None:
    splits = datasets.load("digits")
    part = datasets.resident(splits.test, torch.tensor(model.data.mean), torch.tensor(model.data.std))
    assert not model.network.training
    assert float(score(model.network, part.images, part.labels).accuracy) == model.metrics["test_accuracy"]
    assert model.exit_accuracies == (model.metrics["test_accuracy"],)
    assert model.metrics["valid_accuracy"] > 0.3
    cost = SPACE.cost(CELL, (1, 8, 8), 10, **SIZE)
    assert (model.metrics["params"], model.metrics["macs"], model.metrics["epochs"]) == (cost.params, cost.macs, 4)
    assert (model.data.shape, model.data.classes, model.data.images) == ((1, 8, 8), tuple("0123456789"), 901)
    assert model.network.plan == SPACE.plan(CELL, 10, 1, **SIZE)


@pytest.mark.slow
def test_a_killed_training_ends_as_if_it_had_not_been(model: TrainedModel, tmp_path: Path) -> None:
    checkpoint = tmp_path / "a folder" / "final.pt"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, "-c", _KILLED, str(CELL), str(checkpoint)], env=environment, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = trained(checkpoint=checkpoint)
    again = trained(checkpoint=checkpoint)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
        assert torch.equal(tensor, again.network.state_dict()[name]), name
    assert resumed.metrics["test_accuracy"] == again.metrics["test_accuracy"] == model.metrics["test_accuracy"]
    assert again.metrics["seconds"] == resumed.metrics["seconds"] > 0.0, "nothing was left to do"


def test_seeds_differ_and_validation_images_can_be_trained_on(model: TrainedModel) -> None:
    both = trained(with_validation=True, epochs=1)
    assert both.data.images == 901 + 449
    assert "valid_accuracy" not in both.metrics
    assert both.recipe_name == "custom, epochs=1"
    other = trained(seed=1, epochs=1)
    weights = [next(iter(each.network.parameters())) for each in (both, other)]
    assert not torch.allclose(*weights)


def test_other_trainings_and_damaged_files_are_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "final.pt"
    trained(checkpoint=checkpoint, epochs=1)
    with pytest.raises(ConfigurationError, match=r"to a training with another recipe, seed\. Give another file, or delete"):
        trained(checkpoint=checkpoint, epochs=2, seed=3)
    for content in (b"", checkpoint.read_bytes()[:-500], b"no state"):
        checkpoint.write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"final.pt is not the state of a training, or is corrupt. Give another"):
            trained(checkpoint=checkpoint, epochs=1)
    torch.save({"settings": "{}"}, checkpoint)
    with pytest.raises(ConfigurationError, match="belongs to a training with another architecture, dataset, recipe"):
        trained(checkpoint=checkpoint, epochs=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="checkpoint: cannot write"):
        trained(checkpoint=tmp_path / "file" / "final.pt", epochs=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "cifra"}, "recipe: expected one of cifar, imagenet-mobile, short; got 'cifra'"),
        ({"epoch": 3}, "recipe: no setting 'epoch'. Did you mean 'epochs'"),
        ({"scale": {"chanels": 4}}, "scale: nasbench201 has no setting 'chanels'"),
        ({"device": "gpu9"}, "device: expected auto, cpu, cuda or cuda:N; got 'gpu9'"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trained(**changes)


def test_an_infinite_loss_is_an_error_of_one_line() -> None:
    with pytest.raises(RunError, match="recipe: the loss became .* in epoch 1 of 4; lower learning_rate"):
        trained(
            recipe=RECIPE.with_changes(
                learning_rate=1000.0, weight_average=0.0, drop_path=0.0, auxiliary=0.0, momentum=1.0, weight_decay=10.0
            )
        )


def test_networks_with_several_exits() -> None:
    space = Anytime(nodes=(3, 2))
    architecture = space.parse(
        '[[["conv_3x3",[0],1,"exit"],["avg_pool_3x3",[0],2,"exit"],["conv_1x1",[1,2],1]],[["conv_3x3",[0],1],["conv_3x3",[1],1]]]'
    )
    model = retrain(space, architecture, "digits", recipe=RECIPE, epochs=2, scale={"channels": 4}, device="cpu", progress=False)
    assert len(model.exit_accuracies) == len(model.network.plan.outputs) == 3
    assert model.exit_accuracies[-1] == model.metrics["test_accuracy"]


def test_what_was_found_is_trained_in_the_size_that_was_scored() -> None:
    arguments = {"input_shape": (1, 8, 8), "num_classes": 10, **SIZE, "replicas": 1}
    found = Found(CELL, 0.9, {}, SPACE, arguments, {"run": "r", "rank": 1})
    model = found.retrain("digits", recipe=RECIPE, epochs=1, scale={"channels": 5}, device="cpu", progress=False)
    assert model.scale == {"channels": 5, "cells_per_stage": 1, "replicas": 1}
    assert model.origin == {"run": "r", "rank": 1}


def test_few_images_of_the_user_get_a_batch_size_that_fits_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    digits = datasets.load("digits")
    few = Splits(*(part.take(range(240 if index == 0 else 40), f"own/{index}") for index, part in enumerate(digits)))
    model = retrain(SPACE, CELL, few, epochs=1, device="cpu", scale=SIZE)
    assert model.recipe.batch_size == 32
    assert "Training: 1 epochs of 7 steps with 32 images each (128 would be too many for so few)." in capsys.readouterr().err
    chosen = retrain(SPACE, CELL, few, epochs=1, device="cpu", scale=SIZE, batch_size=120, progress=False)
    assert chosen.recipe.batch_size == 120
    assert capsys.readouterr().err == ""


def skewed() -> Splits:
    """Digits 0 and 1, with few images of 1."""
    parts = []
    for name, part in zip(("train", "validation", "test"), datasets.load("digits"), strict=True):
        zeros, ones = (torch.nonzero(part.labels == digit)[:, 0].tolist() for digit in (0, 1))
        rows = [*zeros, *ones[: len(zeros) // 6]]
        parts.append(datasets.ImageDataset(f"skewed/{name}", part.images[rows], part.labels[rows], ("0", "1")))
    return Splits(*parts)


def test_balanced_accuracy_is_reported_where_classes_are_skewed_or_the_search_was_scored_by_it(model: TrainedModel) -> None:
    assert not any("balanced" in name for name in model.metrics), "the classes of digits are even"
    splits = skewed()
    found = retrain(SPACE, CELL, splits, recipe=RECIPE, epochs=1, scale=SIZE, device="cpu", progress=False)
    part = datasets.resident(splits.test, torch.tensor(found.data.mean), torch.tensor(found.data.std))
    answers = found.network(part.images[:]).argmax(1)
    shares = [float((answers[part.labels == digit] == digit).float().mean()) for digit in (0, 1)]
    assert found.metrics["test_balanced_accuracy"] == pytest.approx(sum(shares) / 2)
    assert "valid_balanced_accuracy" in found.metrics
    asked = trained(epochs=1, origin={"score_name": "valid_balanced_accuracy"})
    assert 0.0 <= asked.metrics["test_balanced_accuracy"] <= 1.0

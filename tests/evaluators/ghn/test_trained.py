from __future__ import annotations

from types import ModuleType

import torch

from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.trained import TRAINING, Learned, trained_by, usable_with


def test_a_state_restores_weights_moments_and_steps(worlds: ModuleType) -> None:
    vocabulary, settings = worlds.model("nasbench201").vocabulary, Settings(hidden=8, width=12, tile=3)
    first = Learned(vocabulary, settings, 0, torch.device("cpu"))
    torch.stack([each.square().sum() for each in first.model.parameters()]).sum().backward()
    first.optimizer.step()
    first.steps = 7
    second = Learned(vocabulary, settings, 1, torch.device("cpu"))
    assert second.digest() != first.digest()
    second.load(first.state())
    assert (second.digest(), second.steps) == (first.digest(), 7)
    moments = second.state()["moments"]
    assert all(torch.equal(moments[at]["exp_avg"], each["exp_avg"]) for at, each in first.state()["moments"].items())


def test_training_settings_may_differ_in_a_state_that_only_scores(worlds: ModuleType) -> None:
    space, images = worlds.SPACES["nasbench201"][0], ImageTask("digits")
    one, other = Settings(), Settings(learning_rate=0.5, evaluation_images=9)
    assert usable_with(space, images, {}, one) == usable_with(space, images, {}, other)
    assert usable_with(space, images, {}, one) != usable_with(space, images, {}, Settings(hidden=8))
    assert trained_by(space, images, one, 0) != trained_by(space, images, other, 0)
    assert set(trained_by(space, images, one, 0)["training"]) == set(TRAINING), "as in states of earlier versions"
    weighted = Settings(class_weights=True)
    assert trained_by(space, images, weighted, 0)["training"]["class_weights"] is True
    assert usable_with(space, images, {}, weighted) == usable_with(space, images, {}, one)

"""A final training takes the images and settings of the search, and says what differs."""

from __future__ import annotations

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe, TabularEvaluator, TrainingEvaluator
from archsearch.platform.training.search_training import SearchTraining, chosen_training

SEARCH = SearchTraining.of(TrainingEvaluator(spaces.get("nasbench201"), "digits", epochs=3, batch_size=32))


def test_the_default_is_the_training_of_the_search() -> None:
    assert SEARCH is not None
    chosen = chosen_training(SEARCH, None, None, {})
    assert (chosen.dataset, chosen.recipe) == ("digits", SEARCH.recipe)
    assert (
        chosen.difference == "Training on digits as in the search: 3 epochs, batches of 32."
        and chosen.label == "as in the search"
    )


def test_what_differs_is_said() -> None:
    assert SEARCH is not None
    chosen = chosen_training(SEARCH, "digits", None, {"epochs": 100, "cutout": 2})
    assert chosen.difference == "Training as in the search, but epochs 100 instead of 3, cutout 2 instead of 0."
    assert chosen.label == "as in the search, epochs=100, cutout=2"
    other = chosen_training(SEARCH, None, "cifar", {})
    assert "epochs 600 instead of 3" in other.difference and other.label is None and other.recipe == "cifar"


def test_other_images_have_their_own_recipe() -> None:
    assert SEARCH is not None
    chosen = chosen_training(SEARCH, "cifar10", None, {})
    assert chosen.recipe == "short" and chosen.difference.startswith(
        "Training as in the search, but on cifar10 instead of digits"
    )


def test_a_search_that_trained_nothing_has_no_images() -> None:
    assert SearchTraining.of(TabularEvaluator.embedded("digits201")) is None
    assert chosen_training(None, "digits", None, {}).recipe == "short"
    assert chosen_training(None, "digits", Recipe(epochs=2), {}).recipe == Recipe(epochs=2)
    with pytest.raises(
        ConfigurationError,
        match="dataset: expected images to train on, because the search took its scores .*; got None",
    ):
        chosen_training(None, None, None, {})
    with pytest.raises(ConfigurationError, match="no setting 'epoch'. Did you mean 'epochs'"):
        chosen_training(SEARCH, None, None, {"epoch": 3})

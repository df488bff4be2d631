"""The model card and `architecture.json`, from facts alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from archsearch import spaces
from archsearch.evaluators import datasets
from archsearch.evaluators.latency import Latency
from archsearch.platform.export.facts import ModelFacts, TrainingData, TrainingFacts
from archsearch.platform.export.model_card import architecture_json, model_card

SPACE = spaces.get("nasbench201")
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")


@pytest.fixture
def latency() -> Latency:
    return Latency(median=1.5, low=1.0, high=2.0, batch_size=1, device="cpu", threads=1)


@pytest.fixture
def facts() -> ModelFacts:
    training = TrainingFacts(
        data=TrainingData.of("digits", datasets.load("digits"), False),
        recipe_name="short, epochs=1",
        settings={"epochs": 1},
        seed=3,
        metrics={"test_accuracy": 0.75, "valid_loss": math.inf, "train_loss": 1.25, "seconds": 90.0},
        exit_accuracies=(0.5, 0.75),
    )
    size = {"channels": 4, "cells_per_stage": 1}
    return ModelFacts(SPACE, CELL, (1, 8, 8), 10, 2, size, {"run": "r", "metrics": {"macs": 1e6}}, training)


def test_a_trained_network(facts: ModelFacts, latency: Latency) -> None:
    card = model_card(facts, latency, {"model.onnx": "onnx not installed"})
    for part in ("trained on digits.", "75.00 %", "50.00, 75.00 %", "short, epochs=1", "epochs 1", "| seed | 3 |", "| run | r |"):
        assert part in card
    assert "* `model.onnx`: onnx not installed" in card and "a tuple of 2 logits" in card
    content = architecture_json(facts, latency, {})
    assert content["training"]["metrics"] == {"test_accuracy": 0.75, "train_loss": 1.25, "seconds": 90.0}, "JSON has no infinity"
    assert content["normalisation"]["mean"] == list(facts.training.data.mean) if facts.training else False
    assert content["metrics"] == {"macs": 1e6}


def test_the_score_of_a_candidate_that_was_stopped_early_says_when(facts: ModelFacts, latency: Latency) -> None:
    origin = {"run": "r", "score": 0.7, "percent": True, "scored_after": "12 of 36 epochs"}
    assert "| score in the search | 70.00 %, after 12 of 36 epochs |" in model_card(replace(facts, origin=origin), latency, {})


def test_an_untrained_network(facts: ModelFacts, latency: Latency) -> None:
    facts = replace(facts, training=None, num_exits=1, origin={})
    card = model_card(facts, latency, {})
    assert "**not trained**" in card and "given by the user" in card
    content = architecture_json(facts, latency, {})
    assert (content["training"], content["classes"], content["run"]) == (None, None, None)

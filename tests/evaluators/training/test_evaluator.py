"""Training of candidates on the real digits: scores, seeds, failures, what is left as it was."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import Evaluation, TrainingEvaluator, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.training.recipe import default_scale
from archsearch.spaces import Architecture
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
TINY = {"channels": 2, "cells_per_stage": 1}


def evaluator(space: NASBench201 = SPACE, **settings: Any) -> TrainingEvaluator:
    return TrainingEvaluator(space, "digits", **{"epochs": 1, "scale": TINY, **settings})


def evaluated(maker: TrainingEvaluator, architecture: Architecture = CELL) -> Evaluation:
    [evaluation] = maker.evaluate([architecture])
    return evaluation


def without_seconds(evaluations: list[Evaluation]) -> dict[str, Any]:
    curves = [{name: values for name, values in row.curves.items() if name != "step_seconds"} for row in evaluations]
    return {
        row.key: (row.architecture, row.score, row.metrics, row.error, curve)
        for row, curve in zip(evaluations, curves, strict=True)
    }


def test_convolutions_learn_the_digits() -> None:
    settings: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.05,
        "scale": {"channels": 8, "cells_per_stage": 1},
    }
    evaluation = evaluated(evaluator(report_test=True, **settings))
    assert evaluation.ok
    assert evaluation.metrics["test_accuracy"] > 0.9
    assert evaluation.score == evaluation.metrics["valid_accuracy"] > 0.9
    assert evaluation.metrics["valid_loss"] < 0.5
    assert evaluation.seconds > 0


def test_metrics_are_those_of_the_network_that_was_trained() -> None:
    maker = evaluator(epochs=2, repeats=2)
    evaluation = evaluated(maker)
    cost = SPACE.cost(CELL, (1, 8, 8), 10, **TINY)
    assert evaluation.metrics["params"] == cost.params
    assert evaluation.metrics["macs"] == cost.macs
    images = len(maker.splits().train)
    assert evaluation.metrics["macs_paid"] == 3 * 2 * images * 2 * cost.macs, "passes x epochs x images x repeats"
    assert evaluation.metrics["epochs"] == 2
    assert sum(p.numel() for p in maker.network(CELL).parameters()) == 2 * cost.params


def test_curve_has_a_point_for_each_epoch_and_ends_at_the_score() -> None:
    evaluation = evaluated(evaluator(epochs=3))
    assert set(evaluation.curves) == {"valid_accuracy", "step_score", "step_seconds"}
    assert [len(curve) for curve in evaluation.curves.values()] == [3, 3, 3]
    assert evaluation.curves["valid_accuracy"] == evaluation.curves["step_score"]
    assert evaluation.curves["step_score"][-1] == evaluation.score
    assert sum(evaluation.curves["step_seconds"]) == evaluation.seconds


def test_test_images_are_scored_when_asked_for_only() -> None:
    assert not [name for name in evaluated(evaluator()).metrics if "test" in name]
    assert {"test_accuracy", "test_loss"} <= set(evaluated(evaluator(report_test=True)).metrics)
    shown, hidden = evaluated(evaluator(report_test=True)), evaluated(evaluator())
    assert shown.score == hidden.score


def test_outcome_depends_on_seed_and_candidate_alone() -> None:
    first = without_seconds(evaluator().evaluate([CELL, POOLING]))
    assert without_seconds(evaluator().evaluate([POOLING, CELL])) == first
    assert evaluated(evaluator(seed=1)).metrics["valid_loss"] != first[SPACE.key(CELL)][2]["valid_loss"]


def test_score_of_repeats_is_their_mean() -> None:
    one, three = evaluated(evaluator()), evaluated(evaluator(repeats=3))
    assert three.score != one.score
    again = evaluator(repeats=3)
    assert len(again.network(CELL).state_dict()) == len(evaluator().network(CELL).state_dict())
    assert without_seconds([evaluated(again)]) == without_seconds([three])


def test_first_repeat_starts_from_the_weights_of_a_single_training() -> None:
    single, stack = evaluator().network(CELL), evaluator(repeats=2).network(CELL)
    for alone, together in zip(single.parameters(), stack.parameters(), strict=True):
        assert torch.equal(together[: len(alone)], alone)
        assert together.shape[0] == 2 * alone.shape[0]


def test_own_images_give_what_the_same_dataset_by_name_gives() -> None:
    named = evaluator(batch_size=32)
    own = TrainingEvaluator(SPACE, datasets.load("digits"), recipe=named.recipe, scale=TINY)
    assert own.fingerprint() == named.fingerprint()
    assert without_seconds([evaluated(own)]) == without_seconds([evaluated(named)])
    assert (own.task, own.chance) == ("digits", 0.1)


# Failures


def test_diverging_candidate_is_a_failed_evaluation() -> None:
    failed = evaluated(evaluator(learning_rate=1000.0, weight_decay=10.0))
    assert not failed.ok
    assert failed.error
    assert failed.error.startswith("the loss became nan in epoch 1 of 1")
    assert np.isnan(failed.score)
    assert failed.key == SPACE.key(CELL)


class FailingSpace(NASBench201):
    """Candidates with pooling cannot be built."""

    reason: ClassVar[type[Exception]] = torch.OutOfMemoryError

    def build(self, architecture: Architecture, *arguments: Any, **scale: Any) -> Network:
        if "avg_pool" in str(architecture):
            raise self.reason("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")
        return super().build(architecture, *arguments, **scale)


class BrokenSpace(FailingSpace):
    reason = ZeroDivisionError


@pytest.mark.parametrize(
    ("space", "error"),
    [
        (FailingSpace(), "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB."),
        (BrokenSpace(), "ZeroDivisionError: CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_failing_candidate_does_not_cost_the_batch(space: NASBench201, error: str) -> None:
    first, failed, last = evaluator(space).evaluate([CELL, POOLING, CELL])
    assert (failed.error, failed.ok) == (error, False)
    assert failed.architecture == POOLING
    assert first.ok
    assert without_seconds([first]) == without_seconds([last])


def test_missing_images_are_no_fault_of_a_candidate(tmp_path: Path) -> None:
    lost = TrainingEvaluator(SPACE, f"imagefolder:{tmp_path}/nowhere", epochs=1, scale=TINY)
    with pytest.raises(DatasetError, match="nowhere"):
        lost.evaluate([CELL])
    with pytest.raises(DatasetError, match="nowhere"):
        lost.fingerprint()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, r"recipe: no setting 'epoch'. Did you mean 'epochs'\?"),
        ({"epochs": 0}, "epochs: expected a whole number from 1"),
        ({"learning_rate": 1e6}, "learning_rate: expected a number from 0.0 to 1000.0; got 1000000.0"),
        ({"repeats": 0}, "repeats: expected a whole number of at least 1; got 0"),
        ({"repeats": 1.5}, "repeats: expected a whole number of at least 1; got 1.5"),
        ({"threads": 0}, "threads: expected a whole number of at least 1; got 0"),
        ({"scale": {"width": 3}}, "scale: nasbench201 has no setting 'width'"),
        ({"scale": {"channels": 0}}, r"scale\['channels'\]: expected a whole number of at least 1; got 0"),
        ({"scale": {"replicas": 2}}, r"scale\['replicas'\]: expected 1; got 2. Give repeats instead."),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        evaluator(**settings)


def test_repeats_need_a_space_with_replicas() -> None:
    class Single(NASBench201):
        scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 16, "cells_per_stage": 5}

    with pytest.raises(ConfigurationError, match="repeats: expected 1, because nasbench201 has no scale setting replicas; got 2"):
        evaluator(Single(), repeats=2)


def test_unknown_device_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="device: expected auto, cpu, cuda or cuda:N; got 'quantum'"):
        evaluator(device="quantum")


# Settings


def test_later_settings_of_a_space_leave_old_fingerprints() -> None:
    scales = ({}, {"widening": 1, "exit_mean": 1}, {"exit_mean": 2})
    made = [TrainingEvaluator(Anytime(nodes=(2, 1)), "digits", scale={"channels": 8, **later}) for later in scales]
    old, same, other = (evaluator.fingerprint() for evaluator in made)
    assert made[0].settings()["scale"] == {"channels": 8}, "as before there were others"
    assert old == same != other


def test_fingerprint_follows_what_is_measured_alone() -> None:
    base = evaluator()
    assert evaluator(seed=5).fingerprint() == base.fingerprint()
    assert evaluator(device="cpu", threads=2).fingerprint() == base.fingerprint()
    changed: list[dict[str, Any]] = [
        {"epochs": 2},
        {"learning_rate": 0.01},
        {"repeats": 2},
        {"report_test": True},
        {"scale": {**TINY, "channels": 4}},
    ]
    splits = datasets.load("digits")
    fewer = Splits(splits.train.take(range(100), "digits/train"), splits.validation, splits.test)
    others = [evaluator(**settings).fingerprint() for settings in changed]
    others.append(TrainingEvaluator(SPACE, fewer, recipe=base.recipe, scale=TINY).fingerprint())
    assert len({base.fingerprint(), *others}) == 7


def test_small_default_networks_for_digits() -> None:
    assert TrainingEvaluator(SPACE, "digits").scale == {"channels": 8, "cells_per_stage": 1, "replicas": 1}
    assert TrainingEvaluator(SPACE, "digits").cost_arguments["input_shape"] == (1, 8, 8)


def test_process_is_left_as_it_was() -> None:
    threads = torch.get_num_threads()
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state(legacy=False))
    torch.set_num_threads(threads + 1)
    try:
        assert evaluated(evaluator(threads=1)).ok
        assert not evaluated(evaluator(threads=1, learning_rate=1000.0, weight_decay=10.0)).ok
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert repr(np.random.get_state(legacy=False)) == before[2]


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_trains_on_the_digits(name: str) -> None:
    space = spaces.get(name)
    evaluator = TrainingEvaluator(space, "digits", epochs=1, batch_size=128)
    (evaluation,) = evaluator.evaluate([space.sample(np.random.default_rng(0))])
    assert evaluation.error is None
    assert 0.0 <= evaluation.score <= 1.0
    assert evaluation.metrics["params"] == sum(
        parameter.numel() for parameter in evaluator.network(evaluation.architecture).parameters()
    )


def _noise(counts: dict[str, tuple[int, ...]], shape: tuple[int, int, int] = (1, 8, 8)) -> Splits:
    """Images in which class 1 is brighter in the lower half, with the numbers of each class for each part."""
    rng = np.random.default_rng(0)
    parts = []
    for part in ("train", "validation", "test"):
        labels = np.repeat(np.arange(len(counts[part])), counts[part])
        images = rng.integers(0, 60, (len(labels), *shape))
        images[labels == 1, :, shape[1] // 2 :] += 120
        images[labels == 0, :, : shape[1] // 2] += 120
        pixels = torch.from_numpy(images.astype(np.uint8))
        parts.append(datasets.ImageDataset(f"made/{part}", pixels, torch.from_numpy(labels), ("OK", "NG")))
    return Splits(*parts)


SKEWED = _noise({"train": (240, 4), "validation": (30, 1), "test": (30, 1)})


def test_skewed_classes_are_told_and_balanced_accuracy_tells_candidates_apart(caplog: pytest.LogCaptureFixture) -> None:
    plain = TrainingEvaluator(SPACE, SKEWED, epochs=1, batch_size=64, scale=TINY)
    assert plain.chance == pytest.approx(30 / 31)
    tied = plain.evaluate([CELL, POOLING, SPACE.sample(np.random.default_rng(0))])
    assert [row.score for row in tied] == pytest.approx([30 / 31] * 3)
    warnings = [record.getMessage() for record in caplog.records]
    assert sum("always answering OK scores 96.77 %" in text for text in warnings) == 1
    assert sum("as always answering OK does" in text for text in warnings) == 1
    caplog.clear()
    plain.evaluate([CELL])
    assert not caplog.records, "each warning is given once"
    settings: dict[str, Any] = {"objective": "balanced_accuracy", "class_weights": True, "epochs": 4, "scale": TINY}
    balanced = TrainingEvaluator(SPACE, SKEWED, batch_size=16, learning_rate=0.05, report_test=True, **settings)
    assert (balanced.chance, balanced.score_name) == (0.5, "valid_balanced_accuracy")
    row = evaluated(balanced)
    assert row.score == row.metrics["valid_balanced_accuracy"] > 0.9
    assert row.metrics["test_balanced_accuracy"] > 0.9
    assert row.curves["valid_balanced_accuracy"][-1] == row.score
    assert plain.fingerprint() != TrainingEvaluator(SPACE, SKEWED, batch_size=64, **{**settings, "epochs": 1}).fingerprint()


def test_chance_is_one_of_the_classes_where_they_are_even() -> None:
    even = _noise({"train": (12, 12), "validation": (6, 6), "test": (3, 3)})
    assert TrainingEvaluator(SPACE, even).chance == 0.5
    assert evaluator().chance == 0.1, "46 of 449 digits is the rounding of a split"
    assert TrainingEvaluator(SPACE, SKEWED, objective="anytime").chance == 0.5, "a part of the definition of the area"


def test_images_of_the_user_have_a_recipe_fitted_to_them() -> None:
    few = TrainingEvaluator(SPACE, SKEWED)
    assert few.recipe.batch_size == 32
    assert "Training: 12 epochs of 7 steps with 32 images each (128 would be too many for so few)." in few.facts()
    assert TrainingEvaluator(SPACE, SKEWED, batch_size=128).recipe.batch_size == 128
    assert TrainingEvaluator(SPACE, SKEWED, recipe=few.recipe.with_changes(batch_size=64)).recipe.batch_size == 64
    pickled = pickle.loads(pickle.dumps(few))
    assert pickled.fingerprint() == few.fingerprint()


def test_mirror_images_are_not_mirrored_by_default_and_that_is_said() -> None:
    """Two classes, bright on the left or on the right; mirrored in training, they cannot be told apart."""
    rng = np.random.default_rng(0)
    parts = []
    for part, count in (("train", 80), ("validation", 20), ("test", 4)):
        images = rng.integers(0, 30, (count, 1, 8, 8), dtype=np.uint8)
        images[::2, :, :, :4] += 180
        images[1::2, :, :, 4:] += 180
        labels = torch.arange(count) % 2
        parts.append(datasets.ImageDataset(f"arrows/{part}", torch.from_numpy(images), labels, ("left", "right")))
    splits = Splits(*parts)
    default = TrainingEvaluator(SPACE, splits, epochs=3, crop=0, scale=TINY)
    assert not default.recipe.flip
    assert any("left and right are mirror images of each other; --train flip=true" in text for text in default.cautions())
    assert evaluated(default).score == 1.0
    asked = TrainingEvaluator(SPACE, splits, flip=True, scale=TINY)
    assert asked.recipe.flip
    assert any("give --train flip=false" in text for text in asked.cautions())
    assert "mirrored left to right" in asked.facts()[2]


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_trains_on_images_that_are_not_square(name: str) -> None:
    wide = _noise({"train": (12, 12), "validation": (6, 6), "test": (3, 3)}, (3, 12, 40))
    space = spaces.get(name)
    architecture = space.sample(np.random.default_rng(0))
    scale = default_scale("digits", space.scale_defaults)
    row = TrainingEvaluator(space, wide, epochs=1, scale=scale).evaluate([architecture])[0]
    assert row.ok, row.error


def test_a_recipe_may_be_given_by_its_name() -> None:
    named = TrainingEvaluator(SPACE, "digits", recipe="cifar", epochs=2)
    assert (named.recipe.epochs, named.recipe.cutout, named.chosen["flip"]) == (2, 16, True)
    for wrong in ("shrot", 3, {"epochs": 2}):
        with pytest.raises(ConfigurationError, match="recipe: expected one of cifar, imagenet-mobile, short; got"):
            TrainingEvaluator(SPACE, "digits", recipe=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "learned", "names"),
    [
        ("multilabel", {"valid_mean_average_precision": 0.6}, ("valid_mean_average_precision",)),
        ("regression", {"valid_r2": 0.25}, ("valid_r2", "valid_mae")),
    ],
)
def test_sets_of_labels_and_numbers_are_learned(pairs: Any, task: str, learned: dict[str, float], names: tuple[str, ...]) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 25, "crop": 0, "flip": False, "learning_rate": 0.05}
    made = TrainingEvaluator(SPACE, pairs.pair_splits(task), **settings, scale={"channels": 8, "cells_per_stage": 1})
    assert made.task == "pairs" and made.score_images is None
    evaluation = evaluated(made)
    [(name, least)] = learned.items()
    assert evaluation.score == evaluation.metrics[name] > least > made.chance
    assert set(names) <= set(evaluation.metrics) and "valid_accuracy" not in evaluation.metrics
    assert evaluation.curves[name] == evaluation.curves["step_score"]
    assert made.facts()[0].endswith(
        {"multilabel": "10 labels, 1.91 an image", "regression": "sum from 0 to 18, cents from 0 to 900"}[task]
        + "; 1 x 8 x 16 (channels x height x width)."
    )


def test_the_mean_absolute_error_is_lowered(pairs: Any) -> None:
    made = TrainingEvaluator(SPACE, pairs.pair_splits("regression", 100, 40), objective="mae", epochs=1, scale=TINY)
    assert (made.score_name, made.lower_is_better, made.score_is_fraction) == ("valid_mae", True, False)
    evaluation = evaluated(made)
    assert evaluation.score == -evaluation.metrics["valid_mae"] < 0
    assert made.chance < -50.0, "the error of the median, mostly of the cents"
    usual = TrainingEvaluator(SPACE, pairs.pair_splits("regression", 100, 40), epochs=1, scale=TINY)
    assert usual.fingerprint() != made.fingerprint()
    assert evaluated(usual).metrics["valid_mae"] == evaluation.metrics["valid_mae"], "the training is the same"


def test_what_does_not_suit_the_task_is_refused(pairs: Any) -> None:
    numbers = pairs.pair_splits("regression", 60, 20)
    for settings, message in (
        (
            {"objective": "accuracy"},
            "objective: the task regression is scored by r2 or mae; got 'accuracy', a score of classification",
        ),
        ({"objective": "anytime"}, "the task regression is scored by r2 or mae; got 'anytime'"),
        ({"objective": "r3"}, "objective: expected one of mae, r2; got 'r3'"),
        ({"class_weights": True}, "class_weights: numbers have no classes to weigh"),
        ({"label_smoothing": 0.1}, "label_smoothing: numbers have no classes"),
        ({"task": "multilabel"}, "task: expected regression, for which the labels of pairs are; got 'multilabel'"),
        ({"max_budget": 1e6}, "max_budget: only objective='anytime' has one"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            TrainingEvaluator(SPACE, numbers, **settings)
    with pytest.raises(
        ConfigurationError, match="the task classification is scored by accuracy or .*; got 'r2', a score of regression"
    ):
        evaluator(objective="r2")
    with pytest.raises(ConfigurationError, match="task: expected classification, which digits has; got regression"):
        evaluator(task="regression")


def test_networks_with_several_exits_predict_numbers_and_labels(pairs: Any) -> None:
    space = spaces.get("anytime")
    architecture = space.sample(np.random.default_rng(0))
    for task, settings, curve in (
        ("regression", {}, "exit_r2"),
        ("multilabel", {"objective": "anytime"}, "exit_mean_average_precision"),
    ):
        made = TrainingEvaluator(space, pairs.pair_splits(task, 60, 30), epochs=1, batch_size=30, **settings)
        [evaluation] = made.evaluate([architecture])
        assert evaluation.ok, evaluation.error
        assert len(evaluation.curves[curve]) == len(evaluation.curves["exit_macs"]) > 1
        assert ("anytime_auc" in evaluation.metrics) == (task == "multilabel")

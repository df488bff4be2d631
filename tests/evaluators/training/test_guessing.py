from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.evaluators.datasets import ImageDataset
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.guessing import Guess, no_better_than_guessing

CELL = spaces.get("nasbench201").from_genotype([3, 0, 1, 0, 0, 1])


def _guess(counts: Sequence[int], balanced: bool = False) -> Guess:
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    part = ImageDataset(
        "p/validation", torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels, tuple("abcd"[: len(counts)])
    )
    score = max(counts) / sum(counts) if not balanced else 1 / len(counts)
    return Guess.of(part, score, len(labels), balanced)


def _rows(*outcomes: tuple[float, float]) -> list[Evaluation]:
    return [Evaluation(CELL, str(number), score, {"valid_loss": loss}) for number, (score, loss) in enumerate(outcomes)]


def test_ties_at_the_share_of_the_larger_class_are_said() -> None:
    remark = _guess([30, 1]).remark(_rows(*[(30 / 31, 0.2)] * 5))
    assert remark.startswith("All 5 trainings score 96.77 %, as always answering a does")
    assert "balanced_accuracy, --train class_weights=true" in remark


def test_scores_within_the_noise_of_guessing_are_said() -> None:
    remark = _guess([20, 20]).remark(_rows((0.55, 0.9), (0.6, 0.7), (0.45, 0.8)), flip=True)
    assert remark.startswith("All 3 trainings score at most 60.00 %, no better than guessing, 50.00 %, within the noise.")
    assert "flip=false" in remark


def test_the_loss_of_guessing_is_said_even_where_scores_are_lucky() -> None:
    """As of two classes that are mirror images and are mirrored in training: 0, 50 or 100 %, at a loss of 0.69."""
    remark = _guess([20, 20]).remark(_rows((1.0, math.log(2)), (0.0, 0.694), (0.5, 0.693)))
    assert "have the loss of guessing, 0.69, so their scores are luck" in remark


@pytest.mark.parametrize(
    ("counts", "outcomes"),
    [
        ([20, 20], [(0.5, 0.7), (0.9, 0.3), (0.5, 0.7)]),
        ([20, 20], [(0.9, 1.5), (0.8, 1.2), (0.85, 0.9)]),  # overconfident, but right
        ([20, 20], [(0.5, 0.7), (0.5, 0.7)]),  # too early to say
        ([30, 1], [(1.0, 0.1), (30 / 31, 0.2), (30 / 31, 0.2)]),  # one image decides, and it was right
        ([3, 3], [(5 / 6, 0.2), (5 / 6, 0.3), (0.5, 0.7)]),  # few images, but a low loss
    ],
)
def test_trainings_that_beat_guessing_or_are_too_few_give_no_remark(
    counts: list[int], outcomes: list[tuple[float, float]]
) -> None:
    assert _guess(counts).remark(_rows(*outcomes)) == ""


def test_failures_do_not_count() -> None:
    failed = Evaluation(CELL, "x", float("nan"), {}, 0.0, "out of memory")
    assert _guess([20, 20]).remark([failed] * 5) == ""


def test_balanced_accuracy_is_guessed_by_any_answer() -> None:
    guess = _guess([30, 1], balanced=True)
    assert (guess.score, guess.answer) == (0.5, "")
    assert "as guessing does" in guess.remark(_rows(*[(0.5, 0.2)] * 3))


def test_labels_and_numbers_that_are_not_learned_are_said() -> None:
    r2, mae = (ScoreObjective.of(name, None, "regression") for name in ("r2", "mae"))
    tags = ScoreObjective.of(None, None, "multilabel")
    for objective, guess, bad, good, words in (
        (r2, 0.0, 0.01, 0.2, "have an R2 of at most 0.01, no better than always answering the middle, 0."),
        (mae, -3.0, -2.99, -2.0, "have a mean absolute error of at least 2.99, no better than always answering the middle, 3."),
        (tags, 0.2, 0.201, 0.4, "have a mean average precision of at most 20.10 %, no better than a random order, 20.00 %"),
    ):
        remark = no_better_than_guessing(_rows((bad, 1.0), (guess, 1.0), (guess, 1.0)), objective, guess)
        assert words in remark and remark.startswith("All 3 trainings")
        assert not no_better_than_guessing(_rows((bad, 1.0), (good, 1.0), (guess, 1.0)), objective, guess)
        assert not no_better_than_guessing(_rows((bad, 1.0), (guess, 1.0)), objective, guess)

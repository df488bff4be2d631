"""The warning that none of the first trainings beats guessing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.score_names import MEASURES, REGRESSION
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.description import largest_class, standard_error

FIRST = 3
"""Trainings after which something is said."""
_CLOSE = 0.02
_NEAR, _CLEAR = 0.02, 0.7
"""Fractions of the loss of guessing: as near is equal to it; below the other, something was learned."""


@dataclass(frozen=True)
class Guess:
    """What guessing scores on the validation images.

    Args:
        score: The score of guessing.
        answer: Class that has this score if it is always answered; an empty string if all have.
        loss: Cross-entropy of answering with the shares of the classes, nats.
        images: Number of images that the score is the mean of.
    """

    score: float
    answer: str
    loss: float
    images: float

    @classmethod
    def of(cls, images: ImageDataset, score: float, score_images: float, balanced: bool) -> Guess:
        """Return what guessing scores.

        Args:
            images: The validation images.
            score: Score of guessing.
            score_images: Number of images that the score is the mean of.
            balanced: Whether all classes count the same.
        """
        shares = torch.bincount(images.labels, minlength=images.num_classes).double() / max(1, len(images))
        name = largest_class(images)[1]
        loss = float(-(shares[shares > 0] * shares[shares > 0].log()).sum())
        skewed = not balanced and score > 1.0 / images.num_classes
        return cls(score, name if skewed else "", loss, score_images)

    def remark(self, evaluations: Sequence[Evaluation], flip: bool = False, weighted: bool = False) -> str:
        """Return a warning if none of the trainings beats guessing, else an empty string; also if there are less than 3.

        Args:
            evaluations: Outcomes of trainings; failed ones do not count.
            flip: Whether training mirrors images.
            weighted: Whether the loss of training weighs classes: then that of guessing is not known.
        """
        fine = [each for each in evaluations if each.ok]
        if len(fine) < FIRST:
            return ""
        best = max(each.score for each in fine)
        losses = [each.metrics.get("valid_loss", math.nan) for each in fine]
        guessed = f"always answering {self.answer}" if self.answer else "guessing"
        number = f"all {len(fine)} trainings"
        if all(abs(each.score - self.score) < 0.5 / self.images for each in fine):
            text = f"{number} score {100 * best:.2f} %, as {guessed} does: nothing that they learned shows in the score."
        elif best <= self.score + 2.0 * standard_error(self.score, self.images) and not self._is_clear(best, losses, weighted):
            usual = f"{guessed}, {100 * self.score:.2f} %"
            text = f"{number} score at most {100 * best:.2f} %, no better than {usual}, within the noise."
        elif not weighted and all(abs(loss - self.loss) < _NEAR * self.loss for loss in losses):
            text = f"{number} have the loss of guessing, {self.loss:.2f}, so their scores are luck."
        else:
            return ""
        advice = ["more epochs", "a smaller batch_size"]
        if self.answer:
            advice.append("the objective balanced_accuracy, --train class_weights=true")
        if flip:
            advice.append("--train flip=false if a mirrored image is of another class")
        return f"{text[0].upper()}{text[1:]} Try {', '.join(advice[:-1])} or {advice[-1]}."

    def _is_clear(self, best: float, losses: Sequence[float], weighted: bool) -> bool:
        """Return whether trainings beat guessing though there are too few images for the score to show it."""
        return best >= 1.0 or (not weighted and min(losses) < _CLEAR * self.loss)


def no_better_than_guessing(evaluations: Sequence[Evaluation], objective: ScoreObjective, guess: float) -> str:
    """Return a warning if none of the trainings for sets of labels or numbers beats guessing, else an empty string.

    Args:
        evaluations: Outcomes of trainings; failed ones do not count. Of less than 3 nothing is said.
        objective: Their score.
        guess: The score of guessing.
    """
    scores = [each.score for each in evaluations if each.ok]
    if len(scores) < FIRST or max(scores) > guess + _CLOSE * max(abs(guess), 1.0 if objective.task == REGRESSION else 0.0):
        return ""
    measure = MEASURES.get(objective.name, MEASURES[objective.measure])
    what = measure.words.format("").strip()
    best, usual = (abs(value) if measure.lower_is_better else value for value in (max(scores), guess))
    shown = [f"{100 * value:.2f} %" if measure.percent else f"{value:.4g}" for value in (best, usual)]
    how = "always answering the middle" if objective.task == REGRESSION else "a random order"
    most = "at least" if measure.lower_is_better else "at most"
    return (
        f"All {len(scores)} trainings have {'an' if what.startswith('R2') else 'a'} {what} of {most} {shown[0]}, no better than "
        f"{how}, {shown[1]}. Try more epochs, a smaller batch_size or another learning_rate."
    )

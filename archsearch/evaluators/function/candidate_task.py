"""All that scoring one candidate by a function needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from archsearch.spaces import Architecture

if TYPE_CHECKING:
    from archsearch.evaluators.datasets import Splits


@dataclass(frozen=True)
class CandidateTask:
    """A candidate, and the function that scores it.

    Args:
        architecture: The candidate.
        key: Its canonical identity.
        function: Takes a model and a `TrainingContext`, and returns the score.
        name: Name of the function, for messages.
        seed: Seed of everything random for this candidate.
        device: Name of the device.
        threads: CPU threads.
        steps: Largest step that the function may report; None if it is not to be paused.
        score_name: Name of the figure that the function returns.
        lower_is_better: Whether the score is the negative of that figure.
        settings: Settings for the function.
        model: Makes the untrained model.
        costs: Returns the costs of the candidate by name.
        splits: Returns the images; None if there are none.
        started_over: Called with the steps that are done again, where a function goes on without a checkpoint.
    """

    architecture: Architecture
    key: str
    function: Callable[..., Any]
    name: str
    seed: int
    device: str
    threads: int
    steps: int | None
    score_name: str
    lower_is_better: bool
    settings: Mapping[str, Any]
    model: Callable[[], nn.Module]
    costs: Callable[[], Mapping[str, float]]
    splits: Callable[[], Splits] | None
    started_over: Callable[[int], None]

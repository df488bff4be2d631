"""The base class of evaluators, which score architectures."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from archsearch.declarations import AtLeast
from archsearch.errors import check_kind
from archsearch.evaluators.evaluation import Evaluation
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.latency_cost import LatencyConditions  # it loads torch


class Evaluator(FixedOptions, ABC):
    """Scores architectures of one space.

    An evaluator is a small picklable object: it is sent to the worker processes, and loads images, tables or weights there, when
    it is first used.

    Args:
        space: Space of the architectures that it scores.
        seed: Seed of everything random in an evaluation.

    Raises:
        ConfigurationError: `space` is not a search space.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import Evaluation, Evaluator
        >>> class FewParameters(Evaluator):
        ...     task = "smallness"
        ...
        ...     def settings(self):
        ...         return {"space": self.space.name}
        ...
        ...     def evaluate(self, architectures):
        ...         return [Evaluation(each, self.space.key(each), -self.costs(each)["params"]) for each in architectures]
        >>> space = spaces.get("nasbench201")
        >>> [evaluation] = FewParameters(space).evaluate([space.from_genotype([3, 0, 1, 0, 0, 1])])
        >>> evaluation.ok
        True
    """

    def __init__(self, space: SearchSpace, seed: Annotated[int, AtLeast(0)] = 0) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.seed = space, seed

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return all that scores depend on except the seed, as plain data; equal settings mean interchangeable evaluations."""

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each architecture, in order.

        A candidate that fails gives an evaluation with its error, never an exception for the batch.
        """

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the dataset or table of the scores, such as `digits`; for titles and experiment names."""

    @property
    def score_name(self) -> str:
        """Name of the score, such as `valid_accuracy`."""
        return "score"

    @property
    def score_is_fraction(self) -> bool:
        """Whether the score is an accuracy from 0 to 1, shown in percent."""
        return False

    @property
    def lower_is_better(self) -> bool:
        """Whether the score is the negative of a figure of which less is better, such as a loss; that figure is shown."""
        return False

    @property
    def chance(self) -> float:
        """The score of guessing."""
        return 0.0

    @property
    def score_images(self) -> float | None:
        """Number of images that a score p is the mean of, for its standard error sqrt(p (1 - p) / n); None if it is not known."""
        return None

    def facts(self) -> tuple[str, ...]:
        """Return what a user should read before a search, one sentence each: sizes of the parts, steps, augmentation."""
        return ()

    def cautions(self) -> tuple[str, ...]:
        """Return warnings about the data and settings, for the start of a search."""
        return ()

    def remark(self, evaluations: Sequence[Evaluation]) -> str:
        """Return a warning about the evaluations so far, such as that none beats guessing; an empty string if there is none."""
        return ""

    @property
    def is_lookup(self) -> bool:
        """Whether an evaluation takes microseconds, so that one worker is enough for any search."""
        return False

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        """Arguments of `space.cost` for the networks that are scored."""
        return {}

    @property
    def cost_names(self) -> tuple[str, ...]:
        """Names that `costs` may have; an architecture can lack some of them, but never `params` and `macs`."""
        return ("params", "macs")

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics of evaluations beside the score that objectives of a search may name."""
        return ()

    @property
    def latency_conditions(self) -> LatencyConditions | None:
        """How the latency of a candidate is found before its evaluation, as the cost `latency_ms`; None if it is not."""
        return None

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Return the costs of an architecture by name, known before it is evaluated.

        `params` are the learned numbers of its network and `macs` the multiply-accumulates of one input, counted by
        `space.cost` with `cost_arguments`. Evaluators that know other costs, such as the latency on a device, add them.

        Raises:
            ArchitectureError: The architecture is of another space.
        """
        cost = self.space.cost(architecture, **self.cost_arguments)
        return {"params": float(cost.params), "macs": float(cost.macs)}

    def fingerprint(self) -> str:
        """Return the identity of the settings, under which the ledger keeps evaluations: 16 hexadecimal digits."""
        content = json.dumps({"evaluator": type(self).__name__, **self.settings()}, sort_keys=True, default=str)
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def failed(self, architecture: Architecture, error: str, seconds: float = 0.0) -> Evaluation:
        """Return the evaluation of a candidate that could not be scored, with NaN as the score."""
        return Evaluation(architecture, self.space.key(architecture), float("nan"), {}, seconds, error)

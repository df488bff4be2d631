"""Search by gradients in a supernet whose operators are mixed (DARTS)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from archsearch.declarations import Between
from archsearch.searchers.supernet_search import SupernetSearch
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)


class DARTSSearch(SupernetSearch):
    """Evaluates the architecture whose operators gradients gave the largest weights, then others drawn from these weights.

    H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055. In a supernet all
    operators of a place are applied and summed, weighted by a softmax. Training steps of the shared weights and of the
    weights of the operators, on other images, alternate; see `DifferentiableSupernet` for the equations. In the paper one
    architecture is the result: `num_candidates=1`. With more candidates, the others are drawn from the softmax, and the more
    of these are known already, the more uniformly.

    Args:
        space: Space to search: `nasbench201`, `nasnet`, `cells`, `enas`, `anytime`, or an own one with places.
        seed: Seed of the training and of the candidates.
        order: 1 takes the weights as they are, 2 the weights after one more step, with a second derivative by finite differences:
            a step takes two to three times as long. None takes the preset's, 1 by default.
        alpha_learning_rate: Learning rate of Adam for the weights of the operators. The paper's, 3e-4, is for
            20,000 steps. None takes the preset's.
        **settings: As for `SupernetSearch`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.DARTSSearch(spaces.get("nasbench201"), seed=0, dataset="digits", order=2, initial=1)
        >>> searcher.suggest("t0")["batch"]  # a random candidate needs no pool
        0
    """

    method = "darts"

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        order: Annotated[int, Between(1, 2)] | None = None,
        alpha_learning_rate: Annotated[float, Between(0.0, 10.0)] | None = None,
        **settings: Any,
    ) -> None:
        self._chosen = {"order": order, "alpha_learning_rate": alpha_learning_rate}
        super().__init__(space, seed, **settings)
        self.order, self.alpha_learning_rate = self.supernet["order"], self.supernet["alpha_learning_rate"]

    def open(self, cpus: float | None = None) -> None:
        if not self.notes:
            supernet = self.new_supernet()
            self.notes = (supernet.memory().sentence(supernet.recipe.batch_size),)
            logger.info("darts: %s", *self.notes)
        super().open(cpus)

    def model_arguments(self) -> Mapping[str, Any]:
        return self._chosen

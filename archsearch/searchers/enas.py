"""Search by a controller that draws paths through a supernet (ENAS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from archsearch.declarations import AtLeast, Between
from archsearch.searchers.supernet_search import SupernetSearch
from archsearch.spaces import SearchSpace


class ENASSearch(SupernetSearch):
    """Evaluates paths that a controller draws through a supernet, best by the shared weights first.

    H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, arXiv 1802.03268. An LSTM draws one
    architecture after the other; the path through the supernet is trained on a batch of images, and REINFORCE changes the
    LSTM by the accuracy of paths on other images. At the end paths are drawn, scored with the shared weights on the
    validation images, and the best are evaluated (section 2.3: one of them is trained from scratch).

    Args:
        space: Space to search: `nasbench201`, `nasnet`, `cells`, `enas`, `anytime`, or an own one with places.
        seed: Seed of the training and of the candidates.
        policy_learning_rate: Learning rate of Adam for the controller; None takes the preset's.
        entropy_weight: Weight of the entropy of what is drawn, in units of accuracy per nat; 0 lets the controller settle early.
            None takes the preset's.
        **settings: As for `SupernetSearch`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space has no places.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.ENASSearch(spaces.get("enas"), seed=0, dataset="digits", initial=1)
        >>> searcher.suggest("t0")["batch"]  # a random candidate needs no pool
        0
    """

    method = "enas"

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        policy_learning_rate: Annotated[float, Between(0.0, 10.0)] | None = None,
        entropy_weight: Annotated[float, AtLeast(0)] | None = None,
        **settings: Any,
    ) -> None:
        self._chosen = {"policy_learning_rate": policy_learning_rate, "entropy_weight": entropy_weight}
        super().__init__(space, seed, **settings)
        self.policy_learning_rate = self.supernet["policy_learning_rate"]
        self.entropy_weight = self.supernet["entropy_weight"]

    def model_arguments(self) -> Mapping[str, Any]:
        return self._chosen

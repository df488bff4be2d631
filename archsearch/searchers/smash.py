"""Random search among candidates ranked by weights that a hypernetwork makes from a flat encoding (SMASH)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.searchers.ghn import GHNRandomSearch
from archsearch.spaces import SearchSpace


class SMASHRandomSearch(GHNRandomSearch):
    """Random search by the accuracy of weights that are generated from a flat encoding of the architecture.

    A. Brock, T. Lim, J. M. Ritchie, N. Weston, "SMASH: One-Shot Model Architecture Search through HyperNetworks", ICLR 2018,
    arXiv 1708.05344. The hypernetwork reads the genes of an architecture, not its graph. Its layers that make kernels, its
    training and the search around it are those of `GHNRandomSearch`, so that the two differ by what they read alone. (The
    networks of the paper, memory banks with a hypernetwork of convolutions, are not built here.)

    Args:
        space: Space to search; its architectures must have a fixed list of genes.
        seed: Seed of the candidates and of the training.
        model: Changes to the preset of the hypernetwork, see `archsearch.evaluators.ghn.settings`; `encoder` is `flat`.
        **options: As for `GHNRandomSearch`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space is made of modules.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.SMASHRandomSearch(spaces.get("nasbench201"), seed=0, dataset="digits")
        >>> searcher.suggest("t0")["batch"]  # the random candidates need no pool
        0
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, model: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(space, seed, model={"encoder": "flat", **(model or {})}, **options)

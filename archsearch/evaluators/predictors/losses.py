"""Losses of predictors: regression, and the ranking of pairs and of lists.

X. Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
arXiv 2004.01899, section 3.3; ListMLE: F. Xia et al., "Listwise Approach to Learning to Rank", ICML 2008. Each function returns
one number for each member, `[members]`. `gaps` and `weights` are those of `pairs`: the score of the better architecture of a pair
minus that of the worse one, and the weight of the pair.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

PAIRWISE = ("hinge", "bce", "comparator")
NAMES = (*PAIRWISE, "listmle", "mse")


def mse(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over architectures of `(sigmoid(s) - y)^2`, `[members]`.

    Args:
        scores: `[members, batch]` s.
        targets: `[members, batch]` y, from 0 to 1.
    """
    return (scores.sigmoid() - targets).square().mean(1)


def hinge(gaps: Tensor, weights: Tensor, margin: float) -> Tensor:
    """Return the hinge loss of GATES, the mean over pairs with `y_j > y_i` of `max(0, margin - (s_j - s_i))`."""
    return (weights * (margin - gaps).clamp(min=0.0)).flatten(1).sum(1)


def binary(gaps: Tensor, weights: Tensor) -> Tensor:
    """Return the binary cross-entropy: the mean over pairs with `y_j > y_i` of `-log sigmoid(s_j - s_i)`, as in RankNet."""
    return (weights * F.softplus(-gaps)).flatten(1).sum(1)


def list_mle(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the ListMLE loss: the negative log-likelihood of the true order under the Plackett-Luce model, per architecture.

        L = 1/n * sum over i of (log(sum over k >= i of exp(s_k)) - s_i)

    with the n architectures in the true order, the best first. Of equal targets the first given counts as the better one.

    Args:
        scores: `[members, batch]`, one list a member.
        targets: `[members, batch]`.
    """
    ordered = scores.gather(1, targets.argsort(dim=1, descending=True, stable=True))
    return (ordered.flip(1).logcumsumexp(1).flip(1) - ordered).mean(1)

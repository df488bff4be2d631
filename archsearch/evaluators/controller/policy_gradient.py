"""Objectives of policy gradients, for sequences of decisions and their advantages."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST_LOG_RATIO = 5.0  # of new to old probability: beyond it the ratio would overflow, and it is clipped anyway


def reinforce(log_probabilities: Tensor, advantages: Tensor) -> Tensor:
    """Return the objective of REINFORCE, to be maximised: the mean of advantage * log-probability.

    R. Williams, "Simple Statistical Gradient-Following Algorithms", Machine Learning 8, 1992.

    Args:
        log_probabilities: `[batch]` of whole sequences.
        advantages: `[batch]`, reward minus baseline.
    """
    return (advantages * log_probabilities).mean()


def proximal(log_probabilities: Tensor, before: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return the clipped objective of proximal policy optimisation, to be maximised.

    J. Schulman et al., arXiv 1707.06347, equation 7: the mean of min(r A, clip(r, 1 - clip, 1 + clip) A), with the advantage A
    and the ratio r of the probabilities now and before the update.

    Args:
        log_probabilities: `[batch]` of whole sequences.
        before: The same before the update.
        advantages: `[batch]`, reward minus baseline.
        clip: Half the range of the ratio.
    """
    ratio = (log_probabilities - before).clamp(-_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages).mean()

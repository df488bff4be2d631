"""Zen-score: how much a small change of Gaussian images changes the features."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.proxies.call_recorder import MEANS, NORMALISATIONS, CallRecorder
from archsearch.evaluators.proxies.subject import Subject

_STEP = 0.01  # alpha


def zen(subject: Subject) -> float:
    """Return `log E ||f(x) - f(x + alpha e)||_F + sum_l log sqrt(mean variance of layer l)`, with Gaussian x and e, alpha = .01.

    f is the network up to its global pooling, and the sum is over batch normalisations, whose scale it puts back. M. Lin et al.,
    "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition", ICCV 2021, arXiv 2102.01063, algorithm 1, equation 4. The
    difference is averaged over the elements, as in the authors' program.
    """
    images, change = (torch.randn(subject.images.shape, generator=subject.generator).to(subject.images) for _ in range(2))
    was_training = subject.network.training
    state = {name: tensor.clone() for name, tensor in subject.network.state_dict().items()}
    try:
        subject.network.train()
        with torch.no_grad(), CallRecorder(NORMALISATIONS) as recorded:
            before = _features(subject, images)
        with torch.no_grad():
            after = _features(subject, images + _STEP * change)
    finally:
        subject.network.train(was_training)
        subject.network.load_state_dict(state)  # the running statistics
    scales = [call.given.double().transpose(0, 1).flatten(1).var(dim=1, unbiased=False) for call in recorded.calls]
    difference = (before - after).abs().mean().double()
    return float(torch.log(difference) + sum(0.5 * torch.log(each.mean()) for each in scales))


def _features(subject: Subject, images: Tensor) -> Tensor:
    """Return what the last global pooling reads; the logits, if the network has none."""
    with CallRecorder(MEANS) as recorded:
        logits = subject.logits(images)
    maps = [
        call.given for call in recorded.calls if call.given.dim() == 4 and call.output.numel() == call.given[..., 0, 0].numel()
    ]
    return maps[-1] if maps else logits

"""Fisher: the change of the loss where channels of activations are removed."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.proxies.call_recorder import RECTIFIERS, CallRecorder
from archsearch.evaluators.proxies.subject import Subject


def fisher(subject: Subject) -> float:
    """Return the sum over channels c of all rectified activations z of `1 / (2 N) sum_n (sum_hw dL/dz_nchw * z_nchw)^2`.

    L. Theis, I. Korshunova, A. Tejani, F. Huszar, "Faster gaze prediction with dense networks and Fisher pruning", 2018,
    arXiv 1801.05787; J. Turner et al., "BlockSwap", ICLR 2020, arXiv 1906.04113. The gradient is that of the mean loss times N,
    the number of images, so that the score does not depend on the batch's size.
    """
    with CallRecorder(RECTIFIERS) as recorded:
        loss = subject.loss()
    total, images = 0.0, len(subject.images)
    used = [call.output for call in recorded.calls if call.output.requires_grad]
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(loss, used, allow_unused=True) if used else ()
    for activation, gradient in zip(used, gradients, strict=True):
        if gradient is not None:
            product = (activation.detach() * gradient * images).reshape(images, activation.shape[1], -1).sum(dim=2)
            total += float(product.square().sum()) / (2 * images)
    return total

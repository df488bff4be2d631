"""SynFlow: the flow of ones through the absolute weights."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject


def synflow(subject: Subject) -> float:
    """Return `log(1 + sum_w dR/dw * w)`, where R is the sum of the logits for one image of ones, with `|w|` in place of w.

    H. Tanaka, D. Kunin, D. Yamins, S. Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic
    flow", NeurIPS 2020, arXiv 2006.05467; summed over the network by M. Abdelfattah et al., ICLR 2021, arXiv 2101.08134.
    Normalisations use their initial statistics, mean 0 and variance 1, so that they do not act. It is computed in double
    precision, and its logarithm is returned, because R grows with the product of the widths.
    """
    network, training = subject.network, subject.network.training
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        network.double().eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        ones = torch.ones_like(subject.images[:1], dtype=torch.float64)
        gradients = subject.gradients(subject.logits(ones).sum())
        total = sum(
            float((weight.detach() * gradient).sum()) for weight, gradient in zip(subject.weights(), gradients, strict=True)
        )
    finally:
        network.to(subject.images.dtype).train(training)
        network.load_state_dict(state)
    return float(torch.log1p(torch.tensor(total, dtype=torch.float64)))

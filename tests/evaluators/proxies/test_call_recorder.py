"""Recording of calls: modules and functions, in order, once each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from archsearch.evaluators.proxies.call_recorder import MEANS, NORMALISATIONS, RECTIFIERS, CallRecorder


def test_modules_and_functions_are_recorded_once() -> None:
    x = torch.tensor([-1.0, 2.0])
    with CallRecorder(RECTIFIERS) as recorded:
        nn.ReLU()(x), F.relu(x + 1), torch.relu(x + 2), (x + 3).relu(), nn.ReLU(inplace=True)(x + 4), torch.sigmoid(x)
    assert [call.output.tolist() for call in recorded.calls] == [[0.0, 2.0], [0.0, 3.0], [1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]


def test_normalisations_and_means_are_recorded() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with CallRecorder(NORMALISATIONS | MEANS) as recorded:
        nn.AdaptiveAvgPool2d(1)(nn.BatchNorm2d(3)(x)), x.mean(dim=(2, 3))
    assert [tuple(call.output.shape) for call in recorded.calls] == [(2, 3, 4, 4), (2, 3, 1, 1), (2, 3)]
    assert all(call.given.shape == x.shape for call in recorded.calls)


def test_nothing_is_recorded_outside() -> None:
    with CallRecorder(RECTIFIERS) as recorded:
        pass
    torch.relu(torch.zeros(1))
    assert recorded.calls == []

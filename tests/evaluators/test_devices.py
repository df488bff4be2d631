from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.devices import device_named


def test_names() -> None:
    assert device_named("cpu") == torch.device("cpu")
    assert device_named("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_named("cuda:1") == torch.device("cuda", 1)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigurationError, match="device: expected auto, cpu, cuda or cuda:N; got 'gpu'"):
        device_named("gpu")

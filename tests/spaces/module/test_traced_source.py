"""Networks as Python files: the file computes what the network computes, with its weights; what cannot be written is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module.traced_source import traced_source


def imported(network: nn.Module, folder: Path) -> ModuleType:
    (folder / "model.py").write_text(traced_source(network, "A network.", "ANSWER = 42"))
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, folder / "weights.safetensors")
    spec = importlib.util.spec_from_file_location("traced_model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


class Loose(nn.Module):
    """A network with a parameter, a buffer, infinity and a layer that is used twice."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.scale = nn.Parameter(torch.rand(4))
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.inner(self.inner(values)) * self.scale + self.shift
        return torch.clamp(found, -1.0, float("inf"))


def test_parameters_buffers_and_repeated_layers(tmp_path: Path) -> None:
    network = Loose().eval()
    file = imported(network, tmp_path)
    given = torch.randn(8, 4)
    torch.testing.assert_close(file.load()(given), network(given))
    fresh = file.Network()
    assert {name for name, _ in fresh.named_parameters()} == {name for name, _ in network.named_parameters()}
    assert isinstance(fresh.scale, nn.Parameter) and fresh.train().inner.get_submodule("2").training and file.ANSWER == 42
    assert network.inner[2].training is False, "the network keeps its mode"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18", "vgg11_bn", "squeezenet1_1"])
def test_variations_of_known_networks(name: str, tmp_path: Path) -> None:
    given = torch.randn(2, 3, 64, 64)
    model = getattr(torchvision.models, name)(num_classes=10)
    space = ModuleSpace.around(model, given[:1], name="around")
    chosen = space.sample(np.random.default_rng(0))
    network: Any = space.build(chosen, 10, 3).module.eval()
    file = imported(network, tmp_path)
    torch.testing.assert_close(file.load(tmp_path / "weights.safetensors")(given), network(given), rtol=1e-4, atol=1e-5)
    assert "Mapping" not in (tmp_path / "model.py").read_text()


class Dropping(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return F.dropout(values, 0.5, self.training)


class Branching(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values if float(values.sum()) > 0 else -values


class Foreign(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torchvision.ops.stochastic_depth(values, 0.5, "row", True)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Dropping(), "tells training and evaluation apart"),
        (Branching(), "cannot be written as source"),
        (Foreign(), "which are not torch's"),
        (nn.Sequential(nn.TransformerEncoderLayer(8, 2)), "the layer 0 of the type TransformerEncoderLayer"),
    ],
)
def test_what_cannot_be_written(network: nn.Module, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"model: .*{said}.*Use model\.pt2"):
        traced_source(network, "A network.")

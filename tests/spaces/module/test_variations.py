from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from archsearch.errors import ConfigurationError
from archsearch.spaces import ModuleSpace


class Residual(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(width, hidden, 1), nn.BatchNorm2d(hidden)
        self.second = nn.Conv2d(hidden, width, 3, padding=1, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.norm(self.first(x))))


def network() -> nn.Module:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    blocks = nn.Sequential(Residual(16, 24), Residual(16, 24), Residual(16, 32))
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), blocks, nn.Conv2d(16, 16, 3, groups=4), head).eval()


IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_given_network_is_in_the_space_with_its_weights() -> None:
    model = network()
    space = ModuleSpace.around(model, IMAGES, name="small")
    params = {name: 1.0 if name.startswith("width") else 3 for name in space.choices}
    assert set(params) == {
        "depth_1_0",
        *("width_1_0_first", "width_1_1_first", "width_1_2_first"),
        *("kernel_0", "kernel_1_0_second", "kernel_1_1_second", "kernel_1_2_second"),
    }
    assert torch.equal(space.module(space.from_params(params)).eval()(IMAGES), model(IMAGES))
    assert any("a convolution in 4 groups" in reason for reason in space.fixed)  # and so the width of what it reads


def test_narrower_networks_keep_the_first_channels_and_wider_kernels_compute_the_same() -> None:
    model = network()
    space = ModuleSpace.around(model, IMAGES, part="1", name="small")
    base = {name: 1.0 if name.startswith("width") else 3 for name in space.choices}
    narrow = space.module(space.from_params({**base, "width_1_1_first": 0.5}))
    assert narrow[1][1].second.weight.shape == (16, 16, 3, 3)  # half of 24, as a multiple of eight
    assert torch.equal(narrow[1][1].second.weight, model[1][1].second.weight[:, :16])
    wide = space.module(space.from_params({**base, "kernel_1_0_second": 7})).eval()
    torch.testing.assert_close(wide(IMAGES), model(IMAGES))
    short = space.from_params({**base, "depth_1_0": 1})
    assert "kernel_1_2_second" not in space.active(short)
    assert isinstance(space.module(short)[1][2], nn.Identity)


def test_each_network_around_a_residual_network_runs() -> None:
    space = ModuleSpace.around(resnet18(), torch.zeros(1, 3, 32, 32), part="layer1", kernels=())
    assert space.name == "ResNet"
    assert set(space.choices) == {"depth_layer1_0", "width_layer1_0_conv1", "width_layer1_1_conv1"}
    assert any("reach outside layer1" in reason for reason in space.fixed)
    rng = np.random.default_rng(0)
    for _ in range(3):
        assert space.module(space.sample(rng)).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


class WithHead(nn.Module):
    """It has an auxiliary head, as GoogLeNet: in training it gives what that says too."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.auxiliary, self.aux_logits = network(), nn.Conv2d(3, 5, 3, padding=1), True

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return (self.trunk(x), self.auxiliary(x)) if self.training and self.aux_logits else self.trunk(x)


def test_auxiliary_heads_are_refused_and_what_does_not_run_has_no_choices() -> None:
    model = WithHead()
    with pytest.raises(ConfigurationError, match=r"2 tensors in training and 1 in evaluation.*auxiliary heads.*aux_logits=False"):
        ModuleSpace.around(model, IMAGES)
    model.aux_logits = False
    space = ModuleSpace.around(model, IMAGES)
    assert "kernel_trunk_0" in space.choices
    assert "kernel_auxiliary" not in space.choices


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (3, {}, "model: expected a torch.nn.Module; got 3"),
        (nn.Linear(8, 2), {}, "there are none"),
        (network(), {"part": "9"}, "part: expected the path of a submodule of the model, such as one of 0, 1, 2, 3; got '9'"),
        (network(), {"kernels": (2,)}, "kernels: expected a list of odd whole numbers"),
        (network(), {"widths": (0.0,)}, "widths: expected a list of positive factors"),
        (nn.Sequential(nn.Conv2d(4, 2, 3)), {}, "one that can be traced on the example inputs"),
    ],
)
def test_wrong_arguments_are_refused(model, options, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ModuleSpace.around(model, IMAGES, **options)

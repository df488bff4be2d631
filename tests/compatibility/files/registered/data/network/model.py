"""An image classifier with 10 classes: a network of the search space nasbench201.

|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|

Images `[batch, 1, 8, 8]` to logits `[batch, 10]`.
`load()` returns the network with the weights beside this file. README.md tells how images are normalised.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn


def chain(**modules: nn.Module) -> nn.Sequential:
    """Return modules that are applied one after the other."""
    return nn.Sequential(OrderedDict(modules))


def conv(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size of the image at stride 1."""
    padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)


def relu_conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Module:
    """Return ReLU, convolution, batch normalisation."""
    return chain(
        relu=nn.ReLU(),
        conv=conv(in_channels, out_channels, (kernel, kernel), stride=stride),
        bn=nn.BatchNorm2d(out_channels),
    )


def pool_conv(in_channels: int, out_channels: int) -> nn.Module:
    """Return average pooling, convolution."""
    return chain(
        pool=nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        conv=conv(in_channels, out_channels, (1, 1)),
    )


class StageBlock(nn.Module):
    """stage0, stage1 and stage2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cell0_edge01 = relu_conv_bn(channels, channels, 3, 1)
        self.cell0_edge23 = relu_conv_bn(channels, channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        cell0_edge01 = self.cell0_edge01(x)
        cell0_edge12 = cell0_edge01
        cell0_edge03 = x
        cell0_edge23 = self.cell0_edge23(cell0_edge12)
        cell0_node3 = cell0_edge03 + cell0_edge23
        return cell0_node3


class ReductionBlock(nn.Module):
    """reduction1 and reduction2."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(in_channels, channels, 3, 2)
        self.conv_b = relu_conv_bn(channels, channels, 3, 1)
        self.shortcut = pool_conv(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        conv_a = self.conv_a(x)
        conv_b = self.conv_b(conv_a)
        shortcut = self.shortcut(x)
        sum = shortcut + conv_b
        return sum


class Network(nn.Module):
    """Images to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = chain(conv=conv(1, 2, (3, 3)), bn=nn.BatchNorm2d(2))
        self.stage0 = StageBlock(2)
        self.reduction1 = ReductionBlock(2, 4)
        self.stage1 = StageBlock(4)
        self.reduction2 = ReductionBlock(4, 8)
        self.stage2 = StageBlock(8)
        self.last = chain(bn=nn.BatchNorm2d(8), relu=nn.ReLU())
        self.classifier = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        stage0 = self.stage0(stem)
        reduction1 = self.reduction1(stage0)
        stage1 = self.stage1(reduction1)
        reduction2 = self.reduction2(stage1)
        stage2 = self.stage2(reduction2)
        last = self.last(stage2)
        pool = last.mean((2, 3))
        classifier = self.classifier(pool)
        return classifier


def load(path: str | Path = Path(__file__).with_name("weights.safetensors")) -> Network:
    """Return the network with the weights of a safetensors file, ready for inference."""
    content = Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    data, types = bytearray(content[8 + size :]), {"F32": torch.float32, "I64": torch.int64}
    weights = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        kind = types[entry["dtype"]]
        weights[name] = torch.frombuffer(data[first:last], dtype=kind).reshape(entry["shape"])
    network = Network()
    network.load_state_dict(weights, strict=True)
    return network.eval()

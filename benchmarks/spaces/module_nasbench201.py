"""NAS-Bench-201 as a module space: the network of the benchmark in plain PyTorch, with a choice on each edge of its cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

EDGES = [(source, target) for target in (1, 2, 3) for source in range(target)]


def relu_conv_bn(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out))


class Cell(nn.Module):
    def __init__(self, choose: Choose, width: int) -> None:
        super().__init__()
        operators = {
            "none": None,
            "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: relu_conv_bn(width, width, 1),
            "nor_conv_3x3": lambda: relu_conv_bn(width, width, 3),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        }
        layers = {edge: choose.layer("edge_{}_{}".format(*edge), operators, shared=True) for edge in EDGES}
        self.edges = nn.ModuleDict({f"{a}{b}": layer for (a, b), layer in layers.items() if layer is not None})

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x]
        for target in (1, 2, 3):
            read = [(self.edges[f"{a}{target}"], nodes[a]) for a in range(target) if f"{a}{target}" in self.edges]
            terms = [layer(value) for layer, value in read if value is not None]
            nodes.append(sum(terms[1:], terms[0]) if terms else None)
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]


class Reduction(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(relu_conv_bn(width, 2 * width, 3, 2), relu_conv_bn(2 * width, 2 * width, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(width, 2 * width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.convs(x)


def module201(choose: Choose, num_classes: int = 10, in_channels: int = 3, channels: int = 16, cells: int = 5) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)]
    for stage in range(3):
        layers += [Reduction(channels << stage - 1)] if stage else []
        layers += [Cell(choose, channels << stage) for _ in range(cells)]
    head = [nn.BatchNorm2d(4 * channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * channels, num_classes)]
    return nn.Sequential(*layers, *head)


space = ModuleSpace(module201, torch.zeros(1, 3, 32, 32))

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.module import Choose

IMAGES = torch.zeros(1, 3, 16, 16)


def convolutional(choose: Choose, num_classes: int = 10, in_channels: int = 3, channels: int = 4) -> nn.Module:
    """A chain of one to three layers, each with an operator, some with a kernel."""
    width = channels * choose.one("width", [1, 2])

    def block(_: int) -> nn.Module:
        return choose.layer(
            "op",
            {
                "conv": lambda: nn.Sequential(
                    nn.Conv2d(width, width, choose.one("kernel", [3, 5]), padding="same"), nn.BatchNorm2d(width), nn.ReLU()
                ),
                "pool": lambda: nn.AvgPool2d(3, 1, 1),
                "skip": nn.Identity,
            },
        )

    blocks = choose.repeat("depth", 1, 3, block)
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
    )


class Branches(nn.Module):
    """A sum or a concatenation of branches over one image."""

    def __init__(self, choose: Choose, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.join = choose.one("join", ["sum", "cat"])
        sizes = choose.subset("branches", [1, 3, 5], least=1, most=2)
        self.branches = nn.ModuleList(nn.Conv2d(in_channels, 8, size, padding=size // 2) for size in sizes)
        joined = 8 * (len(sizes) if self.join == "cat" else 1)
        if len(sizes) > 1 and self.join == "cat":  # a condition that only shows in runs of it
            self.squeeze: nn.Module = nn.Conv2d(joined, joined, 1, groups=choose.one("groups", [1, 2, 4]))
        else:
            self.squeeze = nn.Identity()
        self.act = choose.one("act", {"relu": nn.ReLU, "gelu": nn.GELU})()
        self.head = nn.Linear(joined, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        found = [branch(images) for branch in self.branches]
        joined = sum(found) if self.join == "sum" else torch.cat(found, dim=1)
        return self.head(self.act(self.squeeze(joined)).mean((2, 3)))


def branched(choose: Choose, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    return Branches(choose, num_classes, in_channels)


class Doubled(nn.Module):
    """Doubles its output for images with a mean above zero: what it does depends on values, which cannot be traced."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        found = self.layers(images)
        return 2 * found if bool(images.mean() > 0) else found


def by_value(choose: Choose, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    width = choose.one("width", [4, 6, 8])
    blocks = choose.repeat(
        "depth", 0, 2, lambda _: nn.Sequential(nn.Conv2d(width, width, choose.one("kernel", [1, 3]), padding="same"), nn.ReLU())
    )
    return Doubled(
        nn.Sequential(
            nn.Conv2d(in_channels, width, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
        )
    )


@cache
def space_of(build: Callable[..., nn.Module]) -> ModuleSpace:
    """Return the space of a function, made once: its choices are found by running the function many times."""
    return ModuleSpace(build, IMAGES)


class TestConvolutional(SpaceConformance):
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(convolutional)


class TestBranched(SpaceConformance):
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(branched)


class TestUntraceable(SpaceConformance):
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(by_value)

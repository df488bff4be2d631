from __future__ import annotations

import importlib
import pickle
import threading
from collections.abc import Callable
from functools import cache
from typing import ClassVar

import cloudpickle
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces import ModuleSpace
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.module import Choose
from archsearch.spaces.nasbench201 import NASBench201

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
    num_samples: ClassVar[int] = 16
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(convolutional)


class TestBranched(SpaceConformance):
    num_samples: ClassVar[int] = 16
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(branched)


class TestUntraceable(SpaceConformance):
    num_samples: ClassVar[int] = 16
    num_networks: ClassVar[int] = 2

    def make_space(self) -> ModuleSpace:
        return space_of(by_value)


# What the conformance suites do not cover


def identities(choose: Choose) -> nn.Module:
    parts = {"skip": nn.Identity, "linear": lambda: nn.Linear(4, 4)}
    return nn.Sequential(choose.layer("first", parts), choose.layer("second", parts), nn.Dropout(choose.one("rate", [0.0, 0.1])))


def test_architectures_that_compute_the_same_share_a_key() -> None:
    space = ModuleSpace(identities, torch.zeros(2, 4))
    keys = {str(each): space.key(each) for each in map(space.from_genotype, space.all_genotypes())}
    assert keys["first=skip second=linear rate=0.1"] == keys["first=linear second=skip rate=0.1"]
    assert len(set(keys.values())) == 6


class Settings(nn.Module):
    """A network with a setting that only a training function reads."""

    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self.rate = choose.one("learning_rate", [0.1, 0.01])
        self.layer = nn.Linear(4, choose.one("width", [1, 2]))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_a_choice_that_the_network_does_not_show_is_a_part_of_the_key(caplog: pytest.LogCaptureFixture) -> None:
    space = ModuleSpace(Settings, torch.zeros(2, 4), name="settings")
    keys = {space.key(space.from_genotype(genotype)) for genotype in space.all_genotypes()}
    assert len(keys) == 4
    assert [record.message for record in caplog.records] == [
        "settings: the traced module shows nothing of learning_rate: these choices count as settings of the training, and are "
        "a part of the key."
    ]


def test_a_space_that_cannot_be_traced_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    space = ModuleSpace(by_value, IMAGES)
    population = [space.parse("width=4 depth=0"), space.parse("width=6 depth=0")]
    assert len({space.key(each) for each in population}) == 2
    space.encode(population)
    copy = pickle.loads(pickle.dumps(space))
    copy.key(population[0])
    assert len([record for record in caplog.records if "cannot be traced" in record.message]) == 1


def test_costs_are_those_of_the_projects_own_counter() -> None:
    """The same networks, written as a module and as the native space has them."""
    module_space, native = importlib.import_module("benchmarks.spaces.module_nasbench201").space, NASBench201()
    for genes in ((3, 3, 3, 3, 3, 3), (1, 2, 3, 4, 1, 2), (2, 3, 1, 1, 4, 3)):
        ours = module_space.cost(module_space.from_genotype(genes), (3, 16, 16), 7, channels=8, cells=1)
        assert ours == native.cost(native.from_genotype(genes), (3, 16, 16), 7, channels=8, cells_per_stage=1)


def test_initial_weights_depend_on_the_generator_alone() -> None:
    space = space_of(convolutional)
    architecture = space.parse("width=1 depth=1 depth.0.op=skip")
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = space.module(architecture, torch.Generator().manual_seed(1), num_classes=3).state_dict()
    again = space.module(architecture, torch.Generator().manual_seed(1), num_classes=3).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(torch.rand(2), expected), "the global generator is left alone"


def too_small(choose: Choose) -> nn.Module:
    return nn.Conv2d(3, 4, choose.one("kernel", [3, 32]))


def no_default(choose: Choose, width: int) -> nn.Module:
    return nn.Linear(width, choose.one("out", [1, 2]))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ModuleSpace(nn.Linear(1, 1), IMAGES), ConfigurationError, "build: expected a function of `choose`"),
        (lambda: ModuleSpace(convolutional, 3), ConfigurationError, "example_inputs: expected a tensor, a tuple"),
        (
            lambda: ModuleSpace(lambda choose: nn.Linear(1, choose.one("a", [1, 2])), IMAGES),
            ConfigurationError,
            "name: expected a name",
        ),
        (lambda: ModuleSpace(convolutional, IMAGES, "a b"), ConfigurationError, "name: expected letters, digits"),
        (lambda: ModuleSpace(no_default, IMAGES), ConfigurationError, "a whole number as the default .* 'width' has none"),
        (lambda: ModuleSpace(lambda choose: 3, IMAGES, "three"), ConfigurationError, "returns a torch.nn.Module; got 3"),
        (
            lambda: ModuleSpace(too_small, IMAGES).key(ModuleSpace(too_small, IMAGES).parse("kernel=3")),
            ArchitectureError,
            "the module of 'kernel=32' cannot run on them .*Kernel size",
        ),
        (
            lambda: space_of(convolutional).build(space_of(convolutional).sample(np.random.default_rng(0)), width=3),
            ConfigurationError,
            "no setting 'width'",
        ),
    ],
)
def test_bad_input_is_refused_and_named(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_function_that_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()

    def build(choose: Choose) -> nn.Module:
        with lock:
            return nn.Linear(4, choose.one("width", [1, 2]))

    space = ModuleSpace(build, torch.zeros(1, 4), name="locked")
    with pytest.raises(ConfigurationError, match="build: .*cannot be sent to other processes: lock cannot be pickled"):
        cloudpickle.dumps(space)


def test_a_function_of_a_notebook_reaches_other_processes() -> None:
    width = 3
    space = ModuleSpace(lambda choose: nn.Linear(width, choose.one("out", [1, 2])), torch.zeros(1, 3), name="notebook")
    copy = cloudpickle.loads(cloudpickle.dumps(space))
    assert copy.key(copy.parse("out=2")) == space.key(space.parse("out=2"))

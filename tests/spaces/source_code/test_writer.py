"""Networks as source: in a fresh interpreter without archsearch they compute what their modules compute."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from archsearch import spaces
from archsearch.spaces.exits import averaged_exits
from archsearch.spaces.network import Network
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    Convolution,
    GlobalAveragePool,
    Identity,
    Linear,
    MaxPool,
    Operator,
    RegionPool,
    ReLU,
    Sum,
    Truncate,
    Zero,
    conv_bn,
    separable_conv_bn,
)
from archsearch.spaces.plan import Plan, PlanBuilder
from archsearch.spaces.source_code.writer import SourceCode, source_code

# One process for all files, because importing torch takes seconds.
_RUN = """
import importlib.util, pathlib, sys
sys.modules["archsearch"] = None
import torch
torch.set_num_threads(1)
for folder in map(pathlib.Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location(folder.name, folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = torch.load(folder / "images.pt", weights_only=True)
    network, answers = module.load(), []
    for training in (False, True, False):
        with torch.no_grad():
            logits = network.train(training)(images)
        answers.append(list(logits) if isinstance(logits, tuple) else [logits])
    torch.save(answers, folder / "answers.pt")
"""


def write(folder: Path, network: Network, code: SourceCode, images: Tensor) -> None:
    folder.mkdir()
    (folder / "model.py").write_text(code.text)
    save_file(code.state(network.plan.operators, network), folder / "weights.safetensors")
    torch.save(images, folder / "images.pt")


def run(*folders: Path) -> None:
    subprocess.run([sys.executable, "-I", "-c", _RUN, *map(str, folders)], check=True, timeout=120)


def disturbed(network: Network) -> Network:
    """Return the network with weights and statistics that no freshly built network has."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
    return network


def check(folder: Path, network: Network, images: Tensor) -> None:
    """Assert that the file gives the logits of the module: in evaluation, in training, and in evaluation after training."""
    for training, found in zip((False, True, False), torch.load(folder / "answers.pt", weights_only=True), strict=True):
        with torch.no_grad():
            expected = network.train(training)(images)
        expected = expected if isinstance(expected, list) else [expected]
        for left, right in zip(found, expected, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


def odd_names(build: PlanBuilder) -> int:
    x = build.add("import", Convolution(3, 4, (3, 3)), build.input)
    x = build.add("2-conv", conv_bn(4, 4, 3), x)
    x = build.add("class", ReLU(), x)
    x = build.add("2_conv", conv_bn(4, 4, 1), x)
    x = build.add("images", GlobalAveragePool(), x)
    return build.add("self", Linear(4, 5), x)


def shared_and_odd(build: PlanBuilder) -> int:
    shared = Chain((("conv", Convolution(3, 4, (1, 7), dilation=2)), ("bn", BatchNorm(4, affine=False)), ("cut", Truncate(3))))
    x = build.add("shared", shared, build.input)
    y = build.add("shared", shared, x)
    z = build.add("zero", Zero(), y)
    x = build.add("alone", Concatenate(), build.add("same", Identity(), x))
    x = build.add("sum", Sum(), x, y, z)
    x = build.add("both", Concatenate(), x, y)
    x = build.add("mean", Chain((("relu", ReLU()), ("none", Identity()), ("pool", GlobalAveragePool()))), x)
    return build.add("classifier", Linear(6, 5), x)


def two_blocks_with_two_outputs(build: PlanBuilder) -> int:
    x, y = build.input, build.input
    for number in range(3):
        first = build.add(f"part{number}_a", Convolution(3, 3, (3, 3)), x)
        second = build.add(f"part{number}_b", Convolution(3, 3, (1, 1)), y)
        x, y = build.add(f"part{number}_c", Sum(), first, second), second
    x = build.add("mean", GlobalAveragePool(), build.add("join", Concatenate(), x, y))
    return build.add("classifier", Linear(6, 5), x)


def means_of_regions(build: PlanBuilder) -> int:
    x = build.add("chained", Chain((("relu", ReLU()), ("pool", RegionPool(3)))), build.input)
    y = build.add("alone", RegionPool(2), build.input)
    return build.add("classifier", Linear(3 * (9 + 4), 5), build.add("join", Concatenate(), x, y))


HAND_MADE: Mapping[str, Callable[[PlanBuilder], int]] = {
    "odd names": odd_names,
    "shared and odd": shared_and_odd,
    "blocks with two outputs": two_blocks_with_two_outputs,
    "means of regions": means_of_regions,
}
SMALL = {"channels": 8, "cells": 6, "blocks": 4, "cells_per_stack": 2, "cells_per_stage": 2}
SEEDS = range(3)


def network_of(name: str, seed: int) -> Network:
    """Return the small network of an architecture of a space, or one of the hand-made networks."""
    if name in HAND_MADE:
        build = PlanBuilder(3)
        return Network(build.finish(HAND_MADE[name](build)))
    space = spaces.get(name)
    scale = {key: value for key, value in SMALL.items() if key in space.scale_defaults}
    return space.build(space.sample(np.random.default_rng(seed)), 7, 3, **scale)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], tuple[Path, Network, Tensor]]:
    """Folder, network and images of each case; one fresh process has run the files of all of them."""
    parent, cases = tmp_path_factory.mktemp("source"), {}
    for name, seed in itertools.product([*spaces.names(), *HAND_MADE], SEEDS):
        if name in HAND_MADE and seed:
            continue
        network = disturbed(network_of(name, seed))
        images = torch.randn((3, 3, 16 + seed, 18), generator=torch.Generator().manual_seed(seed))
        folder = parent / f"{name}{seed}"
        write(folder, network, source_code(network.plan), images)
        cases[name, seed] = (folder, network, images)
    run(*(folder for folder, _, _ in cases.values()))
    return cases


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", spaces.names())
def test_networks_of_all_spaces_run_without_the_package(
    name: str, seed: int, answered: Mapping[tuple[str, int], tuple[Path, Network, Tensor]]
) -> None:
    check(*answered[name, seed])


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_networks_run_without_the_package(
    name: str, answered: Mapping[tuple[str, int], tuple[Path, Network, Tensor]]
) -> None:
    check(*answered[name, 0])


@pytest.mark.parametrize("name", spaces.names())
def test_source_is_short_and_plain(name: str) -> None:
    space = spaces.get(name)
    plan = space.plan(space.sample(np.random.default_rng(0)), 10, 3)
    code = source_code(plan, 'A title with """ and \\n in it.\n\nMore.')
    assert "archsearch" not in code.text
    tree = ast.parse(code.text)
    assert {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} >= {"Network"}
    assert max(map(len, code.text.splitlines())) <= 120
    assert code.text == source_code(plan, 'A title with """ and \\n in it.\n\nMore.').text


def test_what_repeats_is_written_once() -> None:
    space = spaces.get("nasbench201")
    cell = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
    few, many = (source_code(space.plan(cell, 10, 3, cells_per_stage=count)).text for count in (2, 10))
    assert len(many.splitlines()) - len(few.splitlines()) == 2 * 3 * 8, "two lines for each further cell"
    assert many.count("class ") == 3, "one for cells, one for reductions, one for the network"


def test_steps_without_effect_are_left_out() -> None:
    build = PlanBuilder(3)
    x = build.add("mean", GlobalAveragePool(), build.input)
    build.add("unused", Linear(3, 9), x)
    plan = build.finish(build.add("classifier", Linear(3, 2), x))
    code = source_code(plan)
    assert "unused" not in code.text
    assert set(code.state(plan.operators, Network(plan))) == {"classifier.weight", "classifier.bias"}


OPERATORS = (
    *(Convolution(4, 4, (3, 3)), Convolution(4, 4, (1, 1)), conv_bn(4, 4, 3), conv_bn(4, 4, 1), BatchNorm(4), ReLU(), Identity()),
    *(Convolution(4, 4, (3, 3), groups=4), MaxPool(3), AveragePool(3), Zero(), Sum(), separable_conv_bn(4, 4, 5)),
)
NAMES = ("stage0_cell0_a", "stage0_cell1_a", "stage0_cell0_b", "stage0_cell1_b", "stage1_cell0_a", "cell0", "cell1", "cell2")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Random wirings whose step names look like those of blocks, in any order."""
    build, operators = PlanBuilder(4), dict[str, Operator]()
    for number in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from([*NAMES, f"block{number % 3}_x{number // 3}", f"block{number // 4}_y{number % 4}"]))
        operator = operators.setdefault(name, draw(st.sampled_from(OPERATORS)))
        slots = st.integers(max(0, number - 4), number)
        inputs = draw(st.lists(slots, min_size=1, max_size=3 if isinstance(operator, Sum) else 1))
        build.add(name, operator, *inputs)
    exits = draw(st.lists(st.integers(1, len(build.steps)), min_size=1, max_size=3, unique=True))
    means = [build.add(f"mean{place}", GlobalAveragePool(), slot) for place, slot in enumerate(exits)]
    plan = build.finish(*(build.add(f"exit{place}", Linear(4, 2), mean) for place, mean in enumerate(means)))
    return averaged_exits(plan, draw(st.integers(1, 3)))


def imported(folder: Path) -> nn.Module:
    spec = importlib.util.spec_from_file_location("exported", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: nn.Module = module.load()
    return found


@given(plans())
@settings(deadline=None, max_examples=80)
def test_any_wiring(plan: Plan) -> None:
    network, images = disturbed(Network(plan)), torch.randn((2, 4, 6, 5), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as name:
        write(Path(name) / "any", network, source_code(plan), images)
        found = imported(Path(name) / "any")
    for training in (False, True, False):
        with torch.no_grad():
            left, right = found.train(training)(images), network.train(training)(images)
        for one, other in zip(
            left if isinstance(left, tuple) else [left], right if isinstance(right, list) else [right], strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)

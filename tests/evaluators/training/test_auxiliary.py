"""The second classifier that a network has while it is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archsearch import spaces
from archsearch.evaluators import Recipe
from archsearch.evaluators.training.auxiliary import (
    Flatten,
    WindowMeans,
    add_auxiliary,
    auxiliary_classifier,
    auxiliary_place,
    remove_auxiliary,
)
from archsearch.evaluators.training.loop import train
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Concatenate, Sum

CLASSES = 10


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(name: str = "nasbench201", seed: int = 0) -> Network:
    space = spaces.get(name)
    scale = {key: 8 for key in ("channels",) if key in space.scale_defaults}
    return space.build(space.sample(np.random.default_rng(seed)), CLASSES, 3, generator(seed), **scale)


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "enas", "nasnet", "cells"])
@pytest.mark.parametrize("seed", range(3))
def test_it_reads_a_map_of_the_last_stage_two_thirds_of_the_way_up(name: str, seed: int) -> None:
    plan = network(name, seed).plan
    shapes, slot = plan.shapes((3, 32, 32)), auxiliary_place(plan)
    last = [shape for shape in shapes if len(shape) == 3][-1]
    assert shapes[slot] == last
    depth = [0]
    for step in plan.steps:
        depth.append(1 + max(depth[source] for source in step.inputs))
    end = max(depth[written] for written, *_ in plan.live_steps if len(shapes[written]) == 3)
    assert 2 / 3 <= depth[slot] / end < 1
    if name in ("nasnet", "cells", "nasbench201"):  # their cells end with one of these
        assert isinstance(plan.steps[slot - 1].operator, Sum | Concatenate)


def test_the_place_is_the_same_for_all_sizes_of_images_and_many_replicas() -> None:
    space = spaces.get("nasbench201")
    architecture = space.sample(np.random.default_rng(1))
    places = {auxiliary_place(space.plan(architecture, 10, 3, **scale)) for scale in ({}, {"channels": 5}, {"replicas": 3})}
    assert len(places) == 1


@pytest.mark.parametrize(("side", "window", "stride"), [(8, 5, 3), (7, 5, 2)])
def test_windows_are_those_of_the_published_programs(side: int, window: int, stride: int) -> None:
    images = torch.rand(2, 3, side, side)
    assert torch.equal(WindowMeans().apply([images]), F.avg_pool2d(images, window, stride))
    assert WindowMeans().output_shape((3, side, side)) == (3, 2, 2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (4, 4), (14, 14), (8, 6)])
def test_maps_of_any_size_become_four_positions(height: int, width: int) -> None:
    images = torch.rand(2, 3, height, width)
    found = WindowMeans().apply([images])
    assert found.shape == (2, 3, 2, 2)
    if height % 2 == 0 and width % 2 == 0:
        torch.testing.assert_close(found.mean((2, 3)), images.mean((2, 3)))


def test_it_has_the_size_of_the_published_one() -> None:
    operator = auxiliary_classifier(256, 10)
    count = sum(torch.Size(shape).numel() for shape in operator.parameter_shapes().values())
    published = 256 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10
    assert count == published + 768, "the layer over all positions has a bias here"
    images, parameters = torch.rand(4, 256, 8, 8), operator.initial_parameters(generator())
    assert operator.apply([images], parameters, operator.initial_buffers()).shape == (4, 10)
    assert operator.output_shape((256, 8, 8)) == (10,)
    assert Flatten().apply([images]).shape == (4, *Flatten().output_shape((256, 8, 8)))


def test_its_loss_counts_by_its_weight_and_it_is_gone_afterwards() -> None:
    images, labels = torch.randn(16, 3, 16, 16, generator=generator(1)), torch.arange(16) % CLASSES
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.1, momentum=0.0, weight_decay=0.0, auxiliary=0.3)
    trained, twin = network(), network()
    plan, names = trained.plan, list(trained.state_dict())
    train(trained, images, labels, recipe, [generator(2)])
    assert trained.plan is plan
    assert list(trained.state_dict()) == names

    drawn = generator(2)
    own, twin.plan = twin.plan, add_auxiliary(twin, [drawn])
    assert len(twin.plan.outputs) == 2
    order = torch.randperm(16, generator=drawn)
    main, auxiliary = twin.train()(images[order])
    (F.cross_entropy(main, labels[order]) + 0.3 * F.cross_entropy(auxiliary, labels[order])).backward()
    twin.plan = own
    remove_auxiliary(twin)
    expected = [p if p.grad is None else p - 0.1 * p.grad for p in twin.parameters()]
    for found, wanted in zip(trained.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    plain = network()
    train(plain, images, labels, recipe.with_changes(auxiliary=0.0), [generator(2)])
    first = next(iter(plain.parameters()))
    assert not torch.allclose(first, next(iter(trained.parameters())), atol=1e-5), "it has an effect"


def test_a_network_with_several_exits_gets_none() -> None:
    space = spaces.get("anytime")
    for seed in range(20):
        built = space.build(space.sample(np.random.default_rng(seed)), CLASSES, 3, channels=4)
        if len(built.plan.outputs) > 1:
            assert add_auxiliary(built, [generator()]) is built.plan
            return
    pytest.fail("no network with several exits was drawn")

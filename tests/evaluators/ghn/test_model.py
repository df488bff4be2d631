"""Generated weights: one buffer, the same network as a module, independent candidates."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from archsearch.evaluators.ghn.candidates import generated, num_parameters, tensors_for
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import Layout
from archsearch.evaluators.ghn.settings import PRESETS

NAMES = ("anytime", "cells", "enas", "nasbench101", "nasbench201", "nasnet")


def single(model: GraphHyperNetwork, layout: Layout) -> dict[str, tuple[Tensor, ...]]:
    return dict(generated(model, [layout]).candidates[0])


@pytest.mark.parametrize("name", NAMES)
def test_network_with_generated_weights_is_the_module_loaded_with_them(worlds: ModuleType, name: str) -> None:
    space, scale = worlds.SPACES[name]
    images = torch.randn((6, *worlds.SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = worlds.model(name).double()
    architectures = worlds.samples(name, 3)
    weights = generated(model, worlds.layouts(name, 3))
    for architecture, layout, parameters in zip(architectures, worlds.layouts(name, 3), weights.candidates, strict=True):
        network = space.build(architecture, worlds.CLASSES, worlds.SHAPE[0], **scale).double().train()
        live = {step.name for _, step, _ in layout.plan.live_steps if step.operator.parameter_shapes()}
        assert set(parameters) == live, "each operator that an output depends on has its weights"
        for step, tensors in parameters.items():
            for target, tensor in zip(network.steps[step].parameters(), tensors, strict=True):
                assert target.shape == tensor.shape
                target.data.copy_(tensor)
        before = [tensor.clone() for tensors in parameters.values() for tensor in tensors]
        complete = dict.fromkeys(layout.plan.operators, ()) | parameters
        outputs = network(images)
        for left, right in zip(
            layout.plan.apply(images, complete), outputs if isinstance(outputs, list) else [outputs], strict=True
        ):
            assert torch.allclose(left, right, rtol=1e-10, atol=1e-12)
        after = [tensor for tensors in parameters.values() for tensor in tensors]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "executing changes no weights"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["cells", "nasbench201"])
def test_weights_of_each_preset_equal_the_equations(worlds: ModuleType, plain: ModuleType, name: str, preset: str) -> None:
    """Propagation, stacking and generation in float64 against the sequential twin, two candidates at once."""
    model = worlds.model(name, preset=preset).double()
    layouts = worlds.layouts(name, 2, output_node=model.settings.output_node)
    with torch.no_grad():
        for layout, found in zip(layouts, generated(model, layouts).candidates, strict=True):
            expected = plain.weights(model, layout)
            assert list(found) == list(expected)
            for step, tensors in found.items():
                for left, right in zip(tensors, expected[step], strict=True):
                    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_batch_is_its_singles_in_any_order(worlds: ModuleType, name: str) -> None:
    layouts, model = worlds.layouts(name, 4), worlds.model(name).double()
    together, turned = generated(model, layouts), generated(model, layouts[::-1])
    assert together.flat.numel() == sum(map(num_parameters, layouts))
    for layout, one, other in zip(layouts, together.candidates, turned.candidates[::-1], strict=True):
        alone = single(model, layout)
        assert list(one) == list(other) == list(alone)
        for step, tensors in alone.items():
            for a, b, c in zip(tensors, one[step], other[step], strict=True):
                assert torch.allclose(a, b, rtol=0, atol=1e-13)
                assert torch.allclose(a, c, rtol=0, atol=1e-13)


def test_weights_are_views_of_one_buffer(worlds: ModuleType) -> None:
    weights = generated(worlds.model("cells"), worlds.layouts("cells", 3))
    first, last = weights.flat.data_ptr(), weights.flat.data_ptr() + weights.flat.numel() * weights.flat.element_size()
    tensors = [tensor for parameters in weights.candidates for each in parameters.values() for tensor in each]
    assert all(first <= tensor.data_ptr() < last for tensor in tensors)
    assert sum(tensor.numel() for tensor in tensors) == weights.flat.numel(), "each number belongs to one tensor"


def test_gradient_reaches_every_part_that_is_used(worlds: ModuleType) -> None:
    model = worlds.model("nasbench201", passing=True)
    layouts = worlds.layouts("nasbench201", 5)
    flat = model(tensors_for(model, layouts))
    flat.square().sum().backward()
    silent = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    assert silent == set(), "five candidates use every operator with weights"


@pytest.mark.parametrize("changes", [{"stacking": "separate"}, {"virtual_edges": 4}, {"distinct_tiles": False}], ids=str)
def test_options_make_all_parameters(worlds: ModuleType, changes: dict[str, Any]) -> None:
    [layout] = worlds.layouts("anytime", 1)
    weights = single(worlds.model("anytime", **changes), layout)
    assert set(weights) == set(layout.owners)
    assert all(torch.isfinite(tensor).all() for tensors in weights.values() for tensor in tensors)

"""Generated weights: each parameter of each operator, tiles and slices, scales, one buffer, the same network as a module."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from archsearch.errors import ArchitectureError
from archsearch.evaluators.ghn.candidates import chunks, generated, num_parameters, tensors_for
from archsearch.evaluators.ghn.hypernetwork import fan_in_scale
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import Layout, Module

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


@pytest.mark.parametrize("tile", [2, 3, 64])
def test_kernels_of_any_size_are_tiles_side_by_side(worlds: ModuleType, tile: int) -> None:
    [layout] = worlds.layouts("nasbench201", 1)
    model = worlds.model("nasbench201", tile=tile, fan_in=False).double()
    name = next(name for name in layout.owners if name.startswith("reduction2_conv_b"))
    kernel = single(model, layout)[name][0]
    module, node, _ = layout.owners[name]
    tensors = tensors_for(model, [layout])
    starts = [0]
    for each in tensors.modules:
        starts.append(starts[-1] + each.kinds.numel())
    hyper = model.hypernetwork
    state = model.states(tensors)[starts[module] + node]
    state = (state - state.mean()) / torch.sqrt(state.var(correction=0) + 1e-5)
    [index] = [
        index for index, branch in enumerate(model.vocabulary.branches) if branch.key == "ReLU+Convolution+BatchNorm:conv.weight"
    ]
    weight, bias = hyper.weights[index], hyper.biases[index]
    size = weight.shape[1]
    assert hyper.out_tiles is not None
    assert hyper.in_tiles is not None
    for out, into in ((0, 0), (kernel.shape[0] - 1, 1), (1, kernel.shape[1] - 1)):
        hidden = hyper.first_weight @ state + hyper.first_bias + hyper.out_tiles[out // size] + hyper.in_tiles[into // size]
        place = (out % size, into % size)
        expected = torch.einsum("w,wij->ij", hidden.relu(), weight[:, place[0], place[1]]) + bias[place]
        assert torch.allclose(kernel[out, into], expected, rtol=1e-10, atol=1e-12)


def test_identical_tiles_repeat(worlds: ModuleType) -> None:
    [layout] = worlds.layouts("nasbench201", 1)
    for distinct in (False, True):
        model = worlds.model("nasbench201", tile=4, distinct_tiles=distinct)
        kernel = single(model, layout)["reduction2_conv_b"][0]
        assert torch.equal(kernel[:4], kernel[4:8]) is not distinct


def test_smaller_kernels_are_the_middle_of_larger_ones(worlds: ModuleType) -> None:
    keys = {branch.key: branch.extent for branch in worlds.model("cells").vocabulary.branches}
    separable = "ReLU+Convolution(depthwise)+Convolution"
    assert keys[f"{separable}:depthwise.weight"][2:] == (5, 5), "all separable convolutions share an output"
    apart = {branch.key for branch in worlds.model("cells", sliced_kernels=False).vocabulary.branches}
    assert len([key for key in apart if key.endswith(":depthwise.weight")]) == 4


def test_scales_of_successors(worlds: ModuleType) -> None:
    assert fan_in_scale((8, 4, 3, 3)) == math.sqrt(2 / 36)
    assert fan_in_scale((8, 1, 3, 3)) == math.sqrt(1 / 9), "depthwise"
    assert fan_in_scale((8, 4, 1, 7)) == math.sqrt(1 / 28)
    assert fan_in_scale((8, 4, 1, 1)) == math.sqrt(2 / 4)
    assert fan_in_scale((10, 16)) == math.sqrt(1 / 16)
    layouts = worlds.layouts("nasbench201", 5)
    for parameters in generated(worlds.model("nasbench201", width=64), layouts).candidates:
        kernel, scale, shift = parameters["stem"]
        assert 0.3 < kernel.var() / (2 / 9) < 3
        assert ((scale > 0) & (scale < 2)).all()
        assert (shift.abs() < 1).all()
    for parameters in generated(worlds.model("nasbench201", affine="fixed"), layouts).candidates:
        assert torch.equal(parameters["stem"][1], torch.ones(4))
        assert torch.equal(parameters["stem"][2], torch.zeros(4))
        assert parameters["classifier"][1].any(), "the bias of a layer is no part of a normalisation"
    plain = generated(worlds.model("nasbench201", fan_in=False, width=64), layouts).candidates[0]
    assert plain["stem"][0].var() > 0.3


def test_candidates_are_cut_into_chunks_that_fit(worlds: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = worlds.layouts("cells", 5)
    monkeypatch.setattr("archsearch.evaluators.ghn.candidates._LARGEST_BUFFER", 2 * max(map(num_parameters, layouts)))
    cut = list(chunks(layouts))
    assert [layout for chunk in cut for layout in chunk] == layouts
    assert 1 < len(cut) < 5
    assert list(chunks([])) == []


def test_operator_of_another_type_is_refused(worlds: ModuleType) -> None:
    [layout] = worlds.layouts("nasbench201", 1)
    module = layout.modules[1]
    changed = Module(("Fourier", *module.kinds[1:]), module.adjacency, module.positions)
    with pytest.raises(ArchitectureError, match="Fourier"):
        generated(worlds.model("nasbench201"), [Layout(layout.plan, (layout.modules[0], changed), {})])


@pytest.mark.parametrize("changes", [{"stacking": "separate"}, {"virtual_edges": 4}, {"distinct_tiles": False}], ids=str)
def test_options_make_all_parameters(worlds: ModuleType, changes: dict[str, Any]) -> None:
    [layout] = worlds.layouts("anytime", 1)
    weights = single(worlds.model("anytime", **changes), layout)
    assert set(weights) == set(layout.owners)
    assert all(torch.isfinite(tensor).all() for tensors in weights.values() for tensor in tensors)

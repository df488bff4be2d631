"""Kernels of any size from tiles and slices, and their scales."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from torch import Tensor

from archsearch.evaluators.ghn.candidates import generated, tensors_for
from archsearch.evaluators.ghn.hypernetwork import fan_in_scale
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import Layout


def single(model: GraphHyperNetwork, layout: Layout) -> dict[str, tuple[Tensor, ...]]:
    return dict(generated(model, [layout]).candidates[0])


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

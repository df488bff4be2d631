"""Networks as graphs: nodes and edges by hand, modules, dead steps, node types."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from archsearch.evaluators.ghn import operator_kind
from archsearch.evaluators.ghn.modules import OUTPUT, lay_out, module_numbers
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Concatenate,
    Convolution,
    Identity,
    MaxPool,
    ReLU,
    Sum,
    conv_bn,
    relu_conv,
    relu_conv_bn,
    relu_separable_conv,
)
from archsearch.spaces.plan import Plan, Step

CONV = relu_conv_bn(4, 4, 3)


def edges(adjacency: np.ndarray) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in np.argwhere(adjacency)}


def test_block_of_cells_has_its_inputs_its_nodes_and_an_output() -> None:
    architecture = Cells(5).parse('[["conv_1x1",[0]],["max_pool_3x3",[0,2]],["sep_conv_3x3",[1,2]]]')
    layout = lay_out(Cells(5).plan(architecture, 10, 1, blocks=3, channels=4), (1, 8, 8), r"(block\d+)_")
    assert [len(module.kinds) for module in layout.modules] == [2, 6, 6, 6, 2], "stem, three blocks, classifier"
    block = layout.modules[2]
    assert block.kinds[-1] == OUTPUT
    assert block.kinds[2:5] == (
        operator_kind.kind(relu_conv(4, 4, 1)),
        operator_kind.kind(MaxPool(3)),
        operator_kind.kind(relu_separable_conv(4, 4, 3)),
    )
    assert edges(block.adjacency) == {(0, 2), (0, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 5)}
    assert layout.num_nodes == 5
    assert layout.owners["block1_node4"][:2] == (2, 4)
    assert layout.owners["classifier"][:2] == (4, 0)
    halvings, strides = layout.modules[2].positions
    assert halvings[:5].tolist() == [1] * 5
    assert strides[:5].tolist() == [1, 1, 0, 0, 0], "the bottlenecks halve the map"


def test_without_an_output_a_block_is_its_nodes() -> None:
    architecture = Cells(5).parse('[["conv_1x1",[0]],["max_pool_3x3",[0,2]],["sep_conv_3x3",[1,2]]]')
    plan = Cells(5).plan(architecture, 10, 1, blocks=3, channels=4)
    with_output, without = (lay_out(plan, (1, 8, 8), r"(block\d+)_", output_node=each) for each in (True, False))
    assert without.first_block == with_output.first_block == 1
    assert without.num_nodes == with_output.num_nodes == 5
    for left, right in zip(with_output.modules, without.modules, strict=True):
        assert right.kinds == left.kinds[:-1]
        assert edges(right.adjacency) == {edge for edge in edges(left.adjacency) if edge[1] < len(right.kinds)}
        assert right.positions.tolist() == left.positions[:, :-1].tolist()
    assert lay_out(plan, (1, 8, 8)).first_block == 0, "no module is told from others"


def test_cell_of_nasbench201_is_its_graph_of_edges() -> None:
    space = NASBench201()
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    layout = lay_out(space.plan(space.parse(text), 10, 1, channels=4, cells_per_stage=1), (1, 8, 8), r"(stage\d+_cell\d+)_")
    cell = layout.modules[1]
    assert cell.kinds == (
        operator_kind.kind(relu_conv_bn(4, 4, 3)),
        operator_kind.kind(Identity()),
        operator_kind.kind(AveragePool(3)),
        operator_kind.kind(relu_conv_bn(4, 4, 1)),
        OUTPUT,
    )
    assert edges(cell.adjacency) == {(0, 1), (1, 3), (2, 4), (3, 4)}
    reduction = layout.modules[2]
    assert len(reduction.kinds) == 4
    assert edges(reduction.adjacency) == {(0, 1), (1, 3), (2, 3)}


def test_steps_that_reach_no_output_are_left_out() -> None:
    space = NASBench201()
    with_dead, without = (
        lay_out(space.plan(space.parse(text), 10, 1, channels=4, cells_per_stage=1), (1, 8, 8), r"(stage\d+_cell\d+)_")
        for text in (
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        )
    )
    assert with_dead.modules[1].kinds == without.modules[1].kinds == (operator_kind.kind(relu_conv_bn(4, 4, 3)), OUTPUT)
    assert "stage0_cell0_edge01" not in with_dead.owners


def test_shared_names_are_one_node_and_never_close_a_cycle() -> None:
    middle = Convolution(4, 4, (1, 1))
    plan = Plan(4, (Step("a", CONV, (0,)), Step("b", middle, (1,)), Step("a", CONV, (2,)), Step("sum", Sum(), (2, 3))), (4,))
    [module] = lay_out(plan, (4, 8, 8)).modules
    assert len(module.kinds) == 3
    assert edges(module.adjacency) == {(0, 1), (1, 2), (0, 2)}


@pytest.mark.parametrize("name", ["anytime", "cells", "enas", "nasbench101", "nasbench201", "nasnet"])
def test_every_live_parameter_has_an_owner_and_graphs_are_in_order(worlds: ModuleType, name: str) -> None:
    for layout in worlds.layouts(name):
        live = {step.name for _, step, _ in layout.plan.live_steps if step.operator.parameter_shapes()}
        assert set(layout.owners) == live
        for module in layout.modules:
            assert not np.tril(module.adjacency).any()
            assert module.kinds.count(OUTPUT) == 1
            reaching = {len(module.kinds) - 1}
            for node in range(len(module.kinds) - 2, -1, -1):
                if reaching & set(np.flatnonzero(module.adjacency[node])):
                    reaching.add(node)
            assert len(reaching) == len(module.kinds), "each node leads to the output"


def test_modules_by_names() -> None:
    names = ["stem", "block0_a", "block0_b", "between", "block1_a", "last", "classifier"]
    assert module_numbers(names, r"(block\d+)_") == [0, 1, 1, 2, 3, 4, 4]
    assert module_numbers(names, "") == [0] * 7


def test_node_types_leave_out_channels_and_stride() -> None:
    kind = operator_kind.kind
    assert kind(relu_conv_bn(4, 4, 3)) == kind(relu_conv_bn(16, 16, 3, stride=2))
    assert kind(relu_conv_bn(4, 4, 3)) != kind(relu_conv_bn(4, 4, 1))
    assert kind(relu_conv(4, 4, 1)) != kind(relu_conv(8, 4, 1)), "a projection has another type"
    assert kind(relu_separable_conv(4, 4, 3)) != kind(relu_separable_conv(4, 4, 3, dilation=2))
    assert operator_kind.family(relu_separable_conv(4, 4, 3)) == operator_kind.family(relu_separable_conv(8, 8, 5, dilation=2))
    assert operator_kind.stride(conv_bn(4, 4, 3, stride=2)) == 2
    glue = (Sum(), Concatenate(), ReLU(), BatchNorm(4, affine=False), AveragePool(2, 2))
    assert all(operator_kind.is_glue(operator) for operator in glue)
    assert not any(operator_kind.is_glue(operator) for operator in (BatchNorm(4), AveragePool(3), MaxPool(3, 2), Identity()))

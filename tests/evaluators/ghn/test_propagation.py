"""Propagation: against a slow reference, its derivative, its batches, and the cases of the ablation."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archsearch.evaluators.ghn.candidates import tensors_for
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import Layout, Module
from archsearch.evaluators.ghn.propagation import schedule
from archsearch.evaluators.ghn.settings import PRESETS

NAMES = ("anytime", "cells", "enas", "nasbench101", "nasbench201", "nasnet")
CASES: tuple[dict[str, Any], ...] = (
    {},
    {"propagations": 1, "positions": False},
    {"backward_messages": "forward"},
    {"stacking": "separate"},
    {"stacking": "separate", "passing": False},
    {"passes_stem": False},
    {"scheme": "synchronous"},
    {"scheme": "synchronous", "synchronous_messages": "both", "propagations": 3},
)


def module_states(model: GraphHyperNetwork, layouts: list[Layout]) -> list[list[Tensor]]:
    """Return the states of each module of each candidate, without padding."""
    tensors = tensors_for(model, layouts)
    parts = model.states(tensors).split([module.kinds.numel() for module in tensors.modules])
    blocks = [part.view(len(layouts), -1, part.shape[-1]) for part in parts]
    return [
        [blocks[number][row, : len(module.kinds)] for number, module in enumerate(layout.modules)]
        for row, layout in enumerate(layouts)
    ]


def largest_difference(left: list[list[Tensor]], right: list[list[Tensor]]) -> float:
    pairs = [pair for rows in zip(left, right, strict=True) for pair in zip(*rows, strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_batched_levels_and_sequential_agree_on_every_space(worlds: ModuleType, plain: ModuleType, name: str) -> None:
    layouts = worlds.layouts(name, 3)
    for dtype, bound in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
        model = worlds.model(name).to(dtype)
        sequential = [plain.states(model, layout) for layout in layouts]
        assert largest_difference(module_states(model, layouts), sequential) < bound
        by_level = [plain.states(model, layout, levels=True) for layout in layouts]
        assert largest_difference(by_level, sequential) < bound


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_each_scheme_equals_the_slow_reference(worlds: ModuleType, plain: ModuleType, changes: dict[str, Any]) -> None:
    layouts, model = worlds.layouts("cells", 3), worlds.model("cells", **changes).double()
    expected = [plain.states(model, layout) for layout in layouts]
    with torch.inference_mode():
        assert largest_difference(module_states(model, layouts), expected) < 1e-13


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["cells", "nasbench101"])
def test_states_and_gradients_of_each_preset_equal_the_equations(
    worlds: ModuleType, plain: ModuleType, name: str, preset: str
) -> None:
    """Equations 3, 4 and 12 to 15 in float64, with the T, graphs and stacking of the preset."""
    model = worlds.model(name, preset=preset).double()
    layouts = worlds.layouts(name, 2, output_node=model.settings.output_node)
    fast, slow = module_states(model, layouts), [plain.states(model, layout) for layout in layouts]
    assert largest_difference(fast, slow) < 1e-13
    parameters = [value for key, value in model.named_parameters() if not key.startswith("hypernetwork")]

    def gradients(found: list[list[Tensor]]) -> tuple[Tensor, ...]:
        total = torch.stack([part.sin().sum() for rows in found for part in rows]).sum()
        return torch.autograd.grad(total, parameters, materialize_grads=True)

    for left, right in zip(gradients(fast), gradients(slow), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


def test_in_the_paper_a_chain_begins_at_zero_and_a_block_has_its_own_nodes_alone(worlds: ModuleType) -> None:
    """h of graph 0 is zero, so the first block is the same behind any stem; its mean is over as many nodes as the block has."""
    [layout] = worlds.layouts("cells", 1, output_node=False)
    assert [len(module.kinds) for module in layout.modules] == [1, 5, 5, 5, 1], "stem, three blocks of 5 nodes, classifier"
    assert layout.first_block == 1 and layout.num_nodes == 5
    stem, *others = layout.modules
    other = replace(layout, modules=(replace(stem, kinds=(others[-1].kinds[0],)), *others))
    for preset, same in (("paper", True), ("default", False)):
        model = worlds.model("cells", preset=preset).double()
        [first], [second] = (module_states(model, [each]) for each in (layout, other))
        assert not torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1]) is same


@pytest.mark.parametrize("changes", [{}, {"virtual_edges": 3}, {"backward_messages": "forward"}], ids=str)
def test_the_derivative_equals_that_of_the_slow_reference(worlds: ModuleType, plain: ModuleType, changes: dict[str, Any]) -> None:
    layouts, model = worlds.layouts("nasbench101", 4), worlds.model("nasbench101", **changes).double()
    assert len({len(layout.modules[1].kinds) for layout in layouts}) > 1, "graphs of several sizes"
    generator = torch.Generator().manual_seed(0)

    def gradients(states: list[list[Tensor]]) -> list[Tensor]:
        parts = [part for rows in states for part in rows]
        generator.manual_seed(1)
        weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in parts]
        total = torch.stack([(part * weight).sum() for part, weight in zip(parts, weights, strict=True)]).sum()
        parameters = [value for name, value in model.named_parameters() if not name.startswith("hypernetwork")]
        return list(torch.autograd.grad(total, parameters, materialize_grads=True))

    fast, slow = module_states(model, layouts), [plain.states(model, layout) for layout in layouts]
    assert largest_difference(fast, slow) < 1e-13
    for left, right in zip(gradients(fast), gradients(slow), strict=True):
        assert left.abs().max() > 0
        assert torch.allclose(left, right, rtol=1e-10, atol=1e-12)


def test_virtual_edges_bring_what_is_two_edges_away(worlds: ModuleType) -> None:
    adjacency = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    model = worlds.model("nasbench201", virtual_edges=2, propagations=1, scheme="synchronous", positions=False).double()
    kinds = [kind for kind in model.vocabulary.kinds if kind != "output"]
    chain = Module((kinds[0], kinds[1], kinds[2], "output"), adjacency, np.zeros((2, 4), dtype=np.int64))
    other = Module((kinds[3], *chain.kinds[1:]), adjacency, chain.positions)
    [plan] = [layout.plan for layout in worlds.layouts("nasbench201", 1)]
    [first], [second] = module_states(model, [Layout(plan, (chain,), {}), Layout(plan, (other,), {})])
    changed = [(a - b).detach().abs().max() > 1e-9 for a, b in zip(first, second, strict=True)]
    assert changed == [True, True, True, False], "a synchronous step reaches as far as the longest virtual edge"
    [near], [near_other] = module_states(
        worlds.model("nasbench201", propagations=1, scheme="synchronous", positions=False).double(),
        [Layout(plan, (chain,), {}), Layout(plan, (other,), {})],
    )
    assert [bool((a - b).abs().max() > 1e-9) for a, b in zip(near, near_other, strict=True)] == [True, True, False, False]


def test_forward_backward_reaches_every_node_in_one_phase(worlds: ModuleType) -> None:
    """In the order of execution and its reverse, information goes from any node to any other (section 4.4 of the paper)."""
    model = worlds.model("cells", propagations=1).double()
    layout, other = worlds.layouts("cells", 2)
    both = module_states(model, [layout, other])
    swapped = module_states(model, [other, layout])
    assert largest_difference(both, swapped[::-1]) < 1e-15, "permuting candidates changes nothing"
    singles = [module_states(model, [each])[0] for each in (layout, other)]
    assert largest_difference(both, singles) < 1e-14, "a batch is its singles"


def test_schedule_updates_all_but_the_last_node_twice() -> None:
    chain = np.eye(4, k=-1, dtype=bool)
    forwards = [((node,), False) for node in range(4)]
    assert schedule(chain) == [*forwards, ((2,), True), ((1,), True), ((0,), True)]
    assert schedule(chain, reversed_=False) == [*forwards, ((2, 1, 0), True)], "none is updated before it is read"
    assert schedule(np.zeros((1, 1), dtype=bool)) == [((0,), False)]


def test_nodes_that_do_not_read_each_other_are_updated_at_once() -> None:
    edges = np.zeros((5, 5), dtype=bool)
    for reader, read in ((2, 0), (2, 1), (3, 2), (4, 1), (4, 3)):
        edges[reader, read] = True
    expected = [((0, 1), False), ((2,), False), ((3,), False), ((4,), False), ((3,), True), ((2,), True), ((1, 0), True)]
    assert schedule(edges) == expected
    assert [len(schedule(np.zeros((17, 17), dtype=bool)))] == [2]


def test_modules_of_one_topology_differ_only_by_the_mean_state_passed_on(worlds: ModuleType) -> None:
    def blocks(**changes: Any) -> list[Tensor]:
        model = worlds.model("cells", positions=False, **changes).double()
        [states] = module_states(model, worlds.layouts("cells", 1))
        # The first block reads the stem, so its projections are of another type: the second and third are equal.
        return states[2:4]

    same = worlds.layouts("cells", 1)[0].modules
    assert same[2].kinds == same[3].kinds
    second, third = blocks(passing=False)
    assert torch.equal(second, third)
    second, third = blocks(passing=True)
    assert not torch.allclose(second, third)
    second, third = blocks(passing=False, stacking="separate")
    assert not torch.allclose(second, third)

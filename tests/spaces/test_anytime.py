from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.anytime import OPERATORS, SCALES, WORK, Anytime
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.wiring import Work

SPACE, SMALL, TINY = Anytime(), Anytime(nodes=(5, 3, 2), exit_probability=0.5), Anytime(nodes=(2, 1))
TEXT = '[[["conv_3x3",[0],2],["max_pool_3x3",[0,1],1,"exit"]],[["conv_1x1",[0],4]]]'
seeds = st.integers(0, 2**32 - 1)


def draw(space: Anytime, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed))


def test_the_text_lists_the_nodes_of_each_cell() -> None:
    first, second = TINY.parse(TEXT).cells
    assert first.node_operators == ("input", "conv_3x3@2", "max_pool_3x3@1+exit", "output")
    assert first.edges == ((0, 1), (0, 2), (1, 2), (2, 3))
    assert second.node_operators == ("input", "conv_1x1@4", "output")


def test_operator_names_of_graphs_hold_scale_and_exit() -> None:
    assert WORK["avg_pool_3x3@4+exit"] == Work("avg_pool_3x3", 4, True)
    assert WORK["conv_5x5@1"] == Work("conv_5x5", 1, False)
    assert len(SPACE.vocabulary) == 2 + len(OPERATORS) * len(SCALES) * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[:-1], "text: expected a JSON list such as"),
        ("[[],[]]", r"text: expected lists of \[2, 1\] nodes, the cells of Anytime\(nodes=\(2, 1\)"),
        ('[["conv_3x3",[0],2],0]', r"text: expected lists of \[2, 1\] nodes"),
        (TEXT.replace(',[["conv_1x1",[0],4]]', ""), r"text: expected lists of \[2, 1\] nodes"),
        (TEXT.replace('"exit"', '"out"'), r"node 2: expected \[operator, predecessors, scale\] or"),
        (TEXT.replace('"exit"', '"exit","exit"'), r"node 2: expected \[operator, predecessors, scale\] or"),
        (TEXT.replace(",4]", "]"), r"node 1: expected \[operator, predecessors, scale\] or"),
        (TEXT.replace("],4]", "],3]"), "node 1: expected a scale of 1, 2, 4; got 3"),
        (TEXT.replace("],1,", "],true,"), "node 2: expected a scale of 1, 2, 4; got True"),
        (TEXT.replace("conv_1x1", "conv_7x7"), r"operator: expected one of .* got 'conv_7x7'\. Did you mean"),
        (TEXT.replace("conv_1x1", "conv_1x1@4"), "operator: expected one of"),
        (TEXT.replace("[0,1]", "[0,2]"), "node 2: expected predecessors from 0 to 1, .* may close a cycle"),
        (TEXT.replace("[0,1]", "[]"), "node 2: expected 1 or 2 distinct predecessors"),
        (TEXT.replace("[0],4", "[0,0],4"), "node 1: expected 1 distinct predecessors"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        TINY.parse(text)


def test_genes_bear_the_names_of_cells_and_nodes() -> None:
    params = TINY.params(TINY.parse(TEXT))
    assert list(params)[:4] == ["cell0_node1_operator", "cell0_node1_predecessors", "cell0_node1_scale", "cell0_node1_exit"]
    assert [params[f"cell0_node2_{gene}"] for gene in ("operator", "predecessors", "scale", "exit")] == [
        "max_pool_3x3",
        "0,1",
        1,
        True,
    ]
    assert TINY.size == (5 * 1 * 3 * 2) * (5 * 3 * 3 * 2) * (5 * 1 * 3 * 2)


@settings(deadline=None, max_examples=15)
@given(seed=seeds)
def test_the_full_space_goes_through_all_forms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = SPACE.sample(rng)
    assert [cell.num_nodes for cell in architecture.cells] == [26, 18, 10]
    assert SPACE.parse(str(architecture)) == architecture
    assert SPACE.from_genotype(SPACE.genotype(architecture)) == architecture
    assert SPACE.from_params(SPACE.params(architecture)) == architecture
    assert SPACE.decode(SPACE.encode([architecture])) == [architecture]
    child = SPACE.mutate(architecture, rng)
    assert sum(a != b for a, b in zip(SPACE.genotype(architecture), SPACE.genotype(child), strict=True)) == 1


def test_genotypes_hold_more_sets_than_a_byte() -> None:
    last = [len(alternatives) - 1 for alternatives in SPACE.choices.values()]
    assert max(last) == 24 + 24 * 23 // 2 - 1
    assert SPACE.genotypes([SPACE.from_genotype(last)]).tolist() == [last]


def test_samples_follow_the_stated_distribution() -> None:
    rng = np.random.default_rng(0)
    works = [WORK[name] for _ in range(60) for cell in SPACE.sample(rng).cells for name in cell.node_operators if name in WORK]
    assert len(works) == 60 * 48
    assert np.mean([work.exit for work in works]) == pytest.approx(0.2, abs=0.03)
    assert np.bincount([work.scale for work in works])[[1, 2, 4]] / len(works) == pytest.approx([1 / 3] * 3, abs=0.04)
    assert [np.mean([work.operator == name for work in works]) for name in OPERATORS] == pytest.approx([0.2] * 5, abs=0.04)
    for probability in (0.0, 1.0):
        space = Anytime(nodes=(3, 2), exit_probability=probability)
        assert {WORK[name].exit for cell in draw(space, 0).cells for name in cell.node_operators if name in WORK} == {
            probability == 1
        }


def test_wrong_settings_are_refused() -> None:
    for nodes in ((), (3, 0), 3, (2.0,)):
        with pytest.raises(ConfigurationError, match="nodes: expected a whole number from 1 to 120 for each cell"):
            Anytime(nodes=nodes)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="exit_probability: expected a fraction from 0 to 1; got 1.5"):
        Anytime(exit_probability=1.5)
    with pytest.raises(ConfigurationError, match="in_degree: expected one of"):
        Anytime(in_degree="three")


def test_architectures_of_another_size_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"got \(2, 1\)\. Use Anytime\(nodes=\(2, 1\)\) for it"):
        SPACE.exit_macs(TINY.parse(TEXT))


def test_the_key_sees_scales_and_exits_and_not_the_numbering() -> None:
    space = Anytime(nodes=(2,))
    one, swapped, coarser, silent = (
        space.key(space.parse(text))
        for text in (
            '[[["conv_1x1",[0],1],["conv_3x3",[0],2,"exit"]]]',
            '[[["conv_3x3",[0],2,"exit"],["conv_1x1",[0],1]]]',
            '[[["conv_1x1",[0],1],["conv_3x3",[0],4,"exit"]]]',
            '[[["conv_1x1",[0],1],["conv_3x3",[0],2]]]',
        )
    )
    assert one == swapped
    assert len({one, coarser, silent}) == 3


def test_the_order_of_cells_matters_to_the_key() -> None:
    space = Anytime(nodes=(1, 1))
    first, second = '["conv_1x1",[0],1]', '["conv_3x3",[0],1]'
    assert space.key(space.parse(f"[[{first}],[{second}]]")) != space.key(space.parse(f"[[{second}],[{first}]]"))


def test_batches_that_are_no_cells_are_not_decoded() -> None:
    batch = TINY.encode([TINY.parse(TEXT)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of 2 cells with the vocabulary of anytime"):
        TINY.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))
    with pytest.raises(ArchitectureError, match="batch: expected graphs of 3 cells"):
        SMALL.decode(batch)
    with pytest.raises(ArchitectureError, match=r"batch\[0\]: expected \[1, 1\] nodes in its cells; got \[2, 1\]"):
        Anytime(nodes=(1, 1)).decode(batch)
    without_leaf = batch.adjacency.copy()
    without_leaf[:, 0, :, 3] = False
    with pytest.raises(ArchitectureError, match="an output that reads all leaves"):
        TINY.decode(dataclasses.replace(batch, adjacency=without_leaf))


@settings(deadline=None, max_examples=25)
@given(seed=seeds, size=st.sampled_from([8, 19, 32, 64]))
def test_exit_macs_rise_to_the_cost_of_the_network(seed: int, size: int) -> None:
    architecture = draw(SMALL, seed)
    macs = SMALL.exit_macs(architecture, (3, size, size), 10, channels=4)
    assert all(early < late for early, late in pairwise(macs))
    assert macs[-1] == SMALL.cost(architecture, (3, size, size), 10, channels=4).macs
    exits = sum(name.endswith("+exit") for cell in architecture.cells for name in cell.node_operators)
    assert len(macs) == exits + 1


def test_the_published_size_has_a_sensible_cost() -> None:
    rng = np.random.default_rng(0)
    macs = [SPACE.exit_macs(SPACE.sample(rng)) for _ in range(30)]
    assert 30e6 < np.mean([exits[-1] for exits in macs]) < 100e6
    assert np.mean([exits[0] / exits[-1] for exits in macs]) < 0.1, "the first exit is early"


def test_later_settings_at_their_defaults_are_left_out_of_sizes() -> None:
    ones = dict.fromkeys(SPACE.later_scale, 1)
    assert set(SPACE.scale_defaults) == {"channels", *ones}
    assert SPACE.checked_scale({}) == SPACE.checked_scale(ones) == {"channels": 16}
    assert SPACE.checked_scale({"exit_regions": 2, "widening": 1}) == {"channels": 16, "exit_regions": 2}

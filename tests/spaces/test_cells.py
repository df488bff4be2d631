from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.cells import OPERATORS, Cells

SPACE, SMALL = Cells(), Cells(nodes=7)
TINY = Cells(nodes=4)
PAIR = '[["conv_1x1",[0,1]],["conv_1x7_7x1",[2]]]'
seeds = st.integers(0, 2**32 - 1)


def draw(space: Cells, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed))


def test_the_text_lists_operators_and_predecessors() -> None:
    cell = TINY.parse(PAIR).cells[0]
    assert cell.node_operators == ("input", "input", "conv_1x1", "conv_1x7_7x1", "output")
    assert cell.edges == ((0, 2), (1, 2), (2, 3), (3, 4))


def test_spaces_in_the_text_and_the_order_of_predecessors_do_not_matter() -> None:
    assert str(TINY.parse(' [ ["conv_1x1", [1, 0]], ["conv_1x7_7x1", [2]] ]\n')) == PAIR


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PAIR[:-1], "text: expected a JSON list such as"),
        ("[" * 100_000, "text: expected a JSON list such as"),
        ('{"conv_1x1": [0]}', "text: expected a JSON list such as"),
        ('[["conv_1x1",[0,1]]]', r"text: expected 2 nodes, those after the two inputs of Cells\(nodes=4.*; got 1"),
        (PAIR.replace(",[2]", ""), r"node 3: expected \[operator, predecessors\]"),
        (PAIR.replace("[2]", "[2],1"), r"node 3: expected \[operator, predecessors\]"),
        (PAIR.replace("conv_1x1", "conv_2x2"), r"operator: expected one of .* got 'conv_2x2'\. Did you mean"),
        (PAIR.replace('"conv_1x1"', "[]"), r"operator: expected one of .* got \[\]"),
        (PAIR.replace("[2]", "[3]"), "node 3: expected predecessors from 0 to 2, .* may close a cycle"),
        (PAIR.replace("[0,1]", "[0,3]"), "node 2: expected predecessors from 0 to 1, .* may close a cycle"),
        (PAIR.replace("[2]", "[-1]"), "node 3: expected predecessors from 0 to 2"),
        (PAIR.replace("[2]", "[0,1,2]"), r"node 3: expected 1 or 2 distinct predecessors \(in_degree='one_or_two'\)"),
        (PAIR.replace("[2]", "[]"), "node 3: expected 1 or 2 distinct predecessors"),
        (PAIR.replace("[2]", "[2,2]"), "node 3: expected 1 or 2 distinct predecessors"),
        (PAIR.replace("[2]", "2"), "node 3: expected a list of the numbers"),
        (PAIR.replace("[2]", "[true]"), "node 3: expected a list of the numbers"),
        (PAIR.replace("[2]", "[1.0]"), "node 3: expected a list of the numbers"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        TINY.parse(text)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        TINY.parse(None)  # type: ignore[arg-type]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.sampled_from(OPERATORS),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(value=json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        architecture = Cells(nodes=3).parse(json.dumps(value))
    except ArchitectureError:
        return
    assert json.loads(str(architecture)) == value or sorted(json.loads(str(architecture))[0][1]) == sorted(value[0][1])  # type: ignore[index]


def test_genes_bear_the_names_of_the_nodes() -> None:
    params = TINY.params(TINY.parse(PAIR))
    assert params == {
        "node2_operator": "conv_1x1",
        "node2_predecessors": "0,1",
        "node3_operator": "conv_1x7_7x1",
        "node3_predecessors": "2",
    }
    assert TINY.choices["node3_predecessors"] == ("0", "1", "2", "0,1", "0,2", "1,2")
    assert TINY.size == 8 * 3 * 8 * 6


@settings(deadline=None, max_examples=25)
@given(seed=seeds)
def test_the_full_space_goes_through_all_forms(seed: int) -> None:
    architecture = draw(SPACE, seed)
    assert SPACE.parse(str(architecture)) == architecture
    assert SPACE.from_genotype(SPACE.genotype(architecture)) == architecture
    assert SPACE.from_params(SPACE.params(architecture)) == architecture
    assert SPACE.decode(SPACE.encode([architecture])) == [architecture]


def test_genotypes_hold_more_sets_than_a_byte() -> None:
    last = [len(alternatives) - 1 for alternatives in SPACE.choices.values()]
    assert last[-1] == 16 + 16 * 15 // 2 - 1 == 135
    assert SPACE.genotypes([SPACE.from_genotype(last)]).tolist() == [last]


def test_samples_follow_the_law_of_in_degrees() -> None:
    rng = np.random.default_rng(0)
    population = [TINY.sample(rng) for _ in range(4000)]
    first, operators = (
        [TINY.params(architecture)[gene] for architecture in population] for gene in ("node2_predecessors", "node3_operator")
    )
    shares = {value: first.count(value) / len(first) for value in ("0", "1", "0,1")}
    assert shares == pytest.approx({"0": 0.25, "1": 0.25, "0,1": 0.5}, abs=0.03)
    assert {name: operators.count(name) / len(operators) for name in OPERATORS} == pytest.approx(
        dict.fromkeys(OPERATORS, 0.125), abs=0.02
    )


@pytest.mark.parametrize(("in_degree", "sizes"), [("one", {1}), ("two", {2}), ("one_or_two", {1, 2})])
def test_other_laws_are_kept(in_degree: str, sizes: set[int]) -> None:
    space = Cells(nodes=9, in_degree=in_degree)
    population = [draw(space, seed) for seed in range(20)]
    seen = {len(sources) for architecture in population for _, sources in json.loads(str(architecture))}
    assert seen == sizes
    assert all(space.mutate(architecture, np.random.default_rng(0)) != architecture for architecture in population)
    assert repr(space) == f"Cells(nodes=9, in_degree={in_degree!r})"


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="nodes: expected a whole number from 3"):
        Cells(nodes=2)
    with pytest.raises(ConfigurationError, match=r"in_degree: expected one of .*; got 'one_or_too'\. Did you mean 'one_or_two'"):
        Cells(in_degree="one_or_too")


def test_blocks_of_another_size_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"got 7 nodes\. Use Cells\(nodes=7\) for it"):
        SPACE.build(draw(SMALL, 0))
    with pytest.raises(ArchitectureError, match="node 2: in_degree='two' does not allow"):
        Cells(nodes=7, in_degree="two").genotype(SMALL.from_genotype([0] * 10))
    assert SMALL.vocabulary == SPACE.vocabulary


def renumbered(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return the same block with its nodes in another topological order."""
    nodes = json.loads(str(architecture))
    new = {0: 0, 1: 1}
    order: list[list[object]] = []
    while len(order) < len(nodes):
        ready = [node for node, (_, sources) in enumerate(nodes, start=2) if node not in new and all(s in new for s in sources)]
        node = int(rng.choice(ready))
        new[node] = len(order) + 2
        order.append([nodes[node - 2][0], [new[source] for source in nodes[node - 2][1]]])
    return Cells(nodes=len(nodes) + 2).parse(json.dumps(order))


@settings(deadline=None, max_examples=50)
@given(seed=seeds)
def test_the_numbering_of_nodes_does_not_matter_to_the_key(seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = SPACE.sample(rng)
    assert SPACE.key(renumbered(architecture, rng)) == SPACE.key(architecture)


def test_the_number_of_keys_is_that_of_structures() -> None:
    sizes = [range(len(alternatives)) for alternatives in TINY.choices.values()]
    keys = {TINY.key(TINY.from_genotype(genotype)) for genotype in itertools.product(*sizes)}
    unordered = 24 * 25 // 2  # two nodes on the inputs alone, 8 operators times 3 sets each, in either order
    assert len(keys) == unordered + (8 * 3) * (8 * 3)


def test_the_inputs_are_not_the_same() -> None:
    space = Cells(nodes=3)
    assert space.key(space.parse('[["conv_1x1",[0]]]')) != space.key(space.parse('[["conv_1x1",[1]]]'))


def test_batches_that_are_no_cells_are_not_decoded() -> None:
    batch = TINY.encode([TINY.parse(PAIR)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of one cell with the vocabulary of cells"):
        TINY.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))
    with pytest.raises(ArchitectureError, match=r"batch\[0\]: expected 8 nodes, an output included; got 5"):
        SMALL.decode(batch)
    with pytest.raises(ArchitectureError, match=r"node 2: in_degree='one_or_two' does not allow the predecessors \[\]"):
        TINY.decode(dataclasses.replace(batch, adjacency=np.zeros_like(batch.adjacency)))
    without_leaf = batch.adjacency.copy()
    without_leaf[..., -1] = False
    with pytest.raises(ArchitectureError, match="an output that reads all leaves"):
        TINY.decode(dataclasses.replace(batch, adjacency=without_leaf))
    operators = batch.operators.copy()
    operators[..., 0] = 2
    with pytest.raises(ArchitectureError, match="expected two inputs"):
        TINY.decode(dataclasses.replace(batch, operators=operators))
    operators[..., 2] = 0
    with pytest.raises(ArchitectureError, match="operator: expected one of .* got 'input'"):
        TINY.decode(dataclasses.replace(batch, operators=operators))

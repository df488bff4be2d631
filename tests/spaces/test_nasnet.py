from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.nasnet import OPERATORS, NASNet
from archsearch.spaces.space import SearchSpace

SPACE = NASNet()
SKIP, SEP3, SEP5, AVG, MAX = OPERATORS
Pair = tuple[str, int]
PLAIN = [(SEP3, 1), (SKIP, 0), (AVG, 0), (MAX, 2), (SEP5, 3), (SEP5, 3), (SKIP, 1), (SEP3, 4)]


def text_of(normal: Sequence[Pair], reduce: Sequence[Pair], concat: str = "range(2, 6)") -> str:
    return f"Genotype(normal={list(normal)}, normal_concat={concat}, reduce={list(reduce)}, reduce_concat={concat})"


def architecture_of(normal: Sequence[Pair], reduce: Sequence[Pair] = PLAIN) -> Architecture:
    return SPACE.parse(text_of(normal, reduce))


TEXT = text_of(PLAIN, [(SEP3, 0), (SEP3, 0), *PLAIN[2:]])
pairs_of_a_cell = st.tuples(
    *[st.tuples(st.sampled_from(OPERATORS), st.integers(0, 1 + step)) for step in range(4) for _ in range(2)]
)


def test_a_text_of_darts_is_read() -> None:
    normal, reduction = SPACE.parse(TEXT).cells
    assert normal.edges == ((1, 2), (0, 2), (0, 3), (2, 3), (3, 4), (3, 4), (1, 5), (4, 5))
    assert normal.edge_operators == tuple(operator for operator, _ in PLAIN)
    assert reduction.edges[:2] == ((0, 2), (0, 2))
    assert str(SPACE.parse(TEXT)) == TEXT


@settings(deadline=None, max_examples=50)
@given(normal=pairs_of_a_cell, reduce=pairs_of_a_cell)
def test_texts_round_trip(normal: Sequence[Pair], reduce: Sequence[Pair]) -> None:
    architecture = SPACE.parse(text_of(normal, reduce))
    assert str(architecture) == text_of(normal, reduce)
    assert SPACE.from_genotype(SPACE.genotype(architecture)) == architecture


def test_other_ways_to_write_a_text_are_read() -> None:
    architecture = SPACE.parse(TEXT)
    assert SPACE.parse(TEXT.replace("range(2, 6)", "[2, 3, 4, 5]")) == architecture
    assert SPACE.parse(TEXT.replace("range(2, 6)", "range(2,6)").replace("'", '"')) == architecture
    assert SPACE.parse(f"  {TEXT.replace(', ', ',').replace(',(', ',  (')}\n") == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[:-1], "text: expected Genotype"),
        (TEXT + ")", "text: expected Genotype"),
        (TEXT.replace("range(2, 6)", "range(2, 5)"), "text: expected Genotype"),
        (TEXT.replace("range(2, 6)", "[3, 4, 5]"), "text: expected Genotype"),
        (TEXT.replace("('sep_conv_3x3', 1), ", "", 1), "with 8 pairs a cell"),
        (TEXT.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 1), ('sep_conv_3x3', 1)", 1), "with 8 pairs a cell"),
        (TEXT.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 1.0)", 1), "text: expected Genotype"),
        (TEXT.replace("('sep_conv_3x3', 1)", "(print(), 1)", 1), "text: expected Genotype"),
        (TEXT.replace("'sep_conv_3x3', 1", "'sep_conv_3x3\", 1", 1), "text: expected Genotype"),
        (TEXT.replace("reduce=", "reduction="), "text: expected Genotype"),
        (TEXT.replace("sep_conv_3x3", "sep_conv_7x7", 1), r"operator: expected one of .*; got 'sep_conv_7x7'\. Did you mean"),
        (TEXT.replace("sep_conv_3x3", "none", 1), "operator: expected one of .*; got 'none'"),
        (text_of([(SEP3, 2), *PLAIN[1:]], PLAIN), r"below 2 for node 2 of the normal cell; got \('sep_conv_3x3', 2\) as pair 0"),
        (text_of(PLAIN, [*PLAIN[:7], (SKIP, 5)]), r"below 5 for node 5 of the reduce cell; got \('skip_connect', 5\) as pair 7"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(text)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        SPACE.parse(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["(" * 50_000, f"Genotype(normal=[{' ' * 50_000}", TEXT[:-1] + " " * 50_000])
def test_long_texts_are_refused_at_once(text: str) -> None:
    with pytest.raises(ArchitectureError, match="text: expected Genotype"):
        SPACE.parse(text)


def test_size_counts_the_pairs() -> None:
    assert SPACE.size == (5 * 2 * 5 * 3 * 5 * 4 * 5 * 5) ** 4
    assert list(SPACE.choices)[:4] == ["normal_2a_source", "normal_2a_operator", "normal_2b_source", "normal_2b_operator"]
    assert len(SPACE.choices) == 32
    assert SPACE.params(SPACE.parse(TEXT))["reduce_5b_source"] == 4


def reordered(pairs: Sequence[Pair], wish: Sequence[int], swaps: Sequence[bool]) -> list[Pair]:
    """Return a cell with pairs swapped and its steps in the order that is wished for, as far as each has its sources."""
    place, cell = {0: 0, 1: 1}, []
    for swap in swaps:
        ready = (step for step in wish if 2 + step not in place and all(u in place for _, u in pairs[2 * step :][:2]))
        step = next(ready)
        moved = [(operator, place[source]) for operator, source in pairs[2 * step :][:2]]
        cell += moved[::-1] if swap else moved
        place[2 + step] = len(place)
    return cell


@settings(deadline=None, max_examples=100)
@given(pairs=pairs_of_a_cell, wish=st.permutations(range(4)), swaps=st.tuples(*[st.booleans()] * 4))
def test_the_order_of_pairs_and_steps_does_not_matter(pairs: Sequence[Pair], wish: list[int], swaps: tuple[bool, ...]) -> None:
    same = reordered(pairs, wish, swaps)
    assert SPACE.key(architecture_of(same)) == SPACE.key(architecture_of(pairs))
    assert SPACE.key(architecture_of(PLAIN, same)) == SPACE.key(architecture_of(PLAIN, pairs))


@settings(deadline=None, max_examples=30)
@given(pairs=pairs_of_a_cell, seed=st.integers(0, 2**32 - 1))
def test_keys_are_equal_where_graphs_are_isomorphic(pairs: Sequence[Pair], seed: int) -> None:
    """The canonical form of the lowered graphs is a slow reference for the key."""
    rng, architecture = np.random.default_rng(seed), architecture_of(pairs)
    neighbours = [SPACE.mutate(architecture, rng) for _ in range(6)]
    for other in [*neighbours, *(SPACE.mutate(neighbour, rng) for neighbour in neighbours)]:
        fast = SPACE.key(other) == SPACE.key(architecture)
        assert fast == (SearchSpace.key(SPACE, other) == SearchSpace.key(SPACE, architecture))


def test_many_cells_of_few_operators_have_keys_that_differ_as_their_graphs_do() -> None:
    rng = np.random.default_rng(0)
    population = []
    for _ in range(300):
        cell = [(str(rng.choice([SKIP, MAX])), int(rng.choice([0, 1 + step]))) for step in range(4) for _ in range(2)]
        population.append(architecture_of(cell))
    fast = [SPACE.key(architecture) for architecture in population]
    slow = [SearchSpace.key(SPACE, architecture) for architecture in population]
    assert len(set(fast)) == len(set(slow)) == len(set(zip(fast, slow, strict=True)))
    assert len(set(fast)) < len({str(architecture) for architecture in population})


LEFT, RIGHT = [(SEP3, 0), (SEP5, 1)], [(AVG, 0), (MAX, 1)]
DIFFERENT = {
    "the inputs swapped": (PLAIN, [(SEP3, 0), (SKIP, 1), *PLAIN[2:]]),
    "another last step": (PLAIN, PLAIN[:6] + PLAIN[:2]),
    "pairs of loose steps": (LEFT + RIGHT + LEFT + LEFT, [LEFT[0], RIGHT[1], RIGHT[0], LEFT[1], *LEFT, *LEFT]),
    "one step read twice and two equal ones": (
        LEFT + LEFT + [(SEP3, 2), (SEP3, 2)] + LEFT,
        LEFT + LEFT + [(SEP3, 2), (SEP3, 3)] + LEFT,
    ),
    "the same source twice": ([(SEP3, 0), (SEP3, 0), *PLAIN[2:]], [(SEP3, 0), (SEP3, 1), *PLAIN[2:]]),
    "an operator twice": ([(SEP3, 0), (SEP3, 0), *PLAIN[2:]], [(SEP3, 0), (SEP5, 0), *PLAIN[2:]]),
}


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT)
def test_different_cells_have_different_keys(first: Sequence[Pair], second: Sequence[Pair]) -> None:
    assert SPACE.key(architecture_of(first)) != SPACE.key(architecture_of(second))
    assert SPACE.key(architecture_of(first, second)) != SPACE.key(architecture_of(second, first))
    assert SearchSpace.key(SPACE, architecture_of(first)) != SearchSpace.key(SPACE, architecture_of(second))


@settings(deadline=None, max_examples=50)
@given(pairs=pairs_of_a_cell)
def test_the_graph_has_an_operator_for_each_pair_and_a_sum_for_each_step(pairs: Sequence[Pair]) -> None:
    graph = SPACE.graphs(architecture_of(PLAIN, pairs))[1]
    assert graph.operators[:2] == ("input", "input")
    node = {0: 0, 1: 1}
    expected = set()
    for step in range(4):
        first = 2 + 3 * step
        node[2 + step] = first + 2
        for place, (operator, source) in enumerate(pairs[2 * step : 2 * step + 2], start=first):
            assert graph.operators[place] == operator
            expected |= {(node[source], place), (place, first + 2)}
        assert graph.operators[first + 2] == "sum"
        expected.add((first + 2, 14))
    assert graph.operators[14] == "output"
    assert set(map(tuple, np.argwhere(graph.adjacency).tolist())) == expected


def test_the_edge_form_holds_both_operators_of_one_pair_of_nodes() -> None:
    edges = SPACE.encode([architecture_of(PLAIN, [(SEP3, 0), (SEP5, 0), *PLAIN[2:]])]).edges
    assert edges is not None
    assert edges.shape == (1, 2, 2, 6, 6)
    names = dict(enumerate(SPACE.vocabulary))
    for cell, pairs in enumerate([PLAIN, [(SEP3, 0), (SEP5, 0), *PLAIN[2:]]]):
        for slot in range(2):
            held = {(int(u), int(v)): names[int(edges[0, cell, slot, u, v])] for u, v in np.argwhere(edges[0, cell, slot] >= 0)}
            assert held == {(source, 2 + step): operator for step, (operator, source) in enumerate(pairs[slot::2])}


def test_decode_refuses_what_encode_does_not_give() -> None:
    batch = SPACE.encode([SPACE.parse(TEXT)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of nasnet "):
        SPACE.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))
    with pytest.raises(ArchitectureError, match="batch: expected graphs of nasnet "):
        SPACE.decode(dataclasses.replace(batch, operators=batch.operators[:, :1], adjacency=batch.adjacency[:, :1]))
    # A second source, no source, a source that is an operator, no sum, no output, an edge backwards.
    for source, target in [(0, 2), (1, 2), (2, 5), (2, 4), (4, 14), (14, 4)]:
        adjacency = batch.adjacency.copy()
        adjacency[0, 0, source, target] ^= True
        with pytest.raises(ArchitectureError, match="4 times 2 operators with one source each and their sum"):
            SPACE.decode(dataclasses.replace(batch, adjacency=adjacency))
    for node, operator in [(0, 2), (4, 2), (14, 0), (2, 1), (2, 7), (2, -1)]:
        operators = batch.operators.copy()
        operators[0, 0, node] = operator
        with pytest.raises(ArchitectureError, match="4 times 2 operators|genotype: expected 32 indices"):
            SPACE.decode(dataclasses.replace(batch, operators=operators))


def test_each_pair_and_operator_occurs_in_samples() -> None:
    rng = np.random.default_rng(0)
    drawn = {pair for _ in range(100) for pair in SPACE.params(SPACE.sample(rng)).items()}
    assert drawn == {(name, value) for name, values in SPACE.choices.items() for value in values}


def test_a_mutation_keeps_the_other_cell() -> None:
    rng, parent = np.random.default_rng(0), SPACE.parse(TEXT)
    for _ in range(20):
        child = SPACE.mutate(parent, rng)
        assert sum(left != right for left, right in zip(parent.cells, child.cells, strict=True)) == 1

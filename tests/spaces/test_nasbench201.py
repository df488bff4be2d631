from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import EDGES, OPERATORS, NASBench201

SPACE = NASBench201()
NONE, SKIP, CONV1, CONV3, POOL = range(5)
BEST_CIFAR10 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
genotypes = st.tuples(*[st.integers(0, 4)] * 6)


def cell(edge01: int, edge02: int, edge12: int, edge03: int, edge13: int, edge23: int) -> Architecture:
    return SPACE.from_genotype((edge01, edge02, edge12, edge03, edge13, edge23))


def test_the_published_number_of_structures() -> None:
    keys = {SPACE.key(SPACE.from_genotype(genotype)) for genotype in itertools.product(range(5), repeat=6)}
    assert len(keys) == SPACE.num_unique == 6466
    assert SPACE.size == 15625


def test_the_best_published_cell_is_read() -> None:
    assert SPACE.genotype(SPACE.parse(BEST_CIFAR10)) == (CONV3, CONV3, CONV3, SKIP, CONV3, CONV3)
    assert SPACE.parse(f"  {BEST_CIFAR10}\n") == SPACE.parse(BEST_CIFAR10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BEST_CIFAR10.replace("|+|", "||"), "expected a NAS-Bench-201 cell such as"),
        (BEST_CIFAR10[:-1], "expected a NAS-Bench-201 cell such as"),
        (BEST_CIFAR10 + "+|none~0|", "expected a NAS-Bench-201 cell such as"),
        (BEST_CIFAR10.replace("skip_connect~0", "skip_connect~1"), "expected an operator on node 0, written OP~0"),
        (BEST_CIFAR10.replace("skip_connect~0", "skip_connect"), "expected an operator on node 0, written OP~0"),
        (BEST_CIFAR10.replace("skip_connect", "skip_conect"), r"got 'skip_conect'\. Did you mean 'skip_connect'\?"),
        (BEST_CIFAR10.replace("skip_connect~0", "~0"), "operator: expected one of avg_pool_3x3"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(text)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        SPACE.parse(None)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet="|+~0123noreskip_", max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        architecture = SPACE.parse(text)
    except ArchitectureError:
        return
    assert str(architecture) == text.strip()


@settings(deadline=None, max_examples=100)
@given(genotype=genotypes)
def test_text_names_the_operator_of_each_edge(genotype: tuple[int, ...]) -> None:
    names = [OPERATORS[gene] for gene in genotype]
    parts = [f"{name}~{source}" for name, (source, _) in zip(names, EDGES, strict=True)]
    text = "|" + parts[0] + "|+|" + parts[1] + "|" + parts[2] + "|+|" + "|".join(parts[3:]) + "|"
    assert str(SPACE.from_genotype(genotype)) == text
    assert SPACE.genotype(SPACE.parse(text)) == genotype


@settings(deadline=None, max_examples=100)
@given(genotype=genotypes, seed=st.integers(0, 2**32 - 1))
def test_a_mutation_changes_one_edge(genotype: tuple[int, ...], seed: int) -> None:
    child = SPACE.mutate(SPACE.from_genotype(genotype), np.random.default_rng(seed))
    changed = [gene for gene in range(6) if SPACE.genotype(child)[gene] != genotype[gene]]
    assert len(changed) == 1


@settings(deadline=None, max_examples=100)
@given(genotype=genotypes)
def test_the_key_sees_nothing_behind_an_input_that_is_zero(genotype: tuple[int, ...]) -> None:
    _, edge02, edge12, edge03, edge13, edge23 = genotype
    cut = SPACE.key(cell(NONE, edge02, NONE, edge03, NONE, edge23))
    assert SPACE.key(cell(NONE, edge02, edge12, edge03, edge13, edge23)) == cut, "node 1 is zero, and so is all that leaves it"


DIFFERENT = {
    "another operator": (cell(CONV3, NONE, NONE, NONE, SKIP, NONE), cell(CONV1, NONE, NONE, NONE, SKIP, NONE)),
    "another order": (cell(CONV3, NONE, NONE, NONE, POOL, NONE), cell(POOL, NONE, NONE, NONE, CONV3, NONE)),
    "a term more": (cell(NONE, NONE, NONE, CONV3, NONE, NONE), cell(CONV3, NONE, NONE, CONV3, SKIP, NONE)),
    "a zero term more": (cell(CONV3, NONE, NONE, NONE, SKIP, NONE), cell(NONE, CONV3, NONE, NONE, NONE, SKIP)),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_cells_of_other_structure_have_other_keys(pair: tuple[Architecture, Architecture]) -> None:
    assert SPACE.key(pair[0]) != SPACE.key(pair[1])


def test_graph_and_edge_form_hold_the_operators() -> None:
    batch = SPACE.encode([cell(NONE, SKIP, CONV1, CONV3, POOL, NONE)])
    assert batch.graph(0).operators == ("input", *(OPERATORS[gene] for gene in (NONE, SKIP, CONV1, CONV3, POOL, NONE)), "output")
    assert batch.edges is not None
    names = [batch.vocabulary[batch.edges[0, 0, source, target]] for source, target in EDGES]
    assert names == [OPERATORS[gene] for gene in (NONE, SKIP, CONV1, CONV3, POOL, NONE)]
    assert (batch.edges >= 0).sum() == len(EDGES)


def test_encoding_equals_the_general_way() -> None:
    population = [SPACE.sample(np.random.default_rng(seed)) for seed in range(20)]
    fast, slow = SPACE.encode(population), super(NASBench201, SPACE).encode(population)
    assert fast.vocabulary == slow.vocabulary
    assert np.array_equal(fast.operators, slow.operators)
    assert np.array_equal(fast.adjacency, slow.adjacency)


def test_batches_of_another_space_are_not_decoded() -> None:
    batch = SPACE.encode([cell(*[CONV3] * 6)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of nasbench201"):
        SPACE.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))
    with pytest.raises(ArchitectureError, match="batch: expected the edges of nasbench201"):
        SPACE.decode(dataclasses.replace(batch, adjacency=np.zeros_like(batch.adjacency)))
    with pytest.raises(ArchitectureError, match="between one input and one output"):
        SPACE.decode(dataclasses.replace(batch, operators=np.full_like(batch.operators, 2)))
    padded = batch.operators.copy()
    padded[0, 0, 3] = -1
    with pytest.raises(ArchitectureError, match="genotype: expected 6 operator indices"):
        SPACE.decode(dataclasses.replace(batch, operators=padded))


def test_genes_bear_the_names_of_the_edges() -> None:
    assert list(SPACE.param_space()) == ["edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3"]
    params = SPACE.params(SPACE.parse(BEST_CIFAR10))
    assert params["edge_0_3"] == "skip_connect"
    with pytest.raises(ArchitectureError, match=r"no gene 'edge_03'\. Did you mean 'edge_0_3'\?"):
        SPACE.from_params({**params, "edge_03": "none"})
    with pytest.raises(ArchitectureError, match="the gene 'edge_2_3' of nasbench201 is missing"):
        SPACE.from_params({name: value for name, value in params.items() if name != "edge_2_3"})
    with pytest.raises(ArchitectureError, match=r"params\['edge_0_1'\]: expected one of .* got 'conv'"):
        SPACE.from_params({**params, "edge_0_1": "conv"})

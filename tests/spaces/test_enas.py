from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.enas import ENAS, enas12
from archsearch.spaces.space import SearchSpace

SPACE = ENAS()
TEXT = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"
genotypes = st.tuples(*[st.sampled_from(range(len(values))) for values in SPACE.choices.values()])


def edges_of(text: str) -> set[tuple[int, int]]:
    return set(SPACE.parse(text).cells[0].edges)


def test_all_published_structures_are_read(data: Path) -> None:
    table = pq.read_table(data / "enas6.parquet", columns=["row", "ops", "skips"]).to_pydict()
    architectures = [SPACE.parse(row) for row in table["row"]]
    assert len(architectures) == 20020
    assert [str(architecture) for architecture in architectures] == table["row"]
    batch = SPACE.encode(architectures)
    assert np.array_equal(batch.operators[:, 0, 1:-1] - 2, table["ops"])
    skips = [batch.adjacency[:, 0, source, layer] for layer in range(1, 7) for source in range(layer - 1)]
    assert np.array_equal(np.transpose(skips), np.array(table["skips"], dtype=bool))
    assert SPACE.decode(batch) == architectures


def test_bits_name_the_vertices_from_the_stem_on() -> None:
    chain = {(vertex, vertex + 1) for vertex in range(7)}
    assert edges_of("[[0], [0, 0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]") == chain
    assert edges_of("[[0], [0, 1], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]") == chain | {(0, 2)}
    assert edges_of("[[0], [0, 0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1]]") == chain | {(0, 6), (4, 6)}
    assert len(edges_of("[[0], [0, 1], [0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]]")) == 7 + 15


def test_operators_have_the_published_numbers() -> None:
    text = "[[0], [1, 0], [2, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0]]"
    names = ("input", "conv3x3", "sep3x3", "conv5x5", "sep5x5", "avg3x3", "max3x3", "output")
    assert SPACE.parse(text).cells[0].node_operators == names
    assert SPACE.encode([SPACE.parse(text)]).operators.tolist() == [[[0, 2, 3, 4, 5, 6, 7, 1]]]


def test_the_text_lists_the_genes() -> None:
    assert SPACE.genotype(SPACE.parse(TEXT)) == (1, 4, 0, 5, 0, 0, 0, 1, 1, 1, 2, 1, 1, 1, 1, 3, 0, 0, 0, 0, 1)
    assert list(SPACE.choices)[:6] == ["layer1", "layer2", "skip_0_2", "layer3", "skip_0_3", "skip_1_3"]
    assert SPACE.params(SPACE.parse(TEXT))["layer6"] == "sep5x5"
    assert SPACE.params(SPACE.parse(TEXT))["skip_4_6"] == 1


def test_spaces_in_a_text_do_not_matter() -> None:
    assert SPACE.parse(f" {TEXT.replace(', ', ',')}\n") == SPACE.parse(TEXT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[:-1], "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "[4]"), "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0], ", ""), "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "[4, 0.0]"), "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "[4, true]"), "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "[4, null]"), "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "42"), "expected an ENAS structure of 6 layers"),
        ("[" * 100_000, "expected an ENAS structure of 6 layers"),
        ("9" * 10_000, "expected an ENAS structure of 6 layers"),
        ("__import__('os')", "expected an ENAS structure of 6 layers"),
        (TEXT.replace("[4, 0]", "[6, 0]"), r"operator from 0 to 5 .* got \[6, 0\] in layer 2"),
        (TEXT.replace("[4, 0]", "[-1, 0]"), r"operator from 0 to 5 .* got \[-1, 0\] in layer 2"),
        (TEXT.replace("[4, 0]", "[4, 2]"), r"skip bits 0 or 1; got \[4, 2\] in layer 2"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(text)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        SPACE.parse(None)  # type: ignore[arg-type]


def test_size_is_the_published_one() -> None:
    assert SPACE.size == SPACE.num_unique == 6**6 * 2**15
    assert enas12().size == 6**12 * 2**66
    assert len(ENAS(layers=1).choices) == 1


@settings(deadline=None, max_examples=100)
@given(genotype=genotypes, seed=st.integers(0, 2**32 - 1))
def test_keys_differ_where_graphs_are_not_isomorphic(genotype: tuple[int, ...], seed: int) -> None:
    architecture = SPACE.from_genotype(genotype)
    child = SPACE.mutate(architecture, np.random.default_rng(seed))
    assert SPACE.key(child) != SPACE.key(architecture)
    assert SearchSpace.key(SPACE, child) != SearchSpace.key(SPACE, architecture)


def test_each_depth_is_a_separate_space() -> None:
    assert (SPACE.name, enas12().name, ENAS(layers=3).name) == ("enas", "enas12", "enas3")
    assert spaces.get("enas12").encode([enas12().sample(np.random.default_rng(0))]).operators.shape == (1, 1, 14)
    assert repr(ENAS(layers=3)) == "ENAS(layers=3)"
    with pytest.raises(ArchitectureError, match="expected one of enas; got one of enas3"):
        SPACE.key(ENAS(layers=3).sample(np.random.default_rng(0)))


@pytest.mark.parametrize("layers", [0, -1, 2.0, True, "6"])
def test_layers_must_be_a_positive_whole_number(layers: object) -> None:
    with pytest.raises(ConfigurationError, match="layers: expected a whole number of at least 1"):
        ENAS(layers=layers)  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", [1, 2, 6, 12])
def test_populations_of_each_depth_are_encoded(layers: int) -> None:
    space, rng = ENAS(layers=layers), np.random.default_rng(0)
    population = [space.sample(rng) for _ in range(20)]
    batch = space.encode(population)
    assert space.decode(batch) == population
    for row, architecture in enumerate(population):
        assert set(map(tuple, np.argwhere(batch.graph(row).adjacency).tolist())) == set(architecture.cells[0].edges)


def test_decode_refuses_what_encode_does_not_give() -> None:
    batch = SPACE.encode([SPACE.parse(TEXT)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of enas "):
        SPACE.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))
    with pytest.raises(ArchitectureError, match="batch: expected graphs of enas "):
        enas = ENAS(layers=5)
        SPACE.decode(enas.encode([enas.sample(np.random.default_rng(0))]))
    for source, target in [(2, 3), (0, 7), (6, 7), (3, 2), (4, 4)]:
        adjacency = batch.adjacency.copy()
        adjacency[0, 0, source, target] ^= True
        with pytest.raises(ArchitectureError, match="a chain from one input through 6 layers to one output"):
            SPACE.decode(dataclasses.replace(batch, adjacency=adjacency))
    for vertex, operator, message in [(0, 1, "a chain"), (7, 3, "a chain"), (3, 0, "genotype"), (3, -1, "genotype")]:
        operators = batch.operators.copy()
        operators[0, 0, vertex] = operator
        with pytest.raises(ArchitectureError, match=message):
            SPACE.decode(dataclasses.replace(batch, operators=operators))

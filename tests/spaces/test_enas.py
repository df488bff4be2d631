from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.cost import Cost
from archsearch.spaces.enas import ENAS, OPERATORS, enas12
from archsearch.spaces.plan import Parameters, initial_parameters
from archsearch.spaces.space import SearchSpace

SPACE = ENAS()
TEXT = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"

genotypes = st.tuples(*[st.sampled_from(range(len(values))) for values in SPACE.choices.values()])


def edges_of(text: str) -> set[tuple[int, int]]:
    return set(SPACE.parse(text).cells[0].edges)


# Texts


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


# Size and identity


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


def test_depths_are_spaces_of_their_own() -> None:
    assert (SPACE.name, enas12().name, ENAS(layers=3).name) == ("enas", "enas12", "enas3")
    assert spaces.get("enas12").encode([enas12().sample(np.random.default_rng(0))]).operators.shape == (1, 1, 14)
    assert repr(ENAS(layers=3)) == "ENAS(layers=3)"
    with pytest.raises(ArchitectureError, match="expected one of enas; got one of enas3"):
        SPACE.key(ENAS(layers=3).sample(np.random.default_rng(0)))


@pytest.mark.parametrize("layers", [0, -1, 2.0, True, "6"])
def test_layers_must_be_a_positive_whole_number(layers: object) -> None:
    with pytest.raises(ConfigurationError, match="layers: expected a whole number of at least 1"):
        ENAS(layers=layers)  # type: ignore[arg-type]


# Graphs


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


# Networks


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def layer_output(x: Tensor, operator: str, parameters: list[Tensor]) -> Tensor:
    """Apply one of the six operators, written out."""
    mix, weight, bias, *rest = parameters
    x = normalised(F.conv2d(x, mix), weight, bias).relu()
    if operator == "avg3x3":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    if operator == "max3x3":
        return F.max_pool2d(x, 3, 1, 1)
    if operator.startswith("sep"):
        x = F.conv2d(x, rest.pop(0), padding="same", groups=x.shape[1])
    x = F.conv2d(x, rest.pop(0), padding="same")
    return normalised(x, *rest).relu()


def slow_network(text: str, parameters: Parameters, images: Tensor, halve_before: tuple[int, ...]) -> Tensor:
    """Execute a structure layer by layer, with a list of all earlier outputs."""
    stem, *affine = parameters["stem"]
    outputs = [normalised(F.conv2d(images, stem, padding=1), *affine)]
    for layer, architecture_row in enumerate(json.loads(text), start=1):
        operator, *bits = architecture_row
        if layer in halve_before:
            for vertex in range(layer):
                name = f"layer{layer}_reduction{vertex}"
                if name in parameters:
                    even, odd, *affine = parameters[name]
                    shifted = F.pad(outputs[vertex], (0, 1, 0, 1))[:, :, 1:, 1:]
                    paths = [F.conv2d(outputs[vertex], even, stride=2), F.conv2d(shifted, odd, stride=2)]
                    outputs[vertex] = normalised(torch.cat(paths, 1), *affine)
        x = layer_output(outputs[-1], OPERATORS[operator], list(parameters[f"layer{layer}_operator"]))
        if layer > 1:
            x = sum((outputs[source] for source, bit in enumerate(bits) if bit), x)
            x = normalised(x, *parameters[f"layer{layer}_bn"])
        outputs.append(x)
    return F.linear(outputs[-1].mean((2, 3)), *parameters["classifier"])


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("growth", [1, 2])
def test_the_network_is_the_published_one(growth: int, size: int) -> None:
    rng, images = np.random.default_rng(0), torch.randn(3, 2, size, size, generator=torch.Generator().manual_seed(0))
    for text in (TEXT, *(str(SPACE.sample(rng)) for _ in range(4))):
        plan = SPACE.plan(SPACE.parse(text), 5, 2, channels=4, stages=3, growth=growth)
        parameters = initial_parameters(plan, torch.Generator().manual_seed(1))
        expected = slow_network(text, parameters, images, halve_before=(3, 5))
        torch.testing.assert_close(plan.apply(images, parameters)[0], expected)


def test_cost_in_closed_form() -> None:
    architecture = SPACE.parse("[[0], [0, 0], [1, 0, 0], [1, 0, 0, 0], [4, 0, 0, 0, 0], [5, 1, 0, 0, 0, 0]]")
    c, d, e = 4, 8, 16
    stem, conv, sep = 27 * c, c * c + 9 * c * c, d * d + 9 * d + d * d
    # The stem is read by the last layer, so it is reduced twice, as is the chain.
    first, second, pool = 2 * c * d, 2 * d * e, e * e
    norms = 2 * (c + 2 * c + c + 2 * c + 4 * d + 2 * d + 4 * e + 2 * d + 2 * e)
    params = stem + 2 * conv + 2 * sep + first + second + 2 * pool + norms + 10 * e + 10
    macs = 64 * (stem + 2 * conv) + 16 * (first + 2 * sep) + 4 * (second + 2 * pool) + 10 * (e + 1)
    assert SPACE.cost(architecture, (3, 8, 8), channels=4, growth=2) == Cost(params, macs)


@pytest.mark.parametrize(("stages", "sizes"), [(1, {8}), (2, {8, 4}), (3, {8, 4, 2}), (4, {8, 4, 2, 1})])
def test_stages_halve_the_size(stages: int, sizes: set[int]) -> None:
    plan = enas12().plan(enas12().sample(np.random.default_rng(0)), 5, 3, channels=4, stages=stages, growth=1)
    assert {shape[1] for shape in plan.shapes((3, 8, 8)) if len(shape) == 3} == sizes


def test_nothing_that_is_not_read_is_reduced() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        plan = SPACE.plan(SPACE.sample(rng), 5, 3, channels=4, stages=3, growth=1)
        assert len(plan.live_steps) == len(plan.steps)


def test_there_are_no_more_stages_than_layers() -> None:
    with pytest.raises(ConfigurationError, match=r"scale\['stages'\]: expected at most 6, one for each layer; got 7"):
        SPACE.build(SPACE.parse(TEXT), stages=7)

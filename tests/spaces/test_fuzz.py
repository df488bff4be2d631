"""Random strings, genotypes, parameters, graphs and walks of mutations: each space accepts them or raises ArchitectureError.

The usual run is short and always the same. ARCHSEARCH_FUZZ_SECONDS=3600 repeats it for that time with a new seed each
round, and prints the outcomes of the examples of each space and property:

    ARCHSEARCH_FUZZ_SECONDS=3600 pytest tests/spaces/test_fuzz.py
"""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.errors import ArchitectureError
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.canonical import live_part
from archsearch.spaces.cells import Cells
from archsearch.spaces.enas import ENAS
from archsearch.spaces.graph import INPUT, Graph, GraphBatch, pack
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import EDGES
from archsearch.spaces.space import SearchSpace

CUSTOM_SPACE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "own_space.py"))["Feedforward"]
SECONDS = float(os.environ.get("ARCHSEARCH_FUZZ_SECONDS", "0"))
SPACES: Mapping[str, SearchSpace] = {
    **{name: spaces.get(name) for name in spaces.names()},
    "anytime of three cells": Anytime(nodes=(5, 3, 2), exit_probability=0.5),
    "anytime of one cell": Anytime(nodes=(4,), in_degree="two"),
    "cells of 7 nodes": Cells(nodes=7),
    "cells of chains": Cells(nodes=9, in_degree="one"),
    "cells of pairs": Cells(nodes=6, in_degree="two"),
    "enas of 2 layers": ENAS(layers=2),
    "custom space": CUSTOM_SPACE(),
    "nasbench101, uniform": NASBench101(sampler="uniform"),
}
LISTED = {"nasbench101, uniform"}  # lists all cells first, which takes as long as the whole usual run
TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
ODD_TOKENS = (
    *("", " ", "\n", "\x00", "\ud800", "\u0663", "[", "]", "[]", "{}", "(", ")", ",", "~", "|", "+", "'", '"', "\\"),
    *(
        "-1",
        "-0",
        "00",
        "1.0",
        "1e0",
        "1e999",
        "NaN",
        "Infinity",
        "null",
        "true",
        "1_0",
        "9" * 5000,
        "[" * 3000,
        "input",
        "output",
    ),
)
VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3), st.lists(st.integers()))
)


def relabelled(graph: Graph, rng: np.random.Generator, blocks: Sequence[list[int]]) -> Graph:
    """Return a graph with its blocks of nodes, and the nodes in a block but the last, in another order; inputs stay first."""
    order: list[int] = []
    left = list(blocks)
    while left:
        ready = [block for block in left if set(np.flatnonzero(graph.adjacency[:, block].any(axis=1))) <= {*order, *block}]
        inputs = [block for block in ready if graph.operators[block[0]] == INPUT]
        chosen = inputs[0] if inputs else ready[int(rng.integers(len(ready)))]
        order += [*rng.permutation(chosen[:-1]).tolist(), chosen[-1]]
        left.remove(chosen)
    return Graph(tuple(graph.operators[node] for node in order), graph.adjacency[np.ix_(order, order)])


def isomorphic(left: Sequence[Graph], right: Sequence[Graph]) -> bool:
    """Return whether the live parts of two lists of cells are isomorphic, by placing one node after the other."""
    return all(_placed((live_part(one), live_part(other))) for one, other in zip(left, right, strict=True))


def _placed(graphs: tuple[Graph, Graph]) -> bool:
    kinds = [_kinds(graph) for graph in graphs]
    (left, right), size = (graph.adjacency for graph in graphs), len(kinds[0])

    def placed(places: list[int]) -> bool:
        node = len(places)
        free = [place for place in range(size) if place not in places and kinds[1][place] == kinds[0][node]]
        fitting = [place for place in free if (left[:node, node] == right[places, place]).all()]
        return any(node + 1 == size or placed([*places, place]) for place in fitting)

    return sorted(kinds[0]) == sorted(kinds[1]) and (size == 0 or placed([]))


def _kinds(graph: Graph) -> list[str]:
    """Return the label of each node with those of the nodes around it, four edges far."""
    kinds = list(graph.operators)
    for _ in range(4):
        around = [
            [sorted(kinds[other] for other in row.nonzero()[0]) for row in way] for way in (graph.adjacency, graph.adjacency.T)
        ]
        kinds = [hashlib.sha256(repr(parts).encode()).hexdigest() for parts in zip(kinds, *around, strict=True)]
    return kinds


def sums(architecture: Architecture, flat: bool) -> Any:
    """Return the output of a nasbench201 cell as nested sums with their zeros, or with the sums in a sum dissolved."""
    values: list[Any] = [["x"]]
    operators = dict(zip(EDGES, architecture.cells[0].edge_operators, strict=True))
    for target in (1, 2, 3):
        terms: list[Any] = []
        for source in range(target):
            operator, value = operators[source, target], values[source]
            zero = operator == "none" or value == ["zero"]
            term = ["zero"] if zero else value if operator == "skip_connect" else [(operator, value)]
            terms += term if flat or len(term) == 1 else [term]
        values.append(sorted(terms, key=repr))
    return values[-1]


def population(space: SearchSpace, data: st.DataObject, count: int) -> list[Architecture]:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed of the samples"))
    return [space.sample(rng) for _ in range(count)]


def check(space: SearchSpace, architecture: Architecture) -> None:
    """Assert that all forms of an architecture lead back to it, with its text and key."""
    assert architecture.space == space.name
    text, key, sizes = str(architecture), space.key(architecture), [len(values) for values in space.choices.values()]
    parsed = space.parse(text)
    assert parsed == architecture and str(parsed) == text and space.key(parsed) == key
    genotype = space.genotype(architecture)
    assert all(0 <= gene < size for gene, size in zip(genotype, sizes, strict=True)), genotype
    assert space.from_genotype(genotype) == architecture
    assert space.from_params(space.params(architecture)) == architecture
    batch = space.encode([architecture])
    assert space.decode(batch) == [architecture] and space.keys(batch) == [key]


def outcome(space: SearchSpace, make: Callable[[], Architecture]) -> str:
    """Return whether something was refused; what was taken must be a sound architecture."""
    try:
        architecture = make()
    except ArchitectureError as error:
        assert str(error) and "\n" not in str(error), "a message has one line"
        return "refused"
    check(space, architecture)
    return "taken"


def may_share_a_key(space: SearchSpace, left: Architecture, right: Architecture) -> set[bool]:
    """Return the possible answers to whether two architectures share a key: both where only the published identity decides."""
    if space.name == "nasbench201":  # its sums are strings, sorted and joined: some are flattened, and some not
        return {sums(left, flat) == sums(right, flat) for flat in (False, True)}
    return {isomorphic(space.graphs(left), space.graphs(right))}


def arbitrary_texts(space: SearchSpace, data: st.DataObject) -> str:
    letters = st.sampled_from(sorted(set("".join(map(str, population(space, data, 1))))))
    text: Any = data.draw(st.one_of(st.text(), st.text(letters), VALUES, st.lists(st.sampled_from(ODD_TOKENS)).map("".join)))
    return outcome(space, lambda: space.parse(text))


def damaged_texts(space: SearchSpace, data: st.DataObject) -> str:
    """Delete, repeat, exchange and insert pieces of the text of an architecture."""
    other = SPACES[data.draw(st.sampled_from([*SPACES, *[None] * len(SPACES)])) or "nasbench201"]
    tokens, donor = (TOKEN.findall(str(population(source, data, 1)[0])) for source in (space, other))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(tokens)))
        end = data.draw(st.integers(place, min(len(tokens), place + 8)))
        piece, first = tokens[place:end], data.draw(st.integers(0, len(donor)))
        alike = [token for token in tokens if piece and token.isalnum() and token.isdigit() == piece[0].isdigit()]
        exchanged = [[token, *piece[1:]] for token in dict.fromkeys(alike)]
        pieces = [[], piece * 2, piece[::-1], donor[first : first + len(piece)]]
        odd = [[token] for token in ODD_TOKENS]
        tokens[place:end] = data.draw(st.one_of(st.sampled_from(pieces), st.sampled_from(odd), st.sampled_from(exchanged or odd)))
    return outcome(space, lambda: space.parse("".join(tokens)))


def samples(space: SearchSpace, data: st.DataObject) -> str:
    architectures = population(space, data, 2)
    for architecture in architectures:
        check(space, architecture)
    batch = space.encode(architectures)
    assert space.decode(batch) == architectures and space.keys(batch) == [space.key(drawn) for drawn in architectures]
    return "taken"


def walks_of_mutations(space: SearchSpace, data: st.DataObject) -> str:
    (parent,) = population(space, data, 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for _ in range(data.draw(st.integers(1, 12))):
        child = space.mutate(parent, rng)
        changed = sum(left != right for left, right in zip(space.genotype(parent), space.genotype(child), strict=True))
        assert changed >= 1 if space.constrained else changed == 1, f"{changed} genes differ between {parent} and {child}"
        parent = child
    check(space, parent)
    return "taken"


def keys_of_pairs(space: SearchSpace, data: st.DataObject) -> str:
    """Two architectures share a key if and only if they have one structure, and then of course also canonical forms."""
    left, right = population(space, data, 2)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(["independent", "of few alternatives", "near"]))
    if kind == "of few alternatives":
        left, right = (space.from_genotype([min(gene, 1) for gene in space.genotype(one)]) for one in (left, right))
    if kind == "near":
        near = [left]
        for _ in range(data.draw(st.integers(0, 3))):
            near.append(space.mutate(near[-1], rng))
        right = near[-1]
    equal = space.key(left) == space.key(right)
    assert equal in may_share_a_key(space, left, right), f"{left} and {right}"
    return "equal keys" if equal else "other keys"


def relabelled_graphs(space: SearchSpace, data: st.DataObject) -> str:
    """The same graphs with their nodes in another order have the same key, or are no encoding of the space."""
    (architecture,) = population(space, data, 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    graphs = []
    for graph in space.graphs(architecture):
        blocks = [[node] for node in range(len(graph.operators))]
        if space.name == "nasnet":  # a step is written as its two operators and their sum
            blocks[2:-1] = [[node, node + 1, node + 2] for node in range(2, len(blocks) - 1, 3)]
        graphs.append(relabelled(graph, rng, blocks))
    try:
        (other,) = space.decode(pack([graphs], space.vocabulary))
    except ArchitectureError:
        return "refused"
    assert space.key(other) == space.key(architecture), f"{other} and {architecture}"
    check(space, other)
    return "same text" if other == architecture else "other text"


def damaged_graphs(space: SearchSpace, data: st.DataObject) -> str:
    """Graphs with other operators or edges are refused, or read as architectures with just these graphs."""
    batch = space.encode(population(space, data, 1))
    operators, adjacency = batch.operators.copy(), batch.adjacency.copy()
    cells, nodes = operators.shape[1:]
    node = st.integers(0, nodes - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        cell, source, target = data.draw(st.tuples(st.integers(0, cells - 1), node, node))
        if data.draw(st.booleans()):
            operators[0, cell, source] = data.draw(st.integers(-1, len(batch.vocabulary)))
        else:
            source, target = data.draw(st.sampled_from([(min(source, target), max(source, target)), (source, target)]))
            adjacency[0, cell, source, target] ^= True
    damaged = GraphBatch(batch.vocabulary, operators, adjacency)

    def read() -> Architecture:
        (architecture,) = space.decode(damaged)
        graphs = [damaged.graph(0, cell) for cell in range(cells)]
        assert isomorphic(graphs, space.graphs(architecture)), f"{architecture} is no reading of {graphs}"
        return architecture

    return outcome(space, read)


def arbitrary_genotypes(space: SearchSpace, data: st.DataObject) -> str:
    """Lists of any length, genes at the border of their range, and genotypes that are valid but for one gene."""
    sizes = [len(values) for values in space.choices.values()]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    genotype = [int(rng.integers(size)) for size in sizes]
    for _ in range(data.draw(st.integers(0, 2))):
        gene = data.draw(st.integers(0, len(sizes) - 1))
        genotype[gene] = data.draw(st.one_of(st.sampled_from([-1, sizes[gene] - 1, sizes[gene]]), st.integers()))
    drawn = data.draw(st.one_of(*[st.just(genotype)] * 3, st.lists(st.integers(-1, 7)), st.lists(st.integers())))
    return outcome(space, lambda: space.from_genotype(drawn))


def arbitrary_parameters(space: SearchSpace, data: st.DataObject) -> str:
    (architecture,) = population(space, data, 1)
    params, genes = space.params(architecture), list(space.choices)
    for _ in range(data.draw(st.integers(0, 2))):
        gene = data.draw(st.sampled_from(genes))
        params[gene] = data.draw(st.one_of(*[st.sampled_from(list(space.choices[gene]))] * 3, VALUES))
    if data.draw(st.integers(0, 9)) == 0:
        params[data.draw(st.text())] = params.pop(data.draw(st.sampled_from(genes)), None)
    return outcome(space, lambda: space.from_params(params))


PROPERTIES: tuple[Callable[[SearchSpace, st.DataObject], str], ...] = (
    arbitrary_texts,
    damaged_texts,
    samples,
    walks_of_mutations,
    keys_of_pairs,
    relabelled_graphs,
    damaged_graphs,
    arbitrary_genotypes,
    arbitrary_parameters,
)


def examine(name: str, law: Callable[[SearchSpace, st.DataObject], str], examples: int, random_seed: int | None) -> Counter[str]:
    """Run a property on examples, always the same ones without a seed, and return their outcomes."""
    counts: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=random_seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        counts[law(SPACES[name], data)] += 1

    (run if random_seed is None else seed(random_seed)(run))()
    return counts


@pytest.mark.parametrize("law", PROPERTIES)
@pytest.mark.parametrize("name", [name for name in SPACES if name not in LISTED])
def test_a_few_examples(name: str, law: Callable[[SearchSpace, st.DataObject], str]) -> None:
    assert examine(name, law, 6, None).total() > 0


@pytest.mark.parametrize("cases", [100, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_texts(cases: int) -> None:
    """At least `cases` strings in all, an equal number for each space."""
    names = [name for name in SPACES if name not in LISTED]
    each = -(-cases // (2 * len(names)))
    counts = [examine(name, law, each, None) for name in names for law in (arbitrary_texts, damaged_texts)]
    assert sum(found.total() for found in counts) >= cases
    assert sum(found["refused"] for found in counts) > cases / 2


@pytest.mark.skipif(not SECONDS, reason="ARCHSEARCH_FUZZ_SECONDS is unset; set it to the seconds to go on for")
@pytest.mark.timeout(0)
def test_for_the_given_time(capsys: pytest.CaptureFixture[str]) -> None:
    counts: dict[tuple[str, str], Counter[str]] = {(name, law.__name__): Counter() for name in SPACES for law in PROPERTIES}
    start = reported = time.monotonic()
    while time.monotonic() < start + SECONDS:
        for name in SPACES:
            for law in PROPERTIES:
                number = secrets.randbits(32)
                try:
                    counts[name, law.__name__] += examine(name, law, 100, number)
                except BaseException as error:
                    error.add_note(f"{law.__name__} of {name}, seed {number}")
                    raise
        if time.monotonic() > reported + 300 or time.monotonic() > start + SECONDS:
            reported = time.monotonic()
            with capsys.disabled():
                print(f"\nafter {reported - start:,.0f} s: {sum(c.total() for c in counts.values()):,} examples")
                for (name, law_name), found in counts.items():
                    print(f"  {name:24}{law_name:24}{found.total():9,}  {dict(found)}", flush=True)

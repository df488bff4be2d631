"""Conformance tests that every search space must pass, for authors of custom search spaces.

Example:
    A test file for a custom space; pytest collects the inherited tests.

    >>> from archsearch.spaces.cells import Cells
    >>> from archsearch.spaces.conformance import SpaceConformance
    >>> class TestSmallCells(SpaceConformance):
    ...     def make_space(self):
    ...         return Cells(nodes=5)
"""

from __future__ import annotations

import pickle
import string
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.graph import INPUT, OUTPUT
from archsearch.spaces.network import Network
from archsearch.spaces.space import SearchSpace


class SpaceConformance:
    """Tests of one search space. Subclass it, return the space from `make_space`, and let pytest run it.

    Attributes:
        num_samples: Architectures drawn for the tests of strings, genotypes, keys and graphs.
        num_networks: Architectures whose networks are built and run.
        input_shape: Shape of an image, `(channels, height, width)`.
        num_classes: Number of classes of the networks.
        walk: Mutations allowed for each alternative of each gene before the gene counts as unreachable.
    """

    num_samples: ClassVar[int] = 40
    num_networks: ClassVar[int] = 4
    input_shape: ClassVar[tuple[int, int, int]] = (3, 16, 16)
    num_classes: ClassVar[int] = 7
    walk: ClassVar[int] = 60

    def make_space(self) -> SearchSpace:
        """Return the space under test."""
        raise NotImplementedError("make_space: return the space under test.")

    def scale(self) -> Mapping[str, int]:
        """Return scale settings that make the networks small; an empty mapping uses the defaults of the space."""
        return {}

    def population(self, space: SearchSpace, count: int | None = None, seed: int = 0) -> list[Architecture]:
        """Return architectures sampled from the space, `num_samples` by default."""
        rng = np.random.default_rng(seed)
        return [space.sample(rng) for _ in range(self.num_samples if count is None else count)]

    def network(self, space: SearchSpace, architecture: Architecture, generator: torch.Generator | None = None) -> Network:
        """Return a small network of an architecture."""
        return space.build(architecture, self.num_classes, self.input_shape[0], generator, **self.scale())

    def images(self, batch: int = 4) -> Tensor:
        """Return random images `[batch, channels, height, width]`."""
        return torch.randn((batch, *self.input_shape), generator=torch.Generator().manual_seed(0))

    def check_mutation(self, space: SearchSpace, parent: Architecture, child: Architecture) -> None:
        """Assert that a mutation changes one gene, or at least one in a constrained space; override it for a stricter check."""
        before, after = space.genotype(parent), space.genotype(child)
        if space.constrained:
            assert before != after, f"a mutation changes {parent}"
            return
        changed = sum(left != right for left, right in zip(before, after, strict=True))
        assert changed == 1, f"a mutation changes one gene; {changed} differ between {parent} and {child}"

    # Strings, genotypes, parameters

    def test_string_round_trip(self) -> None:
        space = self.make_space()
        for architecture in self.population(space):
            parsed = space.parse(str(architecture))
            assert parsed == architecture, f"parse(str(a)) gives {parsed!r} for {architecture!r}"
            assert str(parsed) == str(architecture)
            assert space.key(parsed) == space.key(architecture)

    def test_genotype_round_trip(self) -> None:
        space = self.make_space()
        sizes = [len(alternatives) for alternatives in space.choices.values()]
        population = self.population(space)
        for architecture in population:
            genotype = space.genotype(architecture)
            assert len(genotype) == len(sizes)
            assert all(0 <= gene < size for gene, size in zip(genotype, sizes, strict=True)), genotype
            assert space.from_genotype(genotype) == architecture
        rows = space.genotypes(population)
        assert [tuple(row) for row in rows.tolist()] == [space.genotype(architecture) for architecture in population]

    def test_params_round_trip(self) -> None:
        space = self.make_space()
        domains = space.param_space()
        assert {name: list(values) for name, values in domains.items()} == {k: list(v) for k, v in space.choices.items()}
        for architecture in self.population(space):
            params = space.params(architecture)
            assert list(params) == list(domains)
            assert all(value in domains[name] for name, value in params.items()), params
            assert space.from_params(params) == architecture

    def test_wrong_genotypes_and_params_are_refused(self) -> None:
        space = self.make_space()
        architecture = self.population(space, 1)[0]
        genotype, params = list(space.genotype(architecture)), space.params(architecture)
        gene = next(iter(params))
        assert _refuses(partial(space.from_genotype, genotype[:-1])), "a genotype that is too short"
        assert _refuses(partial(space.from_genotype, [len(space.choices[gene]), *genotype[1:]])), "a gene out of range"
        assert _refuses(partial(space.from_genotype, [-1, *genotype[1:]])), "a negative gene"
        assert _refuses(partial(space.from_params, {**params, "no-such-gene": 0})), "an unknown gene"
        assert _refuses(partial(space.from_params, {k: v for k, v in params.items() if k != gene})), "a missing gene"
        assert _refuses(partial(space.from_params, {**params, gene: "no-such-value"})), "an unknown value"

    def test_malformed_strings_are_refused(self) -> None:
        space = self.make_space()
        rng = np.random.default_rng(1)
        for text in ("", " ", "no architecture", "|", "[]", "{}", "0"):
            assert _refuses(partial(space.parse, text)), f"text {text!r}"
        for architecture in self.population(space):
            text = str(architecture)
            place = int(rng.integers(len(text)))
            letter = string.printable[int(rng.integers(len(string.printable)))]
            before, after = text[:place], text[place + 1 :]
            for damaged in (before, before + letter + after, before + after, text + letter):
                self._check_damaged(space, damaged)

    def _check_damaged(self, space: SearchSpace, text: str) -> None:
        """Assert that a possibly malformed string is parsed or raises ArchitectureError."""
        try:
            parsed = space.parse(text)
        except ArchitectureError:
            return
        assert space.parse(str(parsed)) == parsed
        assert space.from_genotype(space.genotype(parsed)) == parsed

    # Sampling and mutation

    def test_samples_are_valid_and_varied(self) -> None:
        space = self.make_space()
        population = self.population(space)
        assert all(architecture.space == space.name for architecture in population)
        assert len(set(population)) > 1
        assert self.population(space) == population, "the same seed gives the same samples"
        assert self.population(space, seed=1) != population, "another seed gives other samples"

    def test_mutations_are_valid_neighbours(self) -> None:
        space = self.make_space()
        rng, again = np.random.default_rng(2), np.random.default_rng(2)
        for parent in self.population(space):
            child = space.mutate(parent, rng)
            assert child.space == space.name
            assert space.parse(str(child)) == child
            assert space.mutate(parent, again) == child, "the same generator state gives the same mutation"
            self.check_mutation(space, parent, child)

    def test_mutations_reach_each_alternative(self) -> None:
        space = self.make_space()
        rng = np.random.default_rng(3)
        missing = {(gene, value) for gene, values in enumerate(space.choices.values()) for value in range(len(values))}
        architecture = self.population(space, 1)[0]
        for _ in range(self.walk * len(missing)):
            if not missing:
                break
            missing -= set(enumerate(space.genotype(architecture)))
            architecture = space.mutate(architecture, rng)
        assert not missing, f"a random walk of mutations never reaches these (gene, alternative): {sorted(missing)}"

    def test_mutations_reach_any_architecture(self) -> None:
        space = self.make_space()
        rng = np.random.default_rng(4)
        start, goal = self.population(space, 2, seed=5)
        target = np.array(space.genotype(goal))
        architecture = start
        for _ in range(self.walk * sum(len(values) for values in space.choices.values())):
            if architecture == goal:
                break
            child = space.mutate(architecture, rng)
            near, far = (np.count_nonzero(np.array(space.genotype(a)) != target) for a in (child, architecture))
            # In a constrained space the only path may lead through a child that is further away.
            if near <= far or (space.constrained and rng.integers(len(target)) == 0):
                architecture = child
        assert architecture == goal, f"mutations that are accepted if they lead towards {goal} end at {architecture}"

    # Identity

    def test_architectures_and_space_survive_pickling(self) -> None:
        space = self.make_space()
        copy = pickle.loads(pickle.dumps(space))
        for architecture in self.population(space):
            loaded = pickle.loads(pickle.dumps(architecture))
            assert loaded == architecture
            assert hash(loaded) == hash(architecture)
            assert copy.key(loaded) == space.key(architecture)

    def test_samples_and_keys_are_equal_in_a_fresh_process(self) -> None:
        space = self.make_space()
        expected = [[str(architecture), space.key(architecture)] for architecture in self.population(space)]
        draw = f"(lambda rng: [subject.sample(rng) for _ in range({self.num_samples})])"
        rng = "importlib.import_module('numpy').random.default_rng(0)"
        fresh = in_fresh_process(space, f"[[str(drawn), subject.key(drawn)] for drawn in {draw}({rng})]")
        assert fresh == expected, "samples or keys differ in a fresh process"

    def test_architectures_of_another_space_are_refused(self) -> None:
        space = self.make_space()
        foreign = replace(self.population(space, 1)[0], space="another")
        uses: dict[str, Callable[[], Any]] = {
            "genotype": lambda: space.genotype(foreign),
            "params": lambda: space.params(foreign),
            "key": lambda: space.key(foreign),
            "mutate": lambda: space.mutate(foreign, np.random.default_rng(0)),
            "encode": lambda: space.encode([foreign]),
            "build": lambda: space.build(foreign),
            "cost": lambda: space.cost(foreign),
        }
        for name, use in uses.items():
            assert _refuses(use), f"{name} accepts an architecture of another space"

    # Graphs

    def test_encode_and_decode_are_inverse(self) -> None:
        space = self.make_space()
        population = self.population(space)
        batch = space.encode(population)
        assert len(batch) == len(population)
        assert space.decode(batch) == population
        assert space.decode(batch[3:5]) == population[3:5]
        assert space.keys(batch) == [space.key(architecture) for architecture in population]
        assert space.decode(space.encode([])) == []

    def test_graph_batch_is_well_formed(self) -> None:
        space = self.make_space()
        population = self.population(space)
        batch = space.encode(population)
        size, cells, nodes = batch.operators.shape
        assert batch.vocabulary == space.vocabulary
        assert batch.vocabulary[:2] == (INPUT, OUTPUT)
        assert (size, cells) == (len(population), len(space.graphs(population[0])))
        assert batch.operators.dtype == np.int8
        assert batch.operators.min() >= -1
        assert batch.operators.max() < len(batch.vocabulary)
        assert batch.adjacency.shape == (size, cells, nodes, nodes)
        assert batch.adjacency.dtype == np.bool_
        assert not np.tril(batch.adjacency).any(), "edges run forwards"
        padding = batch.operators < 0
        assert not batch.adjacency[padding].any(), "no edge leaves a padded node"
        assert not batch.adjacency.swapaxes(2, 3)[padding].any(), "no edge enters a padded node"
        if batch.edges is not None:
            width = batch.edges.shape[-1]
            slots = batch.edges.shape[2:-2]
            assert len(slots) <= 1
            assert batch.edges.shape == (size, cells, *slots, width, width)
            assert batch.edges.dtype == np.int8
            assert (batch.edges[..., *np.tril_indices(width)] == -1).all(), "edges run forwards"

    def test_graph_batch_holds_the_graphs(self) -> None:
        space = self.make_space()
        population = self.population(space)
        batch = space.encode(population)
        for row, architecture in enumerate(population):
            for cell, graph in enumerate(space.graphs(architecture)):
                held = batch.graph(row, cell)
                assert held.operators == graph.operators
                assert np.array_equal(held.adjacency, graph.adjacency)

    # Networks and costs

    def test_cost_equals_that_of_the_network(self) -> None:
        space = self.make_space()
        for architecture in self.population(space, self.num_networks):
            cost = space.cost(architecture, self.input_shape, self.num_classes, **self.scale())
            network = self.network(space, architecture)
            assert cost.params == sum(parameter.numel() for parameter in network.parameters())
            live = {slot for slot, _, _ in network.plan.live_steps}
            shapes = network.plan.shapes(self.input_shape)
            dead = sum(
                step.operator.macs(*(shapes[source] for source in step.inputs))
                for slot, step in enumerate(network.plan.steps, start=1)
                if slot not in live
            )
            assert cost.macs == _traced_macs(network, self.images(1)) + dead, str(architecture)

    def test_cost_equals_that_of_the_plan(self) -> None:
        space = self.make_space()
        channels, height, width = self.input_shape
        for architecture in self.population(space):
            plan = space.plan(architecture, self.num_classes, channels, **self.scale())
            for shape in (self.input_shape, (channels, height + 1, 2 * width - 1)):
                cost = space.cost(architecture, shape, self.num_classes, **self.scale())
                assert cost == plan.cost(shape), f"cost and plan differ for {architecture} and images of shape {shape}"

    def test_network_trains(self) -> None:
        space = self.make_space()
        labels = torch.arange(4) % self.num_classes
        for architecture in self.population(space, self.num_networks):
            network = self.network(space, architecture).train()
            before = [parameter.detach().clone() for parameter in network.parameters()]
            logits = network(self.images())
            exits = logits if isinstance(logits, list) else [logits]
            assert all(tensor.shape == (4, self.num_classes) for tensor in exits)
            loss = torch.stack([F.cross_entropy(tensor, labels) for tensor in exits]).sum()
            loss.backward()
            torch.optim.SGD(network.parameters(), lr=0.1).step()
            assert torch.isfinite(loss)
            changed = [not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]
            assert any(changed), f"a training step changes no parameter of {architecture}"

    def test_plan_computes_what_the_network_computes(self) -> None:
        space = self.make_space()
        for architecture in self.population(space, self.num_networks):
            network = self.network(space, architecture).train()
            parameters = dict.fromkeys(network.plan.operators, ()) | {
                name: tuple(module.parameters()) for name, module in network.steps.items()
            }
            with torch.no_grad():
                expected = network(self.images())
                computed = network.plan.apply(self.images(), parameters)
            for left, right in zip(computed, expected if isinstance(expected, list) else [expected], strict=True):
                assert torch.equal(left, right)

    def test_network_is_determined_by_its_seed(self) -> None:
        space = self.make_space()
        architecture = self.population(space, 1)[0]
        first, again, other = (
            self.network(space, architecture, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
        )
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not all(torch.equal(first[name], other[name]) for name in first)


def _refuses(use: Callable[[], Any]) -> bool:
    """Return whether the call raises ArchitectureError."""
    try:
        use()
    except ArchitectureError:
        return True
    return False


def _addmm_flops(bias: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """Return the FLOPs of a linear layer with bias, counted as in `Cost.macs`; one MAC is two FLOPs."""
    return 2 * int(left[0]) * int(right[1]) * (int(left[1]) + 1)


def _traced_macs(network: Network, images: Tensor) -> int:
    """Return the multiply-accumulates that torch executes for one image, by its own counter."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm: _addmm_flops}) as counter, torch.no_grad():
        network.eval()(images)
    return int(counter.get_total_flops()) // 2

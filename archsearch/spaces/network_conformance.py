"""The tests that the networks and costs of any search space must pass; a part of the space conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archsearch.spaces.architecture import Architecture
from archsearch.spaces.network import Network
from archsearch.spaces.space import SearchSpace


class NetworkConformance:
    """Tests of the networks of one space; `SpaceConformance` adds the others.

    Attributes:
        num_samples: Architectures drawn for the tests of texts, genotypes, keys and graphs.
        num_networks: Architectures whose networks are built and run.
        input_shape: Shape of an image, `(channels, height, width)`.
        num_classes: Classes of the networks.
    """

    num_samples: ClassVar[int] = 40
    num_networks: ClassVar[int] = 4
    input_shape: ClassVar[tuple[int, int, int]] = (3, 16, 16)
    num_classes: ClassVar[int] = 7

    def make_space(self) -> SearchSpace:
        """Return the space under test."""
        raise NotImplementedError("make_space: return the space under test.")

    def scale(self) -> Mapping[str, int]:
        """Return settings that make small networks; none takes the space's defaults."""
        return {}

    def population(self, space: SearchSpace, count: int | None = None, seed: int = 0) -> list[Architecture]:
        """Return architectures drawn from the space."""
        rng = np.random.default_rng(seed)
        return [space.sample(rng) for _ in range(self.num_samples if count is None else count)]

    def network(self, space: SearchSpace, architecture: Architecture, generator: torch.Generator | None = None) -> Network:
        """Return a small network of an architecture."""
        return space.build(architecture, self.num_classes, self.input_shape[0], generator, **self.scale())

    def images(self, batch: int = 4) -> Tensor:
        """Return random images `[batch, channels, height, width]`."""
        return torch.randn((batch, *self.input_shape), generator=torch.Generator().manual_seed(0))

    def test_cost_is_that_of_the_network(self) -> None:
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

    def test_cost_is_that_of_the_plan(self) -> None:
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
            assert any(changed), f"a step of training changes nothing in {architecture}"

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

    def test_network_is_that_of_its_seed(self) -> None:
        space = self.make_space()
        architecture = self.population(space, 1)[0]
        first, again, other = (
            self.network(space, architecture, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
        )
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not all(torch.equal(first[name], other[name]) for name in first)


def _addmm_flops(bias: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """Count a linear layer with its bias, as `Cost.macs` does; one MAC is two FLOPs."""
    return 2 * int(left[0]) * int(right[1]) * (int(left[1]) + 1)


def _traced_macs(network: Network, images: Tensor) -> int:
    """Return the multiply-accumulates of what torch executes for one image."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm: _addmm_flops}) as counter, torch.no_grad():
        network.eval()(images)
    return int(counter.get_total_flops()) // 2

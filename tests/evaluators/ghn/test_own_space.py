"""A user-defined space: graph hypernetworks, shared weights and short trainings need no code for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from archsearch.errors import ArchitectureError
from archsearch.evaluators import GHN, OneShot, SGDSteps
from archsearch.evaluators.ghn.vocabulary import survey
from archsearch.spaces import Architecture, Builder, Cell, GeneSpace, Graph
from archsearch.spaces.operators import GlobalAveragePool, Linear, MaxPool, Operator, Shape, Sum, conv_bn


@dataclass(frozen=True)
class Gate(Operator):
    """`y = g * x + b` with a gate and a shift for each channel: an operator that the package does not have."""

    channels: int
    sharpness: int = 1

    def parameter_shapes(self) -> Mapping[str, Shape]:
        return {"gate": (self.channels,), "bias": (self.channels,)}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.ones(self.channels), torch.zeros(self.channels))

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(
        self, inputs: Sequence[Tensor], parameters: Sequence[Tensor] = (), buffers: Sequence[Tensor] = (), training: bool = True
    ) -> Tensor:
        gate, bias = (tensor[:, None, None] for tensor in parameters)
        return inputs[0] * gate**self.sharpness + bias


class Ladder(GeneSpace):
    """Two layers, each a convolution, a gate or a pool, with an exit after each."""

    name = "ladder"
    operators = ("conv", "gate", "sharp", "pool")
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {"first": operators, "second": operators}
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 6}

    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        return (Cell(4, ((0, 1), (1, 2), (0, 2), (2, 3)), ("input", genes["first"], genes["second"], "output")),)

    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        return dict(zip(("first", "second"), graphs[0].operators[1:-1], strict=True))

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> tuple[int, ...]:
        channels, exits = scale["channels"], []
        known = {"conv": conv_bn(channels, channels, 3), "gate": Gate(channels), "sharp": Gate(channels, 2), "pool": MaxPool(3)}
        stem = x = build.add("stem", conv_bn(build.in_channels, channels, 3), build.input)
        for number, name in enumerate(architecture.cells[0].node_operators[1:-1]):
            x = build.add(f"layer{number}", known[name], x)
            pooled = build.add(f"pool{number}", GlobalAveragePool(), x)
            exits.append(build.add(f"exit{number}", Linear(channels, num_classes), pooled))
            x = build.add(f"join{number}", Sum(), stem, x)
        return tuple(exits)


SPACE = Ladder()
SMALL: dict[str, Any] = {"hidden": 8, "width": 8, "tile": 4, "batch_size": 16}


def everything() -> list[Architecture]:
    return [SPACE.from_genotype((first, second)) for first in range(4) for second in range(4)]


def test_ghn_scores_every_architecture() -> None:
    ghn = GHN(SPACE, "digits", **SMALL).fit(2)
    for evaluation in ghn.evaluate(everything()):
        assert evaluation.ok, evaluation.error
        assert len(evaluation.curves["exit_accuracy"]) == 2
    weights = ghn.generate(SPACE.from_genotype((1, 0)))
    assert ((weights["steps.layer0.gate"] > 0) & (weights["steps.layer0.gate"] < 2)).all(), "a vector scales its channels"
    assert (weights["steps.layer0.bias"].abs() < 1).all()


@pytest.mark.parametrize("kind", [OneShot, SGDSteps])
def test_baselines_score_every_architecture(kind: type[OneShot] | type[SGDSteps]) -> None:
    evaluator = OneShot(SPACE, "digits").fit(2) if kind is OneShot else SGDSteps(SPACE, "digits", 1)
    assert all(evaluation.ok for evaluation in evaluator.evaluate(everything()[::5]))


def test_operators_with_other_settings_have_other_types() -> None:
    ghn = GHN(SPACE, "digits", **SMALL)
    kinds = survey(SPACE, lambda architecture: ghn._layout(SPACE, architecture), sliced=True).kinds
    assert {"Gate", "Gate(sharpness=2)"} <= set(kinds)


def test_a_candidate_with_an_unsampled_operator_fails_alone() -> None:
    class Late(Ladder):
        def sample(self, rng: np.random.Generator) -> Architecture:
            return self.from_genotype((int(rng.integers(2)), 0))

    late = Late()
    ghn = GHN(late, "digits", **SMALL).fit(1)
    good, bad = ghn.evaluate([late.from_genotype((1, 0)), late.from_genotype((2, 0))])
    assert good.ok
    assert "Gate(sharpness=2)" in str(bad.error)
    with pytest.raises(ArchitectureError, match="sharpness"):
        ghn.generate(late.from_genotype((2, 0)))

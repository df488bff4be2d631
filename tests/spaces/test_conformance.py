"""All built-in spaces pass the suite; the suite fails what is broken."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest

from archsearch import spaces
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.cells import Cells
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.cost import Cost
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.space import SearchSpace

SMALL_SCALES = {
    "anytime": {"channels": 4},
    "cells": {"blocks": 3, "channels": 4},
    "enas": {"channels": 4},
    "enas12": {"channels": 4},
    "nasbench101": {"channels": 8, "cells_per_stack": 1},
    "nasbench201": {"channels": 4, "cells_per_stage": 1},
    "nasnet": {"channels": 4, "cells": 3},
}
# A walk of mutations over all that the full size offers would take minutes.
SMALL_SPACES: Mapping[str, SearchSpace] = {"anytime": Anytime(nodes=(5, 3, 2)), "cells": Cells(nodes=7)}


class TestBuiltInSpaces(SpaceConformance):
    @pytest.fixture(autouse=True, params=spaces.names())
    def choose_space(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def make_space(self) -> SearchSpace:
        return SMALL_SPACES.get(self.name) or spaces.get(self.name)

    def scale(self) -> Mapping[str, int]:
        return SMALL_SCALES.get(self.name, {})


class UnstableKey(NASBench201):
    def key(self, architecture: Architecture) -> str:
        return str(hash(str(architecture)))


class WrongCost(NASBench201):
    def cost(
        self, architecture: Architecture, input_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10, **scale: int
    ) -> Cost:
        true = super().cost(architecture, input_shape, num_classes, **scale)
        return Cost(true.params, true.macs + 1)


class StuckMutation(NASBench201):
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        first, *rest = self.genotype(architecture)
        return self.from_genotype([(first + 1) % 5, *rest])


class CarelessParser(NASBench201):
    def parse(self, text: str) -> Architecture:
        return self.from_genotype([self.operators.index(name) for name in re.findall(r"(\w+)~", text)])


@pytest.mark.parametrize(
    ("broken", "test", "message"),
    [
        (UnstableKey, "test_samples_and_keys_are_equal_in_a_fresh_process", "samples or keys differ in a fresh process"),
        (WrongCost, "test_cost_equals_that_of_the_network", r"\|"),
        (StuckMutation, "test_mutations_reach_each_alternative", "a random walk of mutations never reaches"),
        (StuckMutation, "test_mutations_reach_any_architecture", "mutations that are accepted if they lead towards"),
        (CarelessParser, "test_malformed_strings_are_refused", "not in tuple"),
    ],
)
def test_suite_finds_what_is_broken(broken: type[SearchSpace], test: str, message: str) -> None:
    class Suite(SpaceConformance):
        def make_space(self) -> SearchSpace:
            return broken()

        def scale(self) -> Mapping[str, int]:
            return SMALL_SCALES["nasbench201"]

    with pytest.raises((AssertionError, ValueError), match=message):
        getattr(Suite(), test)()


def test_suite_asks_for_a_space() -> None:
    with pytest.raises(NotImplementedError, match="make_space"):
        SpaceConformance().test_string_round_trip()

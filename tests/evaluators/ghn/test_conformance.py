"""The conformance suite of evaluators on the graph hypernetwork and its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import pytest

from archsearch import spaces
from archsearch.evaluators import GHN, OneShot, SGDSteps
from archsearch.evaluators.conformance import EvaluatorConformance
from archsearch.evaluators.ghn.scoring import EvaluationSpec
from archsearch.spaces import SearchSpace

TINY = {"channels": 2, "cells_per_stage": 1}
SPEC = EvaluationSpec(images=100, batch=50)


@cache
def _ghn_state(seed: int) -> dict[str, Any]:
    return ghn(spaces.get("nasbench201"), seed).fit(2).state()


def ghn(space: SearchSpace, seed: int = 0, images: int = 100) -> GHN:
    sizes = {"hidden": 8, "width": 8, "tile": 2, "batch_size": 16, "evaluation_images": images, "evaluation_batch": 50}
    return GHN(space, "digits", seed, scale=TINY, **sizes)


class TestGHN(EvaluatorConformance):
    def make_evaluator(self, space: SearchSpace) -> GHN:
        return ghn(space).load(_ghn_state(0))

    def changed_evaluators(self, space: SearchSpace) -> Sequence[GHN]:
        return [ghn(space).load(_ghn_state(1)), ghn(space, images=60).load(_ghn_state(0))]


@cache
def _one_shot_state(seed: int) -> dict[str, Any]:
    return OneShot(spaces.get("nasbench201"), "digits", seed, spec=SPEC, scale=TINY, batch_size=16).fit(3).state()


@pytest.mark.slow
class TestOneShot(EvaluatorConformance):
    def make_evaluator(self, space: SearchSpace) -> OneShot:
        return OneShot(space, "digits", spec=SPEC, scale=TINY, batch_size=16).load(_one_shot_state(0))

    def changed_evaluators(self, space: SearchSpace) -> Sequence[OneShot]:
        return [OneShot(space, "digits", spec=SPEC, scale=TINY, batch_size=16).load(_one_shot_state(1))]


@pytest.mark.slow
class TestSGDSteps(EvaluatorConformance):
    num_candidates: ClassVar[int] = 3

    def make_evaluator(self, space: SearchSpace) -> SGDSteps:
        return SGDSteps(space, "digits", 2, spec=SPEC, scale=TINY, batch_size=16)

    def changed_evaluators(self, space: SearchSpace) -> Sequence[SGDSteps]:
        return [
            SGDSteps(space, "digits", 3, spec=SPEC, scale=TINY, batch_size=16),
            SGDSteps(space, "digits", 2, spec=SPEC, scale=TINY, batch_size=8),
            SGDSteps(space, "digits", 2, spec=EvaluationSpec(images=100, batch=100), scale=TINY, batch_size=16),
        ]

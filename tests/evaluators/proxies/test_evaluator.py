"""Training-free evaluation of candidates: conformance, missing scores, and wrong arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluator
from archsearch.evaluators.conformance import EvaluatorConformance
from archsearch.evaluators.proxies import ProxyEvaluator, names
from archsearch.spaces import SearchSpace

SMALL = {"channels": 2, "cells_per_stage": 1}


def evaluator(space: SearchSpace, proxies: Sequence[str] = ("synflow", "nwot"), **changes: Any) -> ProxyEvaluator:
    return ProxyEvaluator(space, proxies, "digits", **{"scale": SMALL, "batch_size": 16, **changes})


class TestProxyEvaluator(EvaluatorConformance):
    def make_evaluator(self, space: SearchSpace) -> Evaluator:
        return evaluator(space)

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        return evaluator(space, ["synflow"]), evaluator(space, batch_size=8), evaluator(space, scale={**SMALL, "channels": 3})


def test_all_scores_of_a_cell_are_finite() -> None:
    space = spaces.get("nasbench201")
    [found] = evaluator(space, names()).evaluate([space.from_genotype([3, 0, 1, 0, 0, 3])])
    assert found.ok, found.error
    assert set(found.metrics) == set(names())
    assert all(np.isfinite(value) for value in found.metrics.values())


def test_undefined_score_fails_only_its_candidate() -> None:
    space = spaces.get("nasbench201")
    empty, full = space.from_genotype([0] * 6), space.from_genotype([3] * 6)
    found = evaluator(space, ["nwot", "params"]).evaluate([empty, full])
    assert [each.ok for each in found] == [False, True]
    assert "nwot" in str(found[0].error)


@pytest.mark.parametrize("given", [[], ["nwot", "nwot"]])
def test_no_names_and_repeated_names_are_refused(given: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="proxies: expected different names"):
        evaluator(spaces.get("nasbench201"), given)


def test_sets_of_labels_and_numbers_have_all_scores_but_that_of_classes(pairs: Any) -> None:
    space = spaces.get("nasbench201")
    fitting = [name for name in names() if name != "epe_nas"]
    for task in ("multilabel", "regression"):
        made = ProxyEvaluator(space, fitting, pairs.pair_splits(task, 60, 20), scale=SMALL, batch_size=16)
        [found] = made.evaluate([space.from_genotype([3, 0, 1, 0, 0, 3])])
        assert found.ok and set(found.metrics) == set(fitting) and made.fingerprint()
        with pytest.raises(ConfigurationError, match=f"epe_nas compares the images of each class, and the labels are for {task}"):
            ProxyEvaluator(space, ["nwot", "epe_nas"], pairs.pair_splits(task, 60, 20), scale=SMALL).fingerprint()

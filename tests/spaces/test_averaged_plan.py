"""Several networks as one: its answer is their weighted mean prediction, in the network and in its source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.averaged_plan import averaged_plan
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network
from archsearch.spaces.operators import MeanLabels, MeanNumbers, MeanPrediction, Operator
from archsearch.spaces.plan import Plan
from archsearch.spaces.source_code.writer import source_code

SPACE = NASBench201()
IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def members(channels: int = 1) -> list[Plan]:
    genotypes = ([3, 0, 1, 0, 0, 1], [1, 2, 3, 4, 0, 1], [4, 4, 1, 2, 3, 3])
    return [SPACE.plan(SPACE.from_genotype(genes), 4, channels, channels=4, cells_per_stage=1) for genes in genotypes]


def test_the_answer_is_the_weighted_mean() -> None:
    whole, apart = Network(averaged_plan(members(), [3, 1, 1])).eval(), [Network(plan).eval() for plan in members()]
    state = whole.state_dict()
    for number, network in enumerate(apart):
        network.load_state_dict({name: state[name.replace("steps.", f"steps.net{number}_", 1)] for name in network.state_dict()})
    with torch.inference_mode():
        shares = [network(IMAGES).softmax(1) for network in apart]
        torch.testing.assert_close(whole(IMAGES).softmax(1), (3 * shares[0] + shares[1] + shares[2]) / 5)
    assert whole.plan.cost((1, 8, 8)).params == sum(plan.cost((1, 8, 8)).params for plan in members())


def test_the_last_exit_of_each_member_answers() -> None:
    space = Anytime()
    plan = space.plan(space.sample(np.random.default_rng(0)), 4, 1)
    assert len(plan.outputs) > 1
    joined = averaged_plan([plan, plan])
    assert len(joined.outputs) == 1 and joined.steps[-1].inputs == (plan.outputs[-1], plan.outputs[-1] + len(plan.steps))


@pytest.mark.parametrize("mean", [MeanPrediction(), MeanLabels(), MeanNumbers()])
def test_it_can_be_written_as_source(tmp_path: Path, mean: Operator) -> None:
    network = Network(averaged_plan(members(), [2, 1, 1], mean)).eval()
    code = source_code(network.plan, "An ensemble.")
    scope: dict[str, object] = {"__file__": str(tmp_path / "model.py")}
    exec(compile(code.text, "model.py", "exec"), scope)
    module = scope["Network"]()  # type: ignore[operator]
    module.load_state_dict(code.state(network.plan.operators, network))
    with torch.inference_mode():
        torch.testing.assert_close(module.eval()(IMAGES), network(IMAGES))


def test_what_is_no_ensemble_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="members: expected at least one network"):
        averaged_plan([])
    with pytest.raises(ConfigurationError, match="and a count of at least 1 for each; got 3 and .1, 0, 1."):
        averaged_plan(members(), [1, 0, 1])
    with pytest.raises(ConfigurationError, match="got 3 and .1, 1."):
        averaged_plan(members(), [1, 1])
    with pytest.raises(ConfigurationError, match=r"for the same images; got channels \[1, 3\]"):
        averaged_plan([*members(), *members(3)])

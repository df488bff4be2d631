"""The controller: it learns what is rewarded, keeps its entropy, counts conditional genes, refuses what it cannot learn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.controller.controller import Controller
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def share_of_3x3(controller: Controller) -> float:
    """Return the mean share of 3x3 convolutions among the operators of 200 draws."""
    return float((controller.sequences.rows(controller.sample(200, seed=9)) == 3).mean())


def trained(updates: int, **changes: object) -> Controller:
    controller = Controller(SPACE, 0, hidden=16, **changes)
    for update in range(updates):
        drawn = controller.sample(10, seed=update)
        controller.learn(drawn, (controller.sequences.rows(drawn) == 3).mean(axis=1))
    return controller


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_it_learns_to_write_what_is_rewarded(method: str) -> None:
    assert share_of_3x3(Controller(SPACE, 0, hidden=16)) == pytest.approx(0.2, abs=0.05)
    assert share_of_3x3(trained(20, method=method, learning_rate=0.03)) > 0.35


def test_a_weight_of_the_entropy_keeps_it_exploring() -> None:
    greedy, curious = (trained(20, learning_rate=0.02, entropy_weight=weight) for weight in (0.0, 0.3))
    assert curious.entropy > greedy.entropy + 0.2
    assert math.log(5) > curious.entropy


def test_the_baseline_is_the_moving_mean_of_the_rewards_before() -> None:
    controller = Controller(SPACE, 0, hidden=4, baseline_decay=0.5)
    assert controller._moved_baseline(torch.tensor([1.0, 3.0])).tolist() == [2.0, 1.5]
    assert controller.baseline == pytest.approx(0.5 * 1.5 + 0.5 * 3.0)
    assert controller._moved_baseline(torch.tensor([0.0])).tolist() == [2.25]


def test_it_depends_on_arguments_and_data_alone() -> None:
    first, again = trained(3), trained(3)
    assert all(torch.equal(*pair) for pair in zip(first.policy.parameters(), again.policy.parameters(), strict=True))
    assert [str(each) for each in first.sample(5, 1)] == [str(each) for each in again.sample(5, 1)]


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_has_a_controller(name: str) -> None:
    space = spaces.get(name)
    controller = Controller(space, 0, hidden=4, epochs=1)
    drawn = controller.sample(8, seed=0)
    assert drawn
    controller.learn(drawn, np.linspace(0.0, 1.0, len(drawn)))
    assert math.isfinite(controller.entropy)


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="every gene of nasbench201 has one, such as a single operator"):
        Controller(OneOperator())
    with pytest.raises(ConfigurationError, match=r"initial: the new policy has an entropy of .* got initial=1000"):
        Controller(SPACE, initial=1000.0)
    controller = Controller(SPACE)
    with pytest.raises(ConfigurationError, match="rewards: expected finite numbers"):
        controller.learn(controller.sample(2, 0), [0.5, math.inf])
    with pytest.raises(ConfigurationError, match="learning_rate: expected one with which the controller stays finite"):
        with torch.no_grad():
            controller.policy.bias[0] = math.nan
        controller.learn([SPACE.sample(np.random.default_rng(0))], [0.5])

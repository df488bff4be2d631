from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator
from archsearch.evaluators.baselines import resnet_plan
from archsearch.evaluators.latency import Latency, exit_latencies, latency_curve, measured_latency
from archsearch.searchers.goals import goals_for
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network


class Noted(torch.nn.Module):
    """Notes the batches that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[tuple[int, ...], bool, bool, int]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append((tuple(images.shape), self.training, torch.is_grad_enabled(), torch.get_num_threads()))
        return images


def test_passes_are_those_of_use() -> None:
    network = Noted()
    threads = torch.get_num_threads()
    found = measured_latency(network, (3, 4, 4), 64, runs=7, warm_up=2, threads=threads + 1)
    assert network.seen == [((64, 3, 4, 4), False, False, threads + 1)] * 9
    assert 0.0 < found.low <= found.median <= found.high
    assert (found.batch_size, found.device, found.threads) == (64, "cpu", threads + 1)
    assert network.training
    assert torch.get_num_threads() == threads


def test_each_exit_is_a_network_of_its_own() -> None:
    network = Network(resnet_plan(4, 1, blocks=1, channels=2)).train()
    plan, state = network.plan, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = exit_latencies(network, (1, 8, 8), runs=3, warm_up=1)
    assert len(found) == 3
    assert network.plan is plan
    assert network.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_each_exit_pays_for_what_it_needs_alone() -> None:
    plan = resnet_plan(4, 1, blocks=1, channels=2)
    costs = [cost.macs - 4 * count for count, cost in enumerate(exit_costs(plan, (1, 8, 8)), start=1)]
    with FlopCounterMode(display=False) as counter:
        exit_latencies(Network(plan), (1, 8, 8), 2, runs=3, warm_up=1)
    assert counter.get_total_flops() // 2 == (3 + 1) * 2 * sum(costs), "runs and warm-up, of batches of 2"


def test_noise_does_not_make_a_curve_fall() -> None:
    latencies = [Latency(median, median, median, 1, "cpu", 1) for median in (1.0, 3.0, 2.9, 5.0)]
    curve = latency_curve(latencies, [0.5, 0.6, 0.7, 0.8], chance=0.25)
    assert (curve.budgets, curve.accuracies, curve.unit) == ((1.0, 3.0, 5.0), (0.5, 0.7, 0.8), "ms")
    assert curve.auc(10) == pytest.approx((1 * 0.25 + 2 * 0.5 + 2 * 0.7 + 5 * 0.8) / 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1; got 0"),
        ({"runs": 0}, "runs: expected a whole number of at least 1; got 0"),
        ({"warm_up": -1}, "warm_up: expected a whole number of at least 0; got -1"),
        ({"runs": 1.5}, "runs: expected a whole number of at least 1; got 1.5"),
    ],
)
def test_wrong_numbers_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        measured_latency(Noted(), (1, 2, 2), **arguments)


def test_training_can_measure_latency_too() -> None:
    space = Anytime((2, 1), exit_probability=1.0)
    cells = space.parse('[[["conv_1x1",[0],2,"exit"],["conv_1x1",[0],1,"exit"]],[["conv_3x3",[0],1]]]')
    settings: dict[str, Any] = {"epochs": 1, "scale": {"channels": 2}}
    plain = TrainingEvaluator(space, "digits", **settings)
    timed = TrainingEvaluator(space, "digits", latency=True, **settings)
    [found], [expected] = timed.evaluate([cells]), plain.evaluate([cells])
    added = set(found.metrics) - set(expected.metrics)
    assert added == {f"latency_ms_batch{size}{part}" for size in (1, 64) for part in ("", "_low", "_high")}
    assert all(found.metrics[name] > 0.0 for name in added)
    assert {name: found.metrics[name] for name in expected.metrics} == expected.metrics
    assert len(found.curves["exit_latency_ms_batch1"]) == len(found.curves["exit_latency_ms_batch64"]) == 3
    assert set(expected.curves) == {"valid_accuracy", "exit_accuracy", "exit_macs", "step_score", "step_seconds"}
    assert goals_for(timed, ["accuracy", "-latency_ms_batch1"]).metrics == ("latency_ms_batch1",)


def test_latency_is_of_one_copy_and_of_the_device_and_threads() -> None:
    space = NASBench201()
    cell = space.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
    settings: dict[str, Any] = {"epochs": 1, "scale": {"channels": 2, "cells_per_stage": 1}, "repeats": 2}
    [found] = TrainingEvaluator(space, "digits", latency=True, **settings).evaluate([cell])
    assert found.error is None
    assert found.metrics["latency_ms_batch1"] > 0.0
    assert set(found.curves) == {"valid_accuracy", "step_score", "step_seconds"}
    plain = TrainingEvaluator(space, "digits", **settings)
    prints = [TrainingEvaluator(space, "digits", latency=True, threads=threads, **settings).fingerprint() for threads in (1, 2)]
    assert len({plain.fingerprint(), *prints}) == 3
    assert "latency" not in plain.settings()

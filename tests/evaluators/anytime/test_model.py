from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.anytime.model import AnytimeModel
from archsearch.evaluators.baselines import ensemble_plan, msdnet_plan, resnet_plan
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Convolution, GlobalAveragePool, Linear
from archsearch.spaces.plan import Plan, PlanBuilder

SHAPE, CLASSES = (1, 8, 8), 4
IMAGES = torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(0))


def forked() -> Plan:
    """Two branches with an exit each: the second exit needs nothing of the first."""
    build, outputs = PlanBuilder(1), []
    for name in ("a", "b"):
        x = build.add(name, Convolution(1, 3, (3, 3)), build.input)
        outputs.append(build.add(f"{name}_exit", Linear(3, CLASSES), build.add(f"{name}_pool", GlobalAveragePool(), x)))
    return build.finish(*outputs)


def searched() -> Plan:
    space = Anytime((6, 4), exit_probability=0.6)
    return space.plan(space.sample(np.random.default_rng(1)), CLASSES, 1, channels=4)


def network_of(plan: Plan) -> Network:
    """Return a network with random running statistics, and logits that differ much between images."""
    network = Network(plan, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        for _ in range(3):
            network.train()(IMAGES * 2.0)
    return network.eval()


PLANS = pytest.mark.parametrize(
    "plan",
    [
        forked(),
        searched(),
        resnet_plan(CLASSES, 1, channels=4, blocks=1),
        msdnet_plan(CLASSES, 1, channels=4, exits=3, base=1, step=1),
        ensemble_plan([resnet_plan(CLASSES, 1, channels=width, blocks=1, exit_every=3) for width in (2, 4)]),
    ],
    ids=["forked", "searched", "resnet", "msdnet", "ensemble"],
)


def all_exits(network: Network) -> list[torch.Tensor]:
    with torch.inference_mode():
        logits = network(IMAGES)
    return logits if isinstance(logits, list) else [logits]


@PLANS
def test_a_budget_gives_the_last_exit_within_it(plan: Plan) -> None:
    network = network_of(plan)
    model = AnytimeModel.counted(network, SHAPE)
    for number, (cost, logits) in enumerate(zip(model.costs, all_exits(network), strict=True)):
        for budget in (cost, cost + 0.5):
            found = model.predict(IMAGES, budget=budget)
            torch.testing.assert_close(found.logits, logits)
            assert found.exits.tolist() == [number] * 20
            assert found.costs.tolist() == [cost] * 20
    torch.testing.assert_close(model.predict(IMAGES).logits, all_exits(network)[-1])
    assert torch.equal(model.predict(IMAGES).classes, all_exits(network)[-1].argmax(1))


@PLANS
def test_answers_come_one_after_the_other(plan: Plan) -> None:
    network = network_of(plan)
    model, exits = AnytimeModel.counted(network, SHAPE), all_exits(network)
    spent = []
    with FlopCounterMode(display=False) as counter:
        for number, logits in enumerate(model.answers(IMAGES), start=1):
            torch.testing.assert_close(logits, exits[number - 1])
            # A bias counts as one more input here, and not at all in the counter of torch.
            spent.append(counter.get_total_flops() // (2 * 20) + CLASSES * number)
    assert spent == list(model.costs), "nothing is computed before it is needed"


@PLANS
def test_steps_beyond_a_budget_are_not_executed(plan: Plan) -> None:
    model = AnytimeModel.counted(network_of(plan), SHAPE)
    for number, output in enumerate(plan.outputs):
        alone = exit_costs(Plan(plan.in_channels, plan.steps, (output,)), SHAPE)[0].macs
        with FlopCounterMode(display=False) as counter:
            model.predict(IMAGES, budget=model.costs[number])
        linears = CLASSES * (number + 1 if "MeanPrediction" in str(plan.steps) else 1)
        assert counter.get_total_flops() // 2 == 20 * (alone - linears)
        assert alone <= model.costs[number]


def test_an_exit_apart_does_not_pay_for_the_one_before() -> None:
    model = AnytimeModel.counted(network_of(forked()), SHAPE)
    with FlopCounterMode(display=False) as counter:
        model.predict(IMAGES)
    assert counter.get_total_flops() // 2 == 20 * (64 * 9 * 3 + 3 * CLASSES)


@PLANS
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.4, 1.1])
def test_images_leave_as_soon_as_an_exit_is_sure(plan: Plan, threshold: float) -> None:
    network = network_of(plan)
    model, exits = AnytimeModel.counted(network, SHAPE), all_exits(network)
    found = model.predict(IMAGES, threshold=threshold)
    for image in range(20):
        sure = [n for n, logits in enumerate(exits) if float(logits[image].softmax(0).max()) >= threshold]
        number = sure[0] if sure else len(exits) - 1
        assert int(found.exits[image]) == number
        torch.testing.assert_close(found.logits[image], exits[number][image], rtol=1e-4, atol=1e-5)
        assert float(found.costs[image]) == model.costs[number]


@PLANS
def test_images_that_left_cost_nothing_more(plan: Plan) -> None:
    network = network_of(plan)
    model = AnytimeModel.counted(network, SHAPE)
    confidences = torch.stack([logits.softmax(1).amax(1) for logits in all_exits(network)])
    thresholds = confidences.median(1).values.tolist()[:-1]
    with FlopCounterMode(display=False) as counter:
        found = model.predict(IMAGES, threshold=thresholds)
    assert len(set(found.exits.tolist())) > 1
    counted = counter.get_total_flops() // 2 + CLASSES * int((found.exits + 1).sum())
    assert counted == int(found.costs.sum())


def test_thresholds_keep_the_mean_budget_of_a_batch() -> None:
    network = network_of(resnet_plan(CLASSES, 1, channels=4, blocks=2))
    model = AnytimeModel.counted(network, SHAPE)
    for share in (0.2, 0.5, 0.8):
        budget = model.costs[0] + share * (model.costs[-1] - model.costs[0])
        thresholds = model.thresholds(IMAGES, budget, batch_size=7)
        mean = float(model.predict(IMAGES, threshold=[value - 1e-6 for value in thresholds]).costs.mean())
        assert 0.7 * budget < mean <= budget
    assert model.thresholds(IMAGES, 1e9) == (math.inf,) * 5
    assert model.predict(IMAGES, threshold=model.thresholds(IMAGES, 1e9)).exits.tolist() == [5] * 20


@PLANS
def test_exits_that_are_no_better_than_an_earlier_one_are_left_out(plan: Plan) -> None:
    network, labels = network_of(plan), torch.arange(20) % CLASSES
    model, logits = AnytimeModel.counted(network, SHAPE), all_exits(network)
    right = [int((each.argmax(1) == labels).sum()) for each in logits]
    better = model.improving(IMAGES, labels, batch_size=7)
    curve = AnytimeCurve(model.costs, [count / 20 for count in right])
    for budget in (*model.costs, model.costs[-1] + 1):
        found = better.predict(IMAGES, budget=budget)
        assert float((found.classes == labels).float().mean()) == pytest.approx(curve.at(budget, "running_maximum"))
        number = better.exits[int(found.exits[0])]
        torch.testing.assert_close(found.logits, logits[number])
        assert found.costs.tolist() == [model.costs[number]] * 20
    assert better.exits == better.improving(IMAGES, labels).exits
    assert [right[number] for number in better.exits] == sorted({right[number] for number in better.exits})


def test_a_model_of_some_exits() -> None:
    network = network_of(resnet_plan(CLASSES, 1, channels=4, blocks=2))
    model, some = AnytimeModel(network, range(1, 7)), AnytimeModel(network, range(1, 7), [1, 4])
    assert (some.exits, some.costs) == ((1, 4), (2.0, 5.0))
    for found, number in zip(some.answers(IMAGES), (1, 4), strict=True):
        torch.testing.assert_close(found, all_exits(network)[number])
    with pytest.raises(ConfigurationError, match="budget: expected at least 2"):
        some.predict(IMAGES, budget=1)
    sure = some.predict(IMAGES, threshold=0.5)
    torch.testing.assert_close(sure.logits, model.predict(IMAGES, threshold=[2, 0.5, 2, 2, -1]).logits)


def test_improving_exits_need_labels() -> None:
    model = AnytimeModel.counted(network_of(forked()), SHAPE)
    with pytest.raises(ConfigurationError, match=r"labels: expected one for each image, and images; got \[3\] for 20 images"):
        model.improving(IMAGES, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ConfigurationError, match="labels: expected one for each image"):
        model.improving(IMAGES[:0], torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("exits", [[], [1, 0], [0, 0], [3], [-1]])
def test_unknown_exits_are_refused(exits: list[int]) -> None:
    network = network_of(resnet_plan(CLASSES, 1, channels=2, blocks=1))
    with pytest.raises(ConfigurationError, match="exits: expected rising numbers from 0 to 2; got"):
        AnytimeModel(network, [1, 2, 3], exits)


def test_the_network_stays_as_it_was() -> None:
    network = network_of(resnet_plan(CLASSES, 1, channels=4, blocks=1)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    model = AnytimeModel(network, [1.0, 2.5, 4.0])
    model.predict(IMAGES, budget=3)
    model.predict(IMAGES, threshold=0.5)
    list(model.answers(IMAGES))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_one_exit_has_no_threshold_to_pass() -> None:
    model = AnytimeModel.counted(network_of(resnet_plan(CLASSES, 1, channels=2, blocks=1, exit_every=3)), SHAPE)
    assert model.predict(IMAGES, threshold=0.99).exits.tolist() == [0] * 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0.5}, "budget: expected at least 1, the cost of the first exit; got 0.5"),
        ({"budget": float("nan")}, "budget: expected at least 1"),
        ({"budget": 2, "threshold": 0.5}, "budget and threshold: expected one of them; got both"),
        ({"threshold": [0.5]}, "threshold: expected one number, or 2, for all exits but the last; got 1"),
    ],
)
def test_wrong_requests_are_refused(arguments: dict[str, Any], message: str) -> None:
    model = AnytimeModel(network_of(resnet_plan(CLASSES, 1, channels=2, blocks=1)), [1, 2, 3])
    with pytest.raises(ConfigurationError, match=message):
        model.predict(IMAGES, **arguments)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([1, 2], "costs: expected one for each of 3 exits; got 2"),
        ([1, 3, 2], "costs: expected numbers from 0 that never fall"),
        ([-1, 3, 4], "costs: expected numbers from 0 that never fall"),
        ([1, math.nan, 4], "costs: expected finite numbers"),
    ],
)
def test_wrong_costs_are_refused(costs: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnytimeModel(network_of(resnet_plan(CLASSES, 1, channels=2, blocks=1)), costs)

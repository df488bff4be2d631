from __future__ import annotations

import pytest
import torch
from sklearn.metrics import average_precision_score, r2_score

from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.ghn.scoring import EvaluationSpec, score, training_loss
from archsearch.evaluators.prediction.kinds import fitted_task
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.plan import initial_parameters


def part(number: int) -> Resident:
    images = torch.randn((number, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return Resident(images, torch.arange(number) % 10)


def test_batches_are_of_equal_size_but_for_one_image_and_in_one_order() -> None:
    batches = EvaluationSpec(images=11, batch=4).batches(part(20))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    again = EvaluationSpec(images=11, batch=4).batches(part(20))
    assert all(torch.equal(one.images, other.images) for one, other in zip(batches, again, strict=True))
    assert sum(map(len, EvaluationSpec().batches(part(20)))) == 20
    assert EvaluationSpec().settings() == {"images": 0, "batch": 500, "order": 0}


def test_accuracy_and_loss_are_means_over_the_images() -> None:
    space = NASBench201()
    cell = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    plan = space.plan(cell, 10, 1, channels=4, cells_per_stage=1)
    parameters = initial_parameters(plan, torch.Generator().manual_seed(0))
    batch = part(12)
    [(accuracy, loss)] = score(plan, parameters, [batch]).tolist()
    [logits] = plan.apply(batch.images, dict.fromkeys(plan.operators, ()) | dict(parameters))
    assert accuracy == pytest.approx(float((logits.argmax(1) == batch.labels).float().mean()))
    assert loss == pytest.approx(float(training_loss(plan, parameters, batch)), rel=1e-5)
    weights = torch.linspace(0.0, 2.0, 10)
    weighted = (torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none") * weights[batch.labels]).mean()
    assert float(training_loss(plan, parameters, batch, False, weights)) == pytest.approx(float(weighted), rel=1e-5)


def test_centred_logits_forgive_a_preference_for_a_class() -> None:
    space = NASBench201()
    cell = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    plan = space.plan(cell, 10, 1, channels=4, cells_per_stage=1)
    parameters = dict(initial_parameters(plan, torch.Generator().manual_seed(0)))
    batches = [part(12), part(8)]
    [(*usual, centred)] = score(plan, parameters, batches, centred=True).tolist()
    assert usual == score(plan, parameters, batches).tolist()[0]
    expected = 0.0
    for batch in batches:
        [logits] = plan.apply(batch.images, dict.fromkeys(plan.operators, ()) | parameters)
        expected += float(torch.nn.functional.cross_entropy(logits - logits.mean(0), batch.labels, reduction="sum"))
    assert centred == pytest.approx(expected / 20, rel=1e-5)
    weight, bias = parameters["classifier"]
    biased = {**parameters, "classifier": (weight, bias + 5.0 * torch.eye(10)[3])}
    [(_, loss, forgiven)] = score(plan, biased, batches, centred=True).tolist()
    assert forgiven == pytest.approx(centred, rel=1e-5) and loss > usual[1] + 1.0


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_other_tasks_have_their_figures_and_loss(task: str) -> None:
    space, images = NASBench201(), part(24).images
    cell = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    plan = space.plan(cell, 3, 1, channels=4, cells_per_stage=1)
    parameters = initial_parameters(plan, torch.Generator().manual_seed(0))
    raw = torch.randn(24, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    prediction = fitted_task(raw if task == "regression" else raw > 0)
    whole = Resident(images, prediction.targets(raw if task == "regression" else raw > 0))
    [(figure, loss)] = score(plan, parameters, [whole], prediction=prediction).tolist()
    [outputs] = plan.apply(images, dict.fromkeys(plan.operators, ()) | dict(parameters))
    assert loss == pytest.approx(float(prediction.loss(outputs, whole.labels)), rel=1e-5)
    assert loss == pytest.approx(float(training_loss(plan, parameters, whole, prediction=prediction)), rel=1e-5)
    outputs = outputs.detach()
    expected = r2_score(whole.labels, outputs) if task == "regression" else average_precision_score(whole.labels, outputs)
    assert figure == pytest.approx(expected, rel=1e-4)

"""A step of training: its draws, its update, meta-batches, and a model shared by processes."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.ghn.candidates import tensors_for
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.training import drawn_architectures, drawn_images, loss_of, take_step


def images(number: int = 12) -> Resident:
    generator = torch.Generator().manual_seed(0)
    return Resident(torch.randn((number, 1, 8, 8), generator=generator), torch.arange(number) % 10)


def test_draws_belong_to_seed_step_and_rank(worlds: ModuleType) -> None:
    space, settings, part = worlds.SPACES["cells"][0], Settings(batch_size=4), images()
    places = [(seed, step, rank) for seed in (0, 1) for step in (0, 1) for rank in (0, 1)]
    texts = {tuple(map(str, drawn_architectures(space, 3, *place))) for place in places}
    batches = {tuple(drawn_images(part, settings, *place).images.flatten().tolist()) for place in places}
    assert len(texts) == len(batches) == len(places)
    assert drawn_architectures(space, 3, 1, 1, 1) == drawn_architectures(space, 3, 1, 1, 1)
    batch = drawn_images(part, settings, 0, 0)
    assert batch.images.shape == (4, 1, 8, 8)
    assert len({tuple(image.flatten().tolist()) for image in batch.images}) == 4, "no image twice"


def test_meta_batch_is_the_mean_of_its_architectures(worlds: ModuleType) -> None:
    layouts, model, batch = worlds.layouts("nasbench201", 3), worlds.model("nasbench201").double(), images()
    batch = Resident(batch.images.double(), batch.labels)
    together = loss_of(model, layouts, tensors_for(model, layouts), batch)
    alone = [loss_of(model, [layout], tensors_for(model, [layout]), batch) for layout in layouts]
    assert torch.allclose(together, torch.stack(alone).mean(), rtol=1e-6)
    left = torch.autograd.grad(together, list(model.parameters()), materialize_grads=True)
    right = torch.autograd.grad(torch.stack(alone).mean(), list(model.parameters()), materialize_grads=True)
    for one, other in zip(left, right, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-7)


def test_exits_have_equal_weights_in_the_loss(worlds: ModuleType) -> None:
    [layout] = worlds.layouts("anytime", 1)
    model, batch = worlds.model("anytime"), images()
    with torch.no_grad():
        tensors = tensors_for(model, [layout])
        loss = float(loss_of(model, [layout], tensors, batch))
        flat = model(tensors)
    assert len(layout.plan.outputs) > 1
    assert math.isfinite(loss)
    assert flat.numel() > 0


def test_gradient_that_is_not_finite_changes_nothing(worlds: ModuleType) -> None:
    model = worlds.model("cells")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    loss = torch.stack([parameter.sum() for parameter in model.parameters()]).sum()
    assert math.isnan(take_step(model, optimizer, loss * float("inf"), 0.1, 1.0))
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    loss = torch.stack([parameter.sum() for parameter in model.parameters()]).sum()
    assert take_step(model, optimizer, loss, 0.1, 1.0) == float(loss.detach())
    norm = math.sqrt(sum(float(parameter.grad.square().sum()) for parameter in model.parameters() if parameter.grad is not None))
    assert norm <= 1.0 + 1e-4, "the gradient was clipped"
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_model_shared_by_processes_learns_the_same(worlds: ModuleType) -> None:
    layouts, batch, trained = worlds.layouts("nasbench201", 2), images(), []
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        for wrapped in (False, True):
            model = worlds.model("nasbench201")
            called = DistributedDataParallel(model, find_unused_parameters=True) if wrapped else model
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            for _ in range(2):
                take_step(model, optimizer, loss_of(called, layouts, tensors_for(model, layouts), batch), 1e-2, 5.0)
            trained.append([parameter.detach().numpy() for parameter in model.parameters()])
    finally:
        distributed.destroy_process_group()
    for alone, shared in zip(*trained, strict=True):
        assert np.allclose(alone, shared, atol=1e-6)

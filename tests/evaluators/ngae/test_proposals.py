from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.ascent import Path
from archsearch.evaluators.ngae.latent_space import LatentSpace
from archsearch.evaluators.ngae.proposals import Proposals, propose
from archsearch.evaluators.ngae.region import Region
from archsearch.evaluators.ngae.settings import Settings
from archsearch.evaluators.ngae.targets import Scale

SPACE = spaces.get("enas")


@pytest.fixture
def latent(made: Callable[..., object], small: Settings) -> LatentSpace:
    model, grammar, graphs = made(SPACE, small, 30)  # type: ignore[misc]
    model = model.float()
    bare = LatentSpace(SPACE, grammar, model, accuracy=Scale(0.5, 0.1), complexity=Scale(3.0, 1.0))
    region = Region.of(bare.means(graphs))
    return LatentSpace(SPACE, grammar, model, accuracy=bare.accuracy, complexity=bare.complexity, region=region)


def stay(points: torch.Tensor, weight: float, recorded_starts: int) -> Path:
    return Path(points, torch.zeros(1, len(points)), points[None, :recorded_starts])


def proposed(latent: LatentSpace, n: int, **changes: object) -> Proposals:
    arguments = {
        "region": latent.data_region(),
        "weight": 0.0,
        "budget": None,
        "starts": 20,
        "best": None,
        "exclude": (),
        "recorded_starts": 2,
    }
    return propose(latent, stay, n, rng=np.random.default_rng(0), **{**arguments, **changes})  # type: ignore[arg-type]


def test_proposals_are_new_distinct_and_in_order(latent: LatentSpace) -> None:
    first = proposed(latent, 4)
    keys = [SPACE.key(each) for each in first.architectures]
    assert len(set(keys)) == 4
    assert (np.diff(first.accuracy) <= 0).all()
    assert first.path.trajectories.shape[1] == 2
    second = proposed(latent, 4, exclude=set(keys))
    assert not set(keys) & {SPACE.key(each) for each in second.architectures}
    assert [str(each) for each in proposed(latent, 4).architectures] == [str(each) for each in first.architectures]


def test_random_architectures_fill_up_too_few_proposals(latent: LatentSpace) -> None:
    found = proposed(latent, 30, starts=1)
    assert len(found.architectures) == 30
    assert found.random > 0


def test_half_of_the_starts_are_the_best_known(latent: LatentSpace) -> None:
    best = np.full((2, latent.dimensions), 0.25)
    path = proposed(latent, 1, best=best, recorded_starts=20).path
    assert torch.equal(path.latents[:2], torch.full((2, latent.dimensions), 0.25))
    distances = (path.latents[:10] - 0.25).norm(dim=1)
    assert (distances[2:] > 0).all() and (distances[2:].mean() < (path.latents[10:] - 0.25).norm(dim=1).mean())
    exact = proposed(latent, 1, best=best, best_spread=0.0, best_share=1.0, recorded_starts=20).path
    assert torch.equal(exact.latents, torch.full((20, latent.dimensions), 0.25))


def test_a_budget_that_no_weight_keeps_takes_the_highest(latent: LatentSpace) -> None:
    assert proposed(latent, 1, budget=-1e9).weight == 10.0
    assert proposed(latent, 1, budget=1e9).weight == 0.0

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators.ngae.latent_space import LatentSpace
from archsearch.evaluators.ngae.region import Region
from archsearch.evaluators.ngae.settings import Settings
from archsearch.evaluators.ngae.targets import Scale
from archsearch.spaces import Architecture, GraphBatch

SPACE = spaces.get("enas")


@pytest.fixture
def latent(made: Callable[..., object], small: Settings) -> LatentSpace:
    model, grammar, graphs = made(SPACE, small, 30)  # type: ignore[misc]
    model = model.float()
    space = LatentSpace(SPACE, grammar, model, accuracy=Scale(0.7, 0.1), complexity=Scale(0.0, 0.0))
    means = space.means(graphs)
    return LatentSpace(SPACE, grammar, model, accuracy=space.accuracy, complexity=space.complexity, region=Region.of(means))


def some(number: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(number)]


def test_points_are_decoded_to_architectures_of_the_space(latent: LatentSpace) -> None:
    points = latent.encode(some(5))
    assert points.shape == (5, latent.dimensions)
    decoded = latent.decode(points)
    assert all(SPACE.parse(str(each)) == each for each in decoded)
    assert latent.decode(points) == decoded
    assert latent.decode(points, sample=True, seed=1) == latent.decode(points, sample=True, seed=1)
    assert latent.encode([]).shape == (0, latent.dimensions)


def test_predictions_are_in_the_units_of_the_figures(latent: LatentSpace) -> None:
    points = latent.sample_latents(4, seed=2)
    accuracy, _ = latent.predict_latents(points)
    raw = latent.model.performance(torch.tensor(points, dtype=torch.float32)).detach().double().numpy()
    assert accuracy == pytest.approx(0.7 + 0.1 * raw)
    assert latent.objective(accuracy, accuracy, 3.0) == pytest.approx(raw), "complexity was not learned"


def test_wrong_points_and_architectures_are_refused(latent: LatentSpace) -> None:
    with pytest.raises(ConfigurationError, match="latents: expected points"):
        latent.decode(np.zeros((1, latent.dimensions + 1)))
    with pytest.raises(ConfigurationError, match="latents: expected finite points"):
        latent.decode(np.full((1, latent.dimensions), np.nan))
    batch = SPACE.encode(some(2))
    with pytest.raises(ArchitectureError, match="expected graphs of enas"):
        latent.encode(GraphBatch(("input", "output", "other"), batch.operators, batch.adjacency))


def test_before_the_first_fit_has_ended_there_is_no_region(latent: LatentSpace) -> None:
    unfinished = LatentSpace(SPACE, latent.grammar, latent.model, latent.accuracy, latent.complexity)
    with pytest.raises(ConfigurationError, match="its first fit did not end"):
        unfinished.sample_latents(3)

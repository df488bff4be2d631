from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators import NGAE
from archsearch.evaluators.ngae.quality import generation, reconstruction
from archsearch.spaces import Architecture

SIZES: dict[str, Any] = {"width": 32, "type_width": 32, "edge_width": 32, "latent": 12, "head": (16, 16), "epochs": 3}


def some(name: str, number: int, seed: int = 0) -> list[Architecture]:
    space, rng = spaces.get(name), np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def convolutions(architectures: list[Architecture]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the share of 3x3 convolutions in cells of nasbench201."""
    return np.array([str(each).count("nor_conv_3x3") / 6 for each in architectures])


def skips(architectures: list[Architecture]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the number of skip connections in cells of nasbench201."""
    return np.array([str(each).count("skip_connect") for each in architectures], dtype=np.float64)


@pytest.fixture(scope="module")
def trained() -> NGAE:
    """A model of nasbench201 trained on convolutions as accuracy and skip connections as complexity."""
    known = some("nasbench201", 600)
    accuracy = convolutions(known)
    accuracy[300:] = np.nan
    settings = {**SIZES, "epochs": 25, "width": 48, "batch_size": 32}
    return NGAE(spaces.get("nasbench201"), **settings).fit(known, accuracy, skips(known))


def test_it_reconstructs_what_it_has_not_seen(trained: NGAE) -> None:
    unseen = some("nasbench201", 200, seed=9)
    assert reconstruction(trained, unseen) > 0.6
    assert reconstruction(trained, unseen, decodes=2) > 0.4
    assert reconstruction(NGAE(trained.space, **SIZES).fit(unseen, epochs=1), unseen) < 0.5


def test_it_predicts_both_figures(trained: NGAE) -> None:
    unseen = [trained.space.representative(each) for each in some("nasbench201", 200, seed=9)]  # keys do not tell what is dead
    assert np.corrcoef(trained.predict(unseen), convolutions(unseen))[0, 1] > 0.9
    assert np.corrcoef(trained.predict_complexity(unseen), skips(unseen))[0, 1] > 0.9
    assert np.abs(trained.predict_complexity(unseen) - skips(unseen)).mean() < 0.5


def test_ascent_leads_to_better_architectures(trained: NGAE) -> None:
    chance = some("nasbench201", 300, seed=9)
    made = trained.ascend(20, weight=0.0, starts=300, recorded_starts=4)
    assert len({trained.space.key(each) for each in made.architectures}) == 20
    assert convolutions(made.architectures).mean() > np.quantile(convolutions(chance), 0.95)
    assert (np.diff(made.path.objectives.mean(dim=1).numpy()) >= -1e-3).all()
    assert made.path.trajectories.shape == (101, 4, 12)
    assert (np.diff(made.accuracy) <= 1e-9).all()


def test_a_process_predicts_in_place_of_the_head(trained: NGAE) -> None:
    known, unseen = some("nasbench201", 40, seed=5), some("nasbench201", 200, seed=9)
    model = NGAE(trained.space).load(trained.state()).condition(known, 100 * convolutions(known))
    assert np.corrcoef(model.predict(unseen), convolutions(unseen))[0, 1] > 0.8
    assert model.predict(unseen).max() > 40.0, "in the unit of the scores"
    assert (model.encode(unseen) == trained.encode(unseen)).all()
    assert (NGAE(trained.space).load(model.state()).predict(unseen) == model.predict(unseen)).all()
    chance = convolutions(some("nasbench201", 300, seed=9))
    made = model.ascend(20, weight=0.0, starts=300)
    assert convolutions(made.architectures).mean() > np.quantile(chance, 0.95)
    hopeful = NGAE(trained.space).load(trained.state()).condition(known, convolutions(known), optimism=2.0)
    assert (100 * hopeful.predict(unseen) > model.predict(unseen)).all()
    assert model.fit(known, convolutions(known), warm=True, epochs=1).latent_space.process is None
    with pytest.raises(ConfigurationError, match="scores: expected at least two different"):
        model.condition(known, np.ones(40))


def test_the_ascent_as_published_starts_from_the_prior(trained: NGAE) -> None:
    options: dict[str, Any] = {"region": "plain", "sample": True, "rerank": False, "weight": 1.0, "steps": 2, "step": 0.01}
    made = trained.ascend(5, starts=400, recorded_starts=400, **options)
    starts = made.path.trajectories[0]
    assert starts.std(dim=0).numpy() == pytest.approx(np.ones(12), abs=0.15)
    assert starts.mean(dim=0).numpy() == pytest.approx(np.zeros(12), abs=0.2)
    model = trained.latent_space.model
    slope = model.performance.with_gradient(starts)[1] - model.complexity.with_gradient(starts)[1]
    assert torch.allclose(made.path.trajectories[1], starts + 0.01 * slope, atol=1e-5)
    assert [str(each) for each in trained.ascend(3, starts=400, **options).architectures] == [
        str(each) for each in made.architectures[:3]
    ], "the first ends, and not the best"
    with pytest.raises(ConfigurationError, match="best_share: expected a share"):
        trained.ascend(3, best_share=-0.1)
    with pytest.raises(ConfigurationError, match="best_spread: expected a number"):
        trained.ascend(3, best_spread=float("inf"))


def test_weight_and_budget_lower_the_complexity(trained: NGAE) -> None:
    means = [skips(trained.ascend(20, weight=weight, starts=300).architectures).mean() for weight in (-1.0, 0.0, 1.0)]
    assert means[0] > means[1] >= means[2]
    within = trained.ascend(20, budget=0.2, starts=300)
    assert within.weight > 0
    assert within.complexity.mean() < 0.6
    assert trained.ascend(5, budget=6.0, starts=100).weight == 0.0


def test_known_architectures_are_excluded_and_random_ones_fill_up(trained: NGAE) -> None:
    first = trained.ascend(30, starts=50)
    keys = {trained.space.key(each) for each in first.architectures}
    second = trained.ascend(30, starts=50, exclude=keys)
    assert not keys & {trained.space.key(each) for each in second.architectures}
    assert second.widened > 0
    many = trained.ascend(400, starts=20, steps=1, exclude=keys)
    assert len(many.architectures) == 400
    assert many.random > 0


def test_half_of_the_starts_are_the_best_known(trained: NGAE) -> None:
    best = [trained.space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|none~2|")]
    made = trained.ascend(5, best=best, best_spread=0.0, starts=40, steps=1, step=1e-9, recorded_starts=40)
    assert np.allclose(made.path.trajectories[0, :20].numpy(), trained.encode(best), atol=1e-4)


def test_outcome_depends_on_arguments_alone() -> None:
    known = some("enas", 60)
    accuracy = np.linspace(0, 1, 60)
    one, two = (NGAE(spaces.get("enas"), seed=4, **SIZES).fit(known, accuracy) for _ in range(2))
    assert (one.encode(known) == two.encode(known)).all()
    assert [str(each) for each in one.ascend(5, starts=30).architectures] == [
        str(each) for each in two.ascend(5, starts=30).architectures
    ]
    other = NGAE(spaces.get("enas"), seed=5, **SIZES).fit(known, accuracy)
    assert not np.allclose(one.encode(known), other.encode(known))


@pytest.mark.parametrize("name", ["enas", "nasbench101", "nasnet", "cells"])
def test_every_space(name: str) -> None:
    known = some(name, 40)
    model = NGAE(spaces.get(name), **{**SIZES, "epochs": 1}).fit(known, np.linspace(0, 1, 40), np.arange(40))
    assert model.encode(known).shape == (40, 12)
    assert len(model.decode(model.encode(known))) == 40
    made = model.ascend(5, starts=30, steps=5)
    assert len(made.architectures) == 5
    assert generation(model, known, points=20, decodes=2).valid == 1.0


def test_state_goes_through_a_safe_file(trained: NGAE) -> None:
    file = io.BytesIO()
    torch.save(trained.state(), file)
    file.seek(0)
    loaded = NGAE(spaces.get("nasbench201"), seed=3).load(torch.load(file, weights_only=True))
    unseen = some("nasbench201", 30, seed=2)
    assert (loaded.predict(unseen) == trained.predict(unseen)).all()
    assert loaded.settings == trained.settings
    assert [str(each) for each in loaded.ascend(5, starts=30).architectures] == [
        str(each) for each in trained.ascend(5, starts=30).architectures
    ]


def test_states_of_others_are_refused(trained: NGAE) -> None:
    state = trained.state()
    with pytest.raises(ConfigurationError, match="space is 'enas'; got 'nasbench201'"):
        NGAE(spaces.get("enas")).load(state)
    with pytest.raises(ConfigurationError, match="version is 1; got 0"):
        NGAE(spaces.get("nasbench201")).load({**state, "version": 0})


def test_a_warm_fit_continues_the_last_one(trained: NGAE) -> None:
    known = some("nasbench201", 100)
    model = NGAE(spaces.get("nasbench201")).load(trained.state())
    model.fit(known, convolutions(known), warm=True, epochs=1)
    assert model.history[0].reconstruction < NGAE(model.space, **SIZES).fit(known, epochs=1).history[0].reconstruction / 2


@pytest.mark.parametrize(
    ("accuracy", "complexity", "message"),
    [
        ([0.5] * 9 + [1.5], None, "accuracy: expected fractions from 0 to 1.*got 1.5 at 9"),
        ([0.5] * 9 + [-0.1], None, "accuracy: expected fractions"),
        ([0.5] * 9, None, "accuracy: expected 10 figures"),
        (None, [1.0] * 9 + [np.inf], "complexity: expected finite"),
        (None, [[1.0] * 10], "complexity: expected 10 figures"),
    ],
)
def test_wrong_figures_are_refused(accuracy: Any, complexity: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        NGAE(spaces.get("enas"), **SIZES).fit(some("enas", 10), accuracy, complexity)


def test_wrong_arguments_are_refused(trained: NGAE) -> None:
    space = spaces.get("enas")
    with pytest.raises(ConfigurationError, match="preset: expected one of authors, default, paper"):
        NGAE(space, preset="papers")
    with pytest.raises(ConfigurationError, match="no setting 'widht'.*width"):
        NGAE(space, widht=3)
    with pytest.raises(ConfigurationError, match="latent: expected a whole number"):
        NGAE(space, latent=0)
    with pytest.raises(ConfigurationError, match="at least 2"):
        NGAE(space).fit(some("enas", 1))
    with pytest.raises(ConfigurationError, match="learned nothing yet"):
        NGAE(space).encode(some("enas", 1))
    with pytest.raises(ArchitectureError):
        trained.encode(some("enas", 2))
    with pytest.raises(ConfigurationError, match=r"latents: expected points \[points, 12\]"):
        trained.decode(np.zeros((2, 11)))
    with pytest.raises(ConfigurationError, match="finite"):
        trained.decode(np.full((2, 12), np.nan))
    with pytest.raises(ConfigurationError, match="region: expected one of"):
        trained.ascend(3, region="box")
    with pytest.raises(ConfigurationError, match="steps: expected"):
        trained.ascend(3, steps=0)


def test_equal_figures_are_not_learned() -> None:
    known = some("enas", 20)
    model = NGAE(spaces.get("enas"), **SIZES).fit(known, np.linspace(0, 1, 20), np.full(20, 7.0))
    with pytest.raises(ConfigurationError, match="complexity: the model was given none, or only one"):
        model.predict_complexity(known)
    assert len(model.ascend(3, weight=2.0, starts=20).architectures) == 3
    with pytest.raises(ConfigurationError, match="accuracy: the model was given none"):
        NGAE(spaces.get("enas"), **SIZES).fit(known).ascend(3)


def test_divergence_keeps_the_last_good_model() -> None:
    known = some("enas", 64)
    model = NGAE(spaces.get("enas"), **SIZES).fit(known, np.linspace(0, 1, 64))
    model.settings = model.settings.with_changes(learning_rate=1000.0, clip=0.0, one_cycle=False)
    model.latent_space.model.settings = model.settings
    with pytest.raises(ConfigurationError, match="diverged"):
        model.fit(known, np.linspace(0, 1, 64), warm=True, epochs=60)
    assert np.isfinite(model.encode(known)).all()

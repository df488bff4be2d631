"""The Gaussian process: closed form, ranking of trained networks, determinism, states, and wrong arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.spaces import GraphBatch
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def population(number: int, seed: int = 0) -> tuple[GraphBatch, NDArray[np.float64]]:
    """Return cells, and scores that are high where there are many 3x3 convolutions."""
    genotypes = np.random.default_rng(seed).integers(5, size=(number, 6))
    return SPACE.encode_genotypes(genotypes), (genotypes == 3).sum(axis=1) + 0.1 * genotypes[:, 0]


def fitted(number: int = 40, **arguments: Any) -> GaussianProcess:
    return GaussianProcess(SPACE, **arguments).fit(*population(number))


def test_moments_are_those_of_the_closed_form() -> None:
    """C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.25, 2.26 and 4.17."""
    process = fitted()
    known, scores = population(40)
    points, unknown = process.prepare(known).astype(float), process.prepare(population(25, seed=1)[0]).astype(float)
    amplitude, length, noise = np.exp(process.state()["theta"])

    def kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = np.sqrt(5.0 * ((left[:, None] - right) ** 2).sum(axis=2)) / length
        return np.asarray(amplitude * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance))

    targets = stats.norm.ppf((stats.rankdata(scores) - 0.5) / 40)
    weights = np.linalg.solve(kernel(points, points) + noise * np.eye(40), np.column_stack([targets, kernel(points, unknown)]))
    mean, deviation = process.predict_moments(unknown.astype(np.float32))
    np.testing.assert_allclose(mean, kernel(unknown, points) @ weights[:, 0], atol=1e-4)
    variance = amplitude + noise - (kernel(unknown, points) * weights[:, 1:].T).sum(axis=1)
    np.testing.assert_allclose(deviation**2, variance, atol=1e-4)


@pytest.mark.slow
def test_optimism_counts_standard_deviations() -> None:
    batch, _ = population(30, seed=1)
    mean, deviation = fitted().predict_moments(batch)
    np.testing.assert_allclose(fitted().predict(batch), mean)
    np.testing.assert_allclose(fitted(optimism=1.5).predict(batch), mean + 1.5 * deviation)
    known, _ = population(40)
    assert fitted().predict_moments(known)[1].mean() < deviation.mean(), "it is surer of what it has seen"


@pytest.mark.slow
def test_ranking_on_trained_networks() -> None:
    """The embedded table of cells trained on digits, where tau between two trainings of each is .346; by chance 0 +- 0.02."""
    table = TabularEvaluator.embedded("digits201", score="valid_accuracy")
    batch = SPACE.encode([SPACE.parse(text) for text in table.architectures])
    scores = table.column("valid_accuracy")
    rows = np.random.default_rng(0).permutation(len(scores))
    process = GaussianProcess(SPACE).fit(batch[rows[:200]], scores[rows[:200]])
    assert kendall_tau(scores[rows[200:1200]], process.predict(batch[rows[200:1200]])) > 0.44


@pytest.mark.parametrize("name", spaces.names())
def test_it_fits_every_space(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(12)]
    process = GaussianProcess(space).fit(architectures, rng.random(12))
    predicted = process.predict(architectures)
    assert predicted.shape == (12,)
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(process.predict(process.prepare(architectures)), predicted)
    np.testing.assert_allclose(np.concatenate([process.predict([each]) for each in architectures]), predicted)
    assert process.predict([]).shape == (0,)


def test_same_arguments_same_outcome() -> None:
    batch, _ = population(30, seed=1)
    expected = fitted(seed=3).predict(batch)
    np.random.seed(1234)
    before = np.random.get_state()[1]
    assert np.array_equal(fitted(seed=3).predict(batch), expected)
    assert np.array_equal(np.random.get_state()[1], before), "the global generator is left alone"
    process = fitted(20, seed=3)
    assert np.array_equal(process.fit(*population(40)).predict(batch), expected), "a fit starts anew"


@pytest.mark.long
def test_fresh_process_gives_the_same() -> None:
    rng = "importlib.import_module('numpy').random.default_rng(0)"
    draw = f"(lambda rng: ([subject.space.sample(rng) for _ in range(20)], rng.random(20)))({rng})"
    fit = f"(lambda known: subject.fit(*known).predict(known[0]).tolist())({draw})"
    here = np.random.default_rng(0)
    known = [SPACE.sample(here) for _ in range(20)], here.random(20)
    expected = GaussianProcess(SPACE, 3).fit(*known).predict(known[0])
    np.testing.assert_allclose(in_fresh_process(GaussianProcess(SPACE, 3), fit), expected, rtol=1e-6)


def test_states_are_plain_and_restore_the_process() -> None:
    process, (batch, _) = fitted(seed=3), population(30, seed=1)
    state = process.state()
    plain = (str, int, np.ndarray)
    assert all(isinstance(part, plain) or all(type(each) is str for each in part) for part in state.values())
    assert not any(part.dtype.hasobject for part in state.values() if isinstance(part, np.ndarray))
    again = GaussianProcess(SPACE, 9).load(state)
    assert np.array_equal(again.predict(batch), process.predict(batch))


def test_a_cell_may_be_given_again_with_other_scores() -> None:
    known, scores = population(30)
    both = GaussianProcess(SPACE).fit(known[np.r_[:30, 0, 0]], np.r_[scores, 100.0, -100.0])
    assert np.isfinite(both.predict(known)).all()
    assert kendall_tau(scores[1:], both.predict(known[1:])) > 0.6


def test_of_many_rows_the_best_and_a_random_part_are_kept() -> None:
    batch, scores = population(400)
    process = GaussianProcess(SPACE, most_rows=100).fit(batch, scores)
    assert len(process.state()["targets"]) == 100
    best = np.argsort(-scores, kind="stable")[:50]
    ranking = process.predict(batch)
    assert ranking[best].mean() > np.quantile(ranking, 0.8)
    assert kendall_tau(scores, ranking) > 0.5


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.5] * 10, r"scores: expected at least two different ones.*got 10 of one value"),
        ([0.5] * 9, r"scores: expected 10, one for each architecture; got 9"),
        ([*[0.5] * 9, float("nan")], r"scores: expected finite numbers; got nan at position 9"),
    ],
)
def test_unusable_scores_are_refused(scores: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GaussianProcess(SPACE).fit(population(10)[0], scores)


def test_wrong_architectures_states_and_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"learned nothing yet; call fit or load first"):
        GaussianProcess(SPACE).predict(population(3)[0])
    with pytest.raises(ConfigurationError, match=r"state: expected one whose space is 'nasbench101'; got 'nasbench201'"):
        GaussianProcess(spaces.get("nasbench101")).load(fitted().state())
    with pytest.raises(ArchitectureError, match=r"expected graphs with the operators of nasbench101"):
        GaussianProcess(spaces.get("nasbench101")).prepare(population(3)[0])
    with pytest.raises(ConfigurationError, match=r"expected features as `prepare` returns them; got an array of shape \[3, 7\]"):
        fitted().predict(np.zeros((3, 7), dtype=np.float32))
    with pytest.raises(ConfigurationError, match=r"most_rows: expected a whole number of at least 2; got 1"):
        GaussianProcess(SPACE, most_rows=1)

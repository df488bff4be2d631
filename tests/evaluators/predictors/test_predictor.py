"""Predictors: every space, encoder and loss, determinism, members, warm fits, states, and wrong arguments."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators import Predictor
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors import losses
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.spaces import Architecture, GraphBatch, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells
from archsearch.spaces.fresh_process import in_fresh_process
from archsearch.spaces.nasbench201 import NASBench201

ENCODERS = ("gates", "gcn", "gcn-global", "lstm", "mlp")
SPACE = NASBench201()
TINY: dict[str, Any] = {"epochs": 4, "warm_epochs": 2, "width": 16, "hidden": 8, "embedding": 8, "recurrent": 8, "head": (16,)}


def small(name: str) -> SearchSpace:
    """Return a space, with few nodes where it has many, so that the LSTM takes no minute."""
    return {"anytime": Anytime(nodes=(4, 2)), "cells": Cells(nodes=6)}.get(name) or spaces.get(name)


def population(space: SearchSpace, number: int, seed: int = 0) -> tuple[list[Architecture], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)], rng.random(number)


def fitted(**arguments: Any) -> Predictor:
    return Predictor(SPACE, **{**TINY, **arguments}).fit(*population(SPACE, 20))


# Every space, encoder and loss


@pytest.mark.parametrize("name", spaces.names())
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_fits_every_space(name: str, encoder: str) -> None:
    space = small(name)
    architectures, scores = population(space, 12)
    predictor = Predictor(space, encoder, **TINY).fit(architectures, scores)
    predicted = predictor.predict(architectures)
    assert predicted.shape == (12,)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    assert np.allclose(predictor.predict(space.encode(architectures)), predicted), "graphs and architectures differ"
    assert predictor.predict([]).shape == (0,)


@pytest.mark.parametrize("loss", losses.NAMES)
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_every_loss_learns_the_order(loss: str, preset: str) -> None:
    """The number of 3x3 convolutions is easy to learn from 60 architectures: by chance tau is 0 +- 0.04."""
    rng = np.random.default_rng(0)
    genotypes = rng.integers(5, size=(360, 6))
    scores = 0.05 + 0.14 * (genotypes == 3).sum(axis=1)
    batch = SPACE.encode_genotypes(genotypes)
    changes = {**TINY, "epochs": 100, "learning_rate": 0.01}
    predictor = Predictor(SPACE, loss=loss, preset=preset, **changes).fit(batch[:60], scores[:60])
    assert kendall_tau(scores[60:], predictor.predict(batch[60:])) > (0.3 if loss == "mse" else 0.5)


@pytest.mark.parametrize(
    ("encoder", "least"), [("gates", 0.4), ("gcn", 0.2), ("gcn-global", 0.35), ("lstm", 0.35), ("mlp", 0.08)]
)
def test_ranking_on_trained_networks(encoder: str, least: float) -> None:
    """The embedded table of cells trained on digits, where tau between two trainings of each is .346; by chance 0 +- 0.02."""
    table = TabularEvaluator.embedded("digits201", score="valid_accuracy")
    batch = SPACE.encode([SPACE.parse(text) for text in table.architectures])
    scores = table.column("valid_accuracy")
    rows = np.random.default_rng(0).permutation(len(scores))
    predictor = Predictor(SPACE, encoder, epochs=60, head=(64,)).fit(batch[rows[:200]], scores[rows[:200]])
    assert kendall_tau(scores[rows[200:1200]], predictor.predict(batch[rows[200:1200]])) > least


# Determinism


def test_same_arguments_same_outcome() -> None:
    batch, _ = population(SPACE, 30, seed=1)
    first = fitted(seed=3, members=2)
    expected = first.predict(batch)
    torch.manual_seed(1234)
    assert np.array_equal(fitted(seed=3, members=2).predict(batch), expected)
    assert np.array_equal(first.fit(*population(SPACE, 20)).predict(batch), expected), "a fit starts anew"
    assert not np.allclose(fitted(seed=4, members=2).predict(batch), expected)


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    fitted(members=2).predict(population(SPACE, 5)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_fresh_process_gives_the_same() -> None:
    predictor = Predictor(SPACE, seed=3, members=2, **TINY)
    rng = "importlib.import_module('numpy').random.default_rng(0)"
    draw = f"(lambda rng: ([subject.space.sample(rng) for _ in range(20)], rng.random(20)))({rng})"
    fit = f"(lambda known: subject.fit(*known).predict(known[0]).tolist())({draw})"
    limited = f"[importlib.import_module('torch').set_num_threads(1), {fit}][1]"
    assert in_fresh_process(predictor, limited) == fitted(seed=3, members=2).predict(population(SPACE, 20)[0]).tolist()


def test_predicting_changes_nothing() -> None:
    architectures, scores = population(SPACE, 20)
    first, second = fitted(), fitted()
    expected = first.predict(architectures)
    assert np.array_equal(first.predict(architectures), expected), "no dropout in a prediction"
    assert np.array_equal(
        first.fit(architectures, scores, warm=True).predict(architectures),
        second.fit(architectures, scores, warm=True).predict(architectures),
    )


def test_large_populations_are_scored_in_parts() -> None:
    predictor = fitted(members=2)
    genotypes = np.random.default_rng(0).integers(5, size=(3000, 6))
    whole = predictor.predict(SPACE.encode_genotypes(genotypes))
    rows = [7, 511, 512, 1023, 2999]
    assert np.allclose(predictor.predict(SPACE.encode_genotypes(genotypes[rows])), whole[rows], atol=1e-5)


def test_prepared_population_is_the_same() -> None:
    architectures, scores = population(SPACE, 20)
    predictor = Predictor(SPACE, **TINY)
    prepared = predictor.prepare(architectures)
    expected = fitted().predict(architectures)
    assert np.array_equal(predictor.fit(prepared, scores).predict(prepared), expected)
    assert np.allclose(predictor.predict(prepared[5:9]), expected[5:9], atol=1e-6)
    some = scores > 0.5
    for rows in (some, np.flatnonzero(some), torch.tensor(some)):
        assert np.allclose(predictor.predict(prepared[rows]), expected[some], atol=1e-6)


# Members


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("batch_size", [512, 9])
def test_members_are_independent_predictors(encoder: str, batch_size: int) -> None:
    """Member k is the same with and without other members; so is the order of its batches."""
    architectures, _ = population(SPACE, 20)
    three = fitted(encoder=encoder, members=3, batch_size=batch_size).predict_members(architectures)
    for members in (1, 2):
        fewer = fitted(encoder=encoder, members=members, batch_size=batch_size).predict_members(architectures)
        assert np.allclose(fewer, three[:members], atol=1e-3)
    assert not np.allclose(three[0], three[1], atol=1e-2)


def test_prediction_is_the_mean_in_standard_units() -> None:
    architectures, _ = population(SPACE, 20)
    predictor = fitted(members=3)
    each = predictor.predict_members(architectures)
    assert np.allclose(predictor.predict(architectures), each.mean(axis=0))
    assert np.allclose(each.mean(axis=1), 0.0, atol=1e-6)
    assert np.allclose(each.std(axis=1), 1.0, atol=1e-6)


def test_members_agree_more_on_what_they_were_trained_on() -> None:
    genotypes = np.random.default_rng(0).integers(5, size=(400, 6))
    batch = SPACE.encode_genotypes(genotypes)
    scores = np.random.default_rng(1).random(40)
    spread = Predictor(SPACE, members=4, **{**TINY, "epochs": 150}).fit(batch[:40], scores).predict_members(batch).std(axis=0)
    assert spread[:40].mean() < 0.8 * spread[40:].mean()


# Warm fits and states


def test_two_warm_fits_are_one_longer_one() -> None:
    architectures, scores = population(SPACE, 20)
    long = fitted(epochs=10)
    parts = fitted(epochs=4).fit(architectures, scores, warm=True, epochs=5).fit(architectures, scores, warm=True, epochs=1)
    assert np.allclose(long.predict(architectures), parts.predict(architectures), atol=1e-6)
    assert np.allclose(
        fitted(epochs=6).predict(architectures), fitted().fit(architectures, scores, warm=True).predict(architectures)
    )


def test_warm_fit_takes_more_architectures() -> None:
    architectures, scores = population(SPACE, 40)
    first = Predictor(SPACE, **{**TINY, "epochs": 60, "warm_epochs": 60, "learning_rate": 0.01}).fit(
        architectures[:20], scores[:20]
    )
    before = kendall_tau(scores[20:], first.predict(architectures[20:]))
    assert kendall_tau(scores[20:], first.fit(architectures, scores, warm=True).predict(architectures[20:])) > before + 0.2


def test_warm_fit_without_an_earlier_one_is_a_fit() -> None:
    architectures, scores = population(SPACE, 20)
    predictor = Predictor(SPACE, **TINY).fit(architectures, scores, warm=True)
    assert np.array_equal(predictor.predict(architectures), fitted().predict(architectures))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("loss", ["hinge", "comparator"])
def test_state_goes_through_a_file(encoder: str, loss: str) -> None:
    architectures, scores = population(SPACE, 20)
    predictor = fitted(encoder=encoder, loss=loss, members=2)
    file = io.BytesIO()
    torch.save(predictor.state(), file)
    file.seek(0)
    other = Predictor(SPACE, encoder, loss, seed=9, members=2).load(torch.load(file, weights_only=True))
    assert np.array_equal(other.predict(architectures), predictor.predict(architectures))
    assert other.settings == predictor.settings
    again = [found.fit(architectures, scores, warm=True).predict(architectures) for found in (predictor, other)]
    assert np.array_equal(again[0], again[1]), "the state holds the optimizer and the generators"


def test_state_is_a_copy() -> None:
    architectures, scores = population(SPACE, 20)
    predictor = fitted()
    state, expected = predictor.state(), predictor.predict(architectures)
    other = Predictor(SPACE).load(state)
    for changing in (predictor, other):
        changing.fit(architectures, scores, warm=True)
    assert np.array_equal(Predictor(SPACE).load(state).predict(architectures), expected)


def test_predictor_survives_pickling() -> None:
    architectures, scores = population(SPACE, 20)
    predictor = fitted(members=2)
    copy = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(copy.predict(architectures), predictor.predict(architectures))
    again = [found.fit(architectures, scores, warm=True).predict(architectures) for found in (predictor, copy)]
    assert np.array_equal(again[0], again[1])
    pickle.loads(pickle.dumps(Predictor(SPACE))).fit(architectures[:2], scores[:2], epochs=1)


# Wrong arguments


def test_unusable_arguments_are_refused() -> None:
    for arguments in (
        {"encoder": "gate"},
        {"loss": "hing"},
        {"preset": "papers"},
        {"members": 0},
        {"members": True},
        {"epoch": 3},
        {"epochs": 0},
        {"epochs": 2.5},
        {"dropout": 1.0},
        {"learning_rate": -1.0},
        {"head": [0]},
        {"head": "10"},
        {"batch_size": 1},
    ):
        with pytest.raises(ConfigurationError, match=next(iter(arguments)).removesuffix("s")):
            Predictor(SPACE, **arguments)
    with pytest.raises(ConfigurationError, match="Did you mean 'epochs'"):
        Predictor(SPACE, epoch=3)


def test_unusable_scores_are_refused() -> None:
    architectures, scores = population(SPACE, 5)
    refused: dict[str, Callable[[], Any]] = {
        "finite": lambda: Predictor(SPACE).fit(architectures, [*scores[:4], float("nan")]),
        "got inf": lambda: Predictor(SPACE).fit(architectures, [*scores[:4], float("inf")]),
        "expected 5": lambda: Predictor(SPACE).fit(architectures, scores[:4]),
        "5 of one value": lambda: Predictor(SPACE).fit(architectures, [0.5] * 5),
        "1 of one value": lambda: Predictor(SPACE).fit(architectures[:1], [0.5]),
        "0 of one value": lambda: Predictor(SPACE).fit([], []),
        "fractions": lambda: Predictor(SPACE, loss="mse", preset="paper").fit(architectures, 100 * scores),
        "learning_rate": lambda: Predictor(SPACE, loss="listmle", preset="paper", learning_rate=1000.0).fit(
            architectures, scores
        ),
        "epochs": lambda: Predictor(SPACE).fit(architectures, scores, epochs=0),
    }
    for message, use in refused.items():
        with pytest.raises(ConfigurationError, match=message):
            use()


def test_a_fit_that_is_refused_leaves_the_predictor_as_it_was() -> None:
    architectures, scores = population(SPACE, 20)
    predictor = fitted()
    expected = predictor.predict(architectures)
    with pytest.raises(ConfigurationError):
        predictor.fit(architectures, scores[:3])
    assert np.array_equal(predictor.predict(architectures), expected)


@pytest.mark.parametrize("use", ["predict", "predict_members", "state", "settings", "num_parameters"])
def test_calls_before_the_first_fit_are_refused(use: str) -> None:
    with pytest.raises(ConfigurationError, match="call fit or load"):
        found = getattr(Predictor(SPACE), use)
        found(population(SPACE, 2)[0]) if use.startswith("predict") else found()


def test_architectures_of_another_space_are_refused() -> None:
    foreign, scores = population(spaces.get("nasbench101"), 5)
    graphs = spaces.get("nasbench101").encode(foreign)
    predictor = fitted()
    for given in (foreign, graphs, Predictor(spaces.get("nasbench101")).prepare(graphs)):
        for use in (partial(Predictor(SPACE).fit, given, scores), partial(predictor.predict, given)):
            with pytest.raises(ArchitectureError):
                use()


@pytest.mark.parametrize("encoder", ["mlp", "lstm"])
def test_graphs_larger_than_those_of_the_fit_are_refused_by_rows_of_one_length(encoder: str) -> None:
    space = spaces.get("nasbench101")
    architectures, scores = population(space, 40)
    batch = space.encode(architectures)
    fits = (batch.operators[:, 0] >= 0).sum(axis=1) <= 6
    small = batch[fits]
    cut = GraphBatch(small.vocabulary, small.operators[..., :6], small.adjacency[..., :6, :6])
    predictor = Predictor(space, encoder, **TINY).fit(cut, scores[fits])
    with pytest.raises(ArchitectureError, match="at most 6 nodes"):
        predictor.predict(batch)
    tiny = GraphBatch(cut.vocabulary, cut.operators[..., :5], cut.adjacency[..., :5, :5])
    rows = (cut.operators[:, 0] >= 0).sum(axis=1) <= 5
    assert np.allclose(predictor.predict(tiny[rows]), predictor.predict(cut[rows]), atol=1e-5)


def test_states_of_another_predictor_are_refused() -> None:
    state = fitted().state()
    for name, other in {
        "space": Predictor(spaces.get("nasbench101")),
        "encoder": Predictor(SPACE, "gcn"),
        "loss": Predictor(SPACE, loss="bce"),
        "members": Predictor(SPACE, members=2),
    }.items():
        with pytest.raises(ConfigurationError, match=name):
            other.load(state)
    with pytest.raises(ConfigurationError, match="version"):
        Predictor(SPACE).load({**state, "version": 0})
    with pytest.raises(ConfigurationError, match="version"):
        Predictor(SPACE).load({})


# Sizes


def test_parameters_are_those_of_the_paper() -> None:
    """The authors' code has 514,425 with NAS-Bench-201 (96 of them never trained or used) and 118,129 with NAS-Bench-101."""
    settings: dict[str, Any] = {"preset": "paper", "epochs": 1}
    assert Predictor(SPACE, **settings).fit(*population(SPACE, 3)).num_parameters == 514_425 - 96
    cells = spaces.get("nasbench101")
    four = Predictor(cells, layers=4, self_loops=False, residual=True, **settings).fit(*population(cells, 3))
    assert four.num_parameters == 118_129 - 96


# Rungs


def convolutions(architectures: list[Architecture]) -> NDArray[np.float64]:
    return np.array([str(each).count("nor_conv_3x3") + 0.1 * str(each).count("nor_conv_1x1") for each in architectures])


@pytest.mark.parametrize(("loss", "batch_size"), [("hinge", 512), ("bce", 512), ("comparator", 512), ("hinge", 16)])
def test_scores_of_different_rungs_are_never_compared(loss: str, batch_size: int) -> None:
    """The better half has lower scores, since it is of another rung."""
    architectures, _ = population(SPACE, 60)
    truth = convolutions(architectures)
    better = truth >= np.median(truth)
    scores = np.where(better, truth - 10.0, truth)
    settings: dict[str, Any] = {**TINY, "epochs": 30, "learning_rate": 0.01, "loss": loss, "batch_size": batch_size, "members": 2}
    within = Predictor(SPACE, **settings).fit(architectures, scores, rungs=better.astype(int))
    unseen, _ = population(SPACE, 100, seed=1)
    assert kendall_tau(convolutions(unseen), within.predict(unseen)) > 0.4
    compared = Predictor(SPACE, **settings).fit(architectures, scores)
    assert kendall_tau(convolutions(unseen), compared.predict(unseen)) < 0.2


def test_higher_rungs_count_more() -> None:
    """The order on the higher rung is that of the other one reversed."""
    architectures, _ = population(SPACE, 60)
    truth = convolutions(architectures)
    rungs, scores = np.repeat([0, 3], 60), np.concatenate([-truth, truth])
    predictor = Predictor(SPACE, **{**TINY, "epochs": 30, "learning_rate": 0.01}).fit(
        [*architectures, *architectures], scores, rungs=rungs
    )
    assert kendall_tau(truth, predictor.predict(architectures)) > 0.5


@pytest.mark.parametrize(
    ("rungs", "arguments", "message"),
    [
        ([0] * 19, {}, "rungs: expected 20 whole numbers from 0, one for each architecture; got int64 of shape"),
        ([0.5] * 20, {}, "rungs: expected 20 whole numbers from 0, one for each architecture; got float64"),
        ([-1] * 20, {}, "rungs: expected 20 whole numbers from 0"),
        (list(range(20)), {}, "rungs: expected a rung with two different scores"),
        ([0] * 20, {"loss": "mse"}, "rungs: expected a loss on pairs, one of hinge, bce, comparator; got loss='mse'"),
        ([0] * 20, {"loss": "listmle"}, "rungs: expected a loss on pairs"),
    ],
)
def test_wrong_rungs_are_refused(rungs: list[float], arguments: dict[str, Any], message: str) -> None:
    architectures, scores = population(SPACE, 20)
    with pytest.raises(ConfigurationError, match=message):
        Predictor(SPACE, **TINY, **arguments).fit(architectures, scores, rungs=rungs)

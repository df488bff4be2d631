"""Options of constructors cannot be set on a made object, where they would do nothing."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from archsearch import searchers, spaces
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.evaluators import NGAE, Evaluator, Predictor, TabularEvaluator, TrainingEvaluator
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.training.recipe import Recipe
from archsearch.fixed_options import FixedOptions
from archsearch.platform.configuration import SearchConfiguration
from archsearch.searchers import RandomSearch
from archsearch.searchers.optuna_searcher import tpe

SPACE = spaces.get("nasbench201")
SEARCHERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: searchers.get(name)(SPACE, num_candidates=30) for name in searchers.names() if name != "proxies"},
    # Their first candidates are random ones, so that no supernet is trained.
    "darts": lambda: searchers.DARTSSearch(SPACE, num_candidates=30, initial=2),
    "enas": lambda: searchers.ENASSearch(SPACE, num_candidates=30, initial=2),
    "nao-ws": lambda: searchers.SharedEncodingSearch(SPACE, num_candidates=30, initial=2),
    "proxies": lambda: searchers.ProxyRandomSearch(SPACE, num_candidates=30, dataset="digits"),
    "tune": lambda: searchers.TuneAlgorithm(SPACE, algorithm=tpe, num_candidates=30),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "table": lambda: TabularEvaluator.embedded("digits201"),
    "training": lambda: TrainingEvaluator(SPACE, "digits"),
    "predictor": lambda: Predictor(SPACE),
    "gaussian process": lambda: GaussianProcess(SPACE),
    "ngae": lambda: NGAE(SPACE),
}


@pytest.mark.parametrize("name", [*SEARCHERS, *OTHERS])
def test_no_option_can_be_set_without_an_effect(name: str) -> None:
    made = {**SEARCHERS, **OTHERS}[name]()
    for option in made.constructor_options - made.changeable:
        with pytest.raises(AttributeError, match=f"{option}: an option of {type(made).__name__}'s constructor, fixed since"):
            setattr(made, option, 1)


@pytest.mark.parametrize("name", SEARCHERS)
def test_what_is_set_on_a_searcher_counts_or_is_refused(name: str) -> None:
    searcher = SEARCHERS[name]()
    for option in ("batch_size", "seed", "space", "deterministic", "lag", "goals", "batchsize", "finished", "propose"):
        with pytest.raises(AttributeError):
            setattr(searcher, option, 1)
    searcher.num_candidates = 2
    assert [isinstance(searcher.suggest(str(trial)), dict) for trial in range(3)] == [True, True, False]
    assert searcher.num_proposed == 2


def test_a_searcher_says_its_batch_size() -> None:
    sizes = [(None, False, None), (7, False, 7), (None, True, 1), (7, True, 7)]
    for given, deterministic, size in sizes:
        assert RandomSearch(SPACE, batch_size=given, deterministic=deterministic).batch_size == size


def test_settings_and_pools_are_fixed_too() -> None:
    for made, name in ((Recipe(), "epochs"), (SearchConfiguration(), "seed")):
        with pytest.raises(AttributeError, match=f"cannot assign to field '{name}'"):
            setattr(made, name, 3)
    assert issubclass(ModelPool, FixedOptions) and issubclass(Evaluator, FixedOptions)


def test_the_message_names_the_near_option() -> None:
    with pytest.raises(
        AttributeError, match="batchsize: RandomSearch has no such attribute; options .* Did you mean 'batch_size'"
    ):
        RandomSearch(SPACE).batchsize = 1  # type: ignore[attr-defined]


def test_a_copy_is_fixed_as_well() -> None:
    copy = pickle.loads(pickle.dumps(RandomSearch(SPACE, batch_size=3)))
    with pytest.raises(AttributeError, match="make a new one with batch_size=1"):
        copy.batch_size = 1
    assert copy.batch_size == 3


class Annealed(RandomSearch):
    """A searcher of a user: it changes what it likes, but not what the package's constructors have used up."""

    def __init__(self, space: Any, seed: int = 0, *, heat: float = 1.0, **settings: Any) -> None:
        self.heat = heat
        super().__init__(space, seed, **settings)
        self.heat /= 2


def test_classes_of_users_keep_their_own_attributes() -> None:
    searcher: Any = Annealed(SPACE, heat=4.0, batch_size=2)
    searcher.heat *= 0.5
    searcher.label = "mine"
    assert (searcher.heat, searcher.label) == (1.0, "mine")
    with pytest.raises(AttributeError, match="batch_size: an option of Annealed's constructor"):
        searcher.batch_size = 1
    assert list(inspect.signature(Annealed).parameters) == ["space", "seed", "heat", "settings"]

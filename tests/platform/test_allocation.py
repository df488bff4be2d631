"""How trials and the actors of a searcher share the CPUs."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TabularEvaluator, TrainingEvaluator
from archsearch.platform.allocation import allocate
from archsearch.platform.configuration import SearchConfiguration
from archsearch.searchers import ArchitectureSearcher

pytestmark = pytest.mark.usefixtures("shared_ray")  # two CPUs, no GPU
SPACE = spaces.get("nasbench201")
TRAINING = TrainingEvaluator(SPACE, "digits")


def made(name: str, **options: Any) -> ArchitectureSearcher:
    return searchers.get(name)(SPACE, 0, num_candidates=20, **options)


@pytest.mark.parametrize(
    ("searcher", "settings", "workers", "fitting", "actor_cpus"),
    [
        ("random", {}, 2, 2, 0.0),
        ("gp", {}, 1, 1, 1.0),
        ("gp", {"workers": 2}, 2, 1, 1.0),
        ("gp", {"cpus_per_worker": 2.0}, 1, 1, 0.0),  # the actor shares the cores of the trial
        ("random", {"cpus_per_worker": 0.5}, 4, 4, 0.0),
    ],
)
def test_trials_get_what_actors_leave(
    searcher: str, settings: dict[str, float], workers: int, fitting: int, actor_cpus: float
) -> None:
    found = allocate(SearchConfiguration(**settings), made(searcher), TRAINING)  # type: ignore[arg-type]
    assert (found.workers, found.fitting, found.actor_cpus, found.lacking) == (workers, fitting, actor_cpus, "")


def test_look_ups_have_one_worker() -> None:
    assert allocate(SearchConfiguration(), made("random"), TabularEvaluator.embedded("digits201")).workers == 1


@pytest.mark.parametrize("searcher", ["gates", "ngae", "ghn"])
def test_a_gpu_as_the_device_is_refused_where_there_is_none(searcher: str) -> None:
    with pytest.raises(
        ConfigurationError, match="searcher_options.device: the surrogate is to use cuda, but Ray knows no GPU on"
    ):
        allocate(SearchConfiguration(), made(searcher, device="cuda"), TRAINING)
    assert allocate(SearchConfiguration(), made(searcher, device="auto"), TRAINING).actors == 1
    with pytest.raises(ConfigurationError, match="device: expected auto, cpu, cuda or cuda:N; got 'gpu9'"):
        made(searcher, device="gpu9")
    training = TrainingEvaluator(SPACE, "digits", device="cuda:1")
    with pytest.raises(ConfigurationError, match="evaluator_options.device: a training is to use cuda:1, but Ray knows no GPU"):
        allocate(SearchConfiguration(), made(searcher), training)


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        ({"gpus": 1.0}, {}, "gpus: an actor of the searcher asks for 0.* CPUs and 1 GPU"),
        ({"gpus": 0.1, "actors": 2}, {}, "gpus: an actor of the searcher asks for 0 CPUs and 0.1 GPUs"),
        ({}, {"gpus_per_worker": 0.1}, "gpus_per_worker: a trial asks for 1 CPU and 0.1 GPUs"),
        ({}, {"cpus_per_worker": 3.0}, "cpus_per_worker: a trial asks for 3 CPUs"),
        ({}, {"gpus_per_worker": 1.5}, "gpus_per_worker: expected a fraction up to 1 or a whole number"),
    ],
)
def test_what_would_wait_forever_is_refused(options: dict[str, float], settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        allocate(SearchConfiguration(**settings), made("gp", **options), TRAINING)  # type: ignore[arg-type]

"""The registry counts versions per branch and keeps the tokens of running calls."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError

from archsearch.cluster.pool import registry as module
from archsearch.cluster.pool.layout import PoolLayout
from archsearch.cluster.pool.registry import PoolRegistry, Published, ask_patiently, is_at_work

LAYOUT = PoolLayout(
    name="pool",
    actors=1,
    threads=1,
    cpus=0.5,
    gpus=0.0,
    shared=False,
    chunk_seconds=0.25,
    chunk_size=None,
    hang_seconds=None,
)


@pytest.fixture
def registry() -> PoolRegistry:
    return PoolRegistry(LAYOUT)


def test_versions_grow_on_each_branch(registry: PoolRegistry) -> None:
    versions = [registry.publish(branch, 0, [branch], keep=False).version for branch in ("a", "a", "b")]
    assert versions == [1, 2, 1]
    assert registry.layout() == LAYOUT


def test_versions_continue_from_the_highest_seen_by_the_publisher(registry: PoolRegistry) -> None:
    assert registry.publish("a", 7, ["state"], keep=False) == Published(8, ["state"])


def test_only_a_newer_state_is_taken_back(registry: PoolRegistry) -> None:
    registry.publish("a", 4, ["five"], keep=False)
    registry.give_back("a", Published(3, ["three"]), keep=False)
    assert registry._published("a") == Published(5, ["five"])
    registry.give_back("a", Published(6, ["six"]), keep=False)
    assert registry._published("a") == Published(6, ["six"])


def test_a_limited_number_of_tokens_is_kept(registry: PoolRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TOKENS", 2)
    for token in ("one", "two", "three"):
        registry.enter(token)
    registry.leave("three")
    registry.leave("unknown")
    assert [registry.is_at_work(token) for token in ("one", "two", "three")] == [False, True, False]


class Remote:
    """Stands for a method of an actor that is being restarted, and answers at the third time."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def remote(self, *arguments: Any) -> Any:
        self.asked.append(arguments)
        return len(self.asked)


def test_a_registry_that_is_restarted_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: int, timeout: float) -> str:
        if reference < 3:
            raise ActorUnavailableError("restarting", None)
        return "answer"

    monkeypatch.setattr(module.ray, "get", get)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_TRIES", 0.0)
    method = Remote()
    assert ask_patiently(method, 1, 2) == "answer"
    assert method.asked == [(1, 2)] * 3


def test_work_without_a_token_is_not_blamed() -> None:
    assert not is_at_work(None, None)

"""The actor that all callers of a model pool ask for its settings and its newest states."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from archsearch.cluster.pool.layout import PoolLayout

_MOST_TOKENS = 10_000
_SECONDS_TO_ANSWER = 30.0
_SECONDS_BETWEEN_TRIES = 0.5
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Published:
    """A published state of a branch.

    Args:
        version: Its version, from 1; 0 is a new model.
        reference: Object reference to the pickled state, in a list so that Ray does not fetch it as an argument; empty for a new
            model.
    """

    version: int = 0
    reference: Sequence[Any] = ()


class PoolRegistry:
    """Keeps a pool's layout, the newest state of each branch, and the tokens of suspect calls that are being worked on.

    It is a named actor, so that any process finds the pool. When it dies, Ray restarts it without states; the callers that
    published them give them back.

    Args:
        layout: Settings of the pool.
    """

    def __init__(self, layout: PoolLayout) -> None:
        self._layout = layout
        self._newest: dict[str, Published] = {}
        self._at_work: OrderedDict[str, None] = OrderedDict()

    def layout(self) -> PoolLayout:
        """Return the settings of the pool."""
        return self._layout

    def newest(self, branch: str) -> tuple[Published, bool]:
        """Return the newest state of a branch, and whether a restart may have lost a newer one."""
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        return self._published(branch), restarted and branch not in self._newest

    def _published(self, branch: str) -> Published:
        return self._newest.get(branch, Published())

    def publish(self, branch: str, known: int, reference: Sequence[Any], keep: bool) -> Published:
        """Make a state the newest of its branch.

        Args:
            branch: Name of the branch.
            known: Highest version that the publisher has seen; the new version is higher, also after a restart of this actor.
            reference: Object reference to the pickled state, in a list.
            keep: Whether to keep a copy in this actor, because the publisher may end before the pool.
        """
        published = Published(max(known, self._published(branch).version) + 1, _copy(reference) if keep else reference)
        self._newest[branch] = published
        return published

    def give_back(self, branch: str, published: Published, keep: bool) -> None:
        """Store a state again that was published before a restart."""
        if published.version > self._published(branch).version:
            reference = _copy(published.reference) if keep else published.reference
            self._newest[branch] = Published(published.version, reference)

    def enter(self, token: str) -> None:
        """Note that an actor begins a call."""
        self._at_work[token] = None
        if len(self._at_work) > _MOST_TOKENS:
            self._at_work.popitem(last=False)

    def leave(self, token: str) -> None:
        """Note that the actor has survived the call."""
        self._at_work.pop(token, None)

    def is_at_work(self, token: str) -> bool:
        """Return whether a call has begun and not ended; if the actor is dead, it died in this call."""
        return token in self._at_work


def _copy(reference: Sequence[Any]) -> list[Any]:
    return [ray.put(ray.get(reference[0]))]


def ask_patiently(method: Any, *arguments: Any) -> Any:
    """Return the answer of a method of the registry; retry while Ray restarts it.

    Raises:
        RayError: It does not answer in time, or has ended.
    """
    for _ in range(_TRIES):
        try:
            return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)
        except ActorUnavailableError:
            time.sleep(_SECONDS_BETWEEN_TRIES)
    return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)


def is_at_work(registry: Any, token: str | None) -> bool:
    """Return whether a dead actor certainly died in this call, and not in a call of another process.

    Args:
        registry: Ray handle of the pool's registry.
        token: Token of the call; None for a call without one, which is never blamed.
    """
    if token is None:
        return False
    try:
        return bool(ask_patiently(registry.is_at_work, token))
    except RayError:
        return False

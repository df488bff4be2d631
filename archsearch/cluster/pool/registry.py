"""What all callers of a model pool must agree on: how it is made, and which state is the newest."""

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
    """A published state.

    Args:
        version: Its version, from 1; 0 is a new model.
        reference: Reference to the pickled state, in a list so that it is not fetched unasked; empty for a new model.
    """

    version: int = 0
    reference: Sequence[Any] = ()


class PoolRegistry:
    """Knows a pool's layout, the newest state of each branch, and which suspect calls are worked on.

    It is an actor of its own, so that any process finds the pool by name. When it dies, Ray starts it again without states;
    the callers who published them give them back to it.

    Args:
        layout: How the pool was made.
    """

    def __init__(self, layout: PoolLayout) -> None:
        self._layout = layout
        self._newest: dict[str, Published] = {}
        self._at_work: OrderedDict[str, None] = OrderedDict()

    def layout(self) -> PoolLayout:
        """Return how the pool was made."""
        return self._layout

    def newest(self, branch: str) -> tuple[Published, bool]:
        """Return the newest state of a branch, and whether there may be one that was forgotten by a restart."""
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        return self._published(branch), restarted and branch not in self._newest

    def _published(self, branch: str) -> Published:
        return self._newest.get(branch, Published())

    def publish(self, branch: str, known: int, reference: Sequence[Any], keep: bool) -> Published:
        """Make a state the newest of its branch.

        Args:
            branch: Its branch.
            known: The newest version that the publisher knows: versions go on from there also if this process is new.
            reference: Reference to the pickled state, in a list.
            keep: Whether to keep a copy here, because the publisher may end before the pool.
        """
        published = Published(max(known, self._published(branch).version) + 1, _copy(reference) if keep else reference)
        self._newest[branch] = published
        return published

    def give_back(self, branch: str, published: Published, keep: bool) -> None:
        """Take back what this process knew before it died."""
        if published.version > self._published(branch).version:
            reference = _copy(published.reference) if keep else published.reference
            self._newest[branch] = Published(published.version, reference)

    def enter(self, token: str) -> None:
        """Note that an actor begins with a call."""
        self._at_work[token] = None
        if len(self._at_work) > _MOST_TOKENS:
            self._at_work.popitem(last=False)

    def leave(self, token: str) -> None:
        """Note that the actor has lived through it."""
        self._at_work.pop(token, None)

    def is_at_work(self, token: str) -> bool:
        """Return whether a call has begun and not ended: if the actor is dead, it died of it, or was killed meanwhile."""
        return token in self._at_work


def _copy(reference: Sequence[Any]) -> list[Any]:
    return [ray.put(ray.get(reference[0]))]


def ask_patiently(method: Any, *arguments: Any) -> Any:
    """Return the answer of a method of the registry; if that is just being restarted, ask again.

    Raises:
        RayError: It does not answer, or is gone.
    """
    for _ in range(_TRIES):
        try:
            return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)
        except ActorUnavailableError:
            time.sleep(_SECONDS_BETWEEN_TRIES)
    return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)


def is_at_work(registry: Any, token: str | None) -> bool:
    """Return whether an actor that is dead certainly had a call in hand: it may have died of one of another process.

    Args:
        registry: The pool's registry.
        token: Name of the call; None for one that was not noted.
    """
    if token is None:
        return False
    try:
        return bool(ask_patiently(registry.is_at_work, token))
    except RayError:
        return False

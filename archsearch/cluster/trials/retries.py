"""Retries of batches whose process died."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.exceptions import RayActorError
from ray.tune.search import Searcher

from archsearch.errors import ArchSearchError, RunError

logger = logging.getLogger(__name__)

# Number of processes of a batch that may die before they begin it, such as with their node, before the search gives up.
_SILENT_DEATHS = 5


class RetryingSearcher(Searcher):
    """Suggests a batch again when its trial has died; the wrapped searcher sees only outcomes.

    Tune's own retries give up at the first death of a process that is idle or is being reset for its next trial: one handler of
    the death queues the trial again and another ends it (ray 2.60, `TuneController._actor_failed` and
    `_process_trial_failure`).

    Args:
        searcher: Searcher that suggests batches.
        begun: Returns the number of processes that have begun a batch.
        give_up: Called with an error when the processes of a batch die before they begin it.
    """

    def __init__(self, searcher: Searcher, begun: Callable[[int], int], give_up: Callable[[ArchSearchError], None]) -> None:
        super().__init__(metric=searcher.metric, mode=searcher.mode)
        self._searcher, self._begun, self._give_up = searcher, begun, give_up
        self._running: dict[str, tuple[str, dict[str, Any]]] = {}
        self._again: deque[tuple[str, dict[str, Any]]] = deque()
        self._batches: dict[str, int] = {}
        self._lost_nodes: set[int] = set()
        self._deaths: Counter[int] = Counter()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return a batch whose trial died, or else the searcher's next one."""
        suggestion: Any  # Ray's annotation is narrower than what it takes
        first, suggestion = self._again.popleft() if self._again else (trial_id, self._searcher.suggest(trial_id))
        if isinstance(suggestion, dict):
            self._running[trial_id] = (first, suggestion)
            if suggestion["batch"] in self._lost_nodes:
                self._lost_nodes.remove(suggestion["batch"])
                return {**suggestion, "node_lost": True}
        elif suggestion == Searcher.FINISHED and self._running:
            return None  # a running trial may still die
        return suggestion  # type: ignore[no-any-return]

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Ignore it: a trial has one result, its last."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Pass an outcome to the searcher, or queue the batch again if the trial died."""
        if trial_id not in self._running:
            return
        first, suggestion = self._running.pop(trial_id)
        if not error:
            # A trial that all others would follow into its error has no outcome, and ends the search.
            self._searcher.on_trial_complete(trial_id=first, result=None if result and "broken" in result else result)
            return
        batch = self._batches[trial_id] = suggestion["batch"]
        self._deaths[batch] += 1
        self._again.append((first, suggestion))
        logger.warning("a process of batch %d died; candidates that it had not recorded are evaluated again", batch)
        if self._deaths[batch] - self._begun(batch) >= _SILENT_DEATHS:
            self._give_up(
                RunError(
                    f"the workers die before they begin: {_SILENT_DEATHS} processes of batch {batch} did. "
                    "Is archsearch installed on all nodes, in the same version? Their reasons are in Ray's logs, /tmp/ray."
                )
            )

    def node_lost(self, trial_id: str) -> None:
        """Note that a trial died with its node, so that the retry does not blame a candidate."""
        if trial_id in self._batches:
            self._lost_nodes.add(self._batches.pop(trial_id))

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it for `Tuner.restore`. A search goes on from the ledger instead, and evaluators may be large.
        return {**self.__dict__, "_searcher": None, "_begun": None, "_give_up": None}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Pass Tune's properties to the searcher."""
        return self._searcher.set_search_properties(metric, mode, config, **spec)

    def save(self, checkpoint_path: str) -> None:
        """Save the searcher's state."""
        self._searcher.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Restore the searcher's state."""
        self._searcher.restore(checkpoint_path)


class LostNodes(tune.Callback):
    """Reports trials that died with their nodes, because a machine failed or was preempted.

    Args:
        node_lost: Called with the id of such a trial, before its batch is suggested again.
    """

    def __init__(self, node_lost: Callable[[str], None]) -> None:
        self._node_lost = node_lost

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Report the trial if its error says that its node has died."""
        error = trial.get_pickled_error()
        if isinstance(error, RayActorError) and (error.preempted or "node has died" in str(error)):
            self._node_lost(trial.trial_id)

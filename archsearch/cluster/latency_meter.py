"""Measures the latency of candidates before they are trained, in a process of a machine that can train them."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.errors import ConfigurationError, message_in_one_line
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.score_names import LATENCY
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.latency_cost import LatencyConditions  # it loads torch

logger = logging.getLogger(__name__)


class LatencyMeter:
    """Function that returns the latency of an architecture, measured once and kept in a ledger of its own.

    Before `open`, it measures in this process. Afterwards it measures in an actor on a node that has what a trial reserves, with
    that node's device. The actor reserves nothing, so it never waits for a trial; trials that run meanwhile slow it down. What
    was measured under the same conditions on the same hardware is taken from the ledger, so a resumed search sees the same
    values, and values do not change within a search.

    Args:
        space: Space of the architectures.
        conditions: How latency is found.
        cost_arguments: Input shape, classes and size of the networks.
    """

    def __init__(self, space: SearchSpace, conditions: LatencyConditions, cost_arguments: Mapping[str, Any]) -> None:
        self.space, self.conditions, self.cost_arguments = space, conditions, dict(cost_arguments)
        self.known: dict[str, dict[str, float]] = {}
        self.facts: dict[str, Any] = {}
        self._actor: Any = None
        self._station: _Station | None = None
        self._warned = False

    def open(self, root: str, cpus: float, gpus: float) -> None:
        """Start the actor, and measure one architecture with it.

        Args:
            root: Folder of all ledgers.
            cpus: CPUs that a trial reserves.
            gpus: GPUs that a trial reserves.

        Raises:
            ConfigurationError: The latency cannot be measured.
        """
        kind: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Station)
        node = _node_with(cpus, gpus)
        if node is not None:
            kind = kind.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True))
        self._actor = kind.remote(self.space, self.conditions, self.cost_arguments, root)
        try:
            self.facts = ray.get(self._actor.facts.remote())
            self._ask(self.space.sample(np.random.default_rng(0)))
        except Exception as error:
            self.close()
            reason = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
            text = message_in_one_line(reason, 300)
            raise ConfigurationError(
                text if text.startswith("latency:") else f"latency: cannot measure the latency of a network ({text})."
            ) from error

    def close(self) -> None:
        """End the actor."""
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None

    def __call__(self, architecture: Architecture) -> float:
        """Return the median latency in milliseconds, NaN if it cannot be measured."""
        return self.figures(architecture).get(LATENCY, math.nan)

    def figures(self, architecture: Architecture) -> dict[str, float]:
        """Return the latency and its quartiles by name; nothing if it cannot be measured."""
        text = str(architecture)
        if text not in self.known:
            try:
                self.known[text] = self._ask(architecture)
            except Exception as error:  # of this architecture; `open` has measured another one
                if not self._warned:
                    self._warned = True
                    logger.warning("the latency of %s cannot be measured: %s", text, message_in_one_line(error, 300))
                self.known[text] = {}
        return self.known[text]

    def _ask(self, architecture: Architecture) -> dict[str, float]:
        if self._actor is not None:
            found: dict[str, float] = ray.get(self._actor.measure.remote(str(architecture)))
            return found
        if self._station is None:
            self._station = _Station(self.space, self.conditions, self.cost_arguments, None)
        return self._station.measure(str(architecture))

    def __getstate__(self) -> dict[str, Any]:
        # Searchers that rank in actors take it along; each process asks the one actor.
        return {**self.__dict__, "known": {}, "_station": None}


class _Station:
    """Measures, and keeps what it measured in a ledger."""

    def __init__(
        self, space: SearchSpace, conditions: LatencyConditions, cost_arguments: Mapping[str, Any], root: str | None
    ) -> None:
        self._space, self._conditions, self._cost_arguments = space, conditions, cost_arguments
        self._ledger: Ledger | None = None
        self._known: dict[str, dict[str, float]] = {}
        self._number = 0
        if root is not None:
            content = json.dumps({"latency": conditions.facts(), "networks": dict(cost_arguments)}, sort_keys=True, default=str)
            fingerprint = f"latency-{hashlib.blake2b(content.encode(), digest_size=8).hexdigest()}"
            self._ledger = Ledger(root, space, fingerprint)
            for entry in self._ledger.entries():
                self._known[str(entry.evaluation.architecture)] = dict(entry.evaluation.metrics)

    def facts(self) -> dict[str, Any]:
        return self._conditions.facts()

    def measure(self, text: str) -> dict[str, float]:
        if text not in self._known:
            architecture = self._space.parse(text)
            found = self._conditions.measure(self._space, architecture, self._cost_arguments)
            if self._ledger is not None:
                # Architectures of one key may differ in latency, because of operators that do not reach the output.
                row = Evaluation(architecture, text, found[LATENCY], found)
                self._ledger.append("latency", self._number, [(0, row)])
                self._number += 1
            self._known[text] = found
        return self._known[text]


def _node_with(cpus: float, gpus: float) -> str | None:
    """Return the id of a node that has what a trial reserves, or None if no single one has."""
    for node in ray.nodes():
        resources = node["Resources"]
        if node["Alive"] and resources.get("CPU", 0.0) >= cpus and resources.get("GPU", 0.0) >= gpus:
            return str(node["NodeID"])
    return None

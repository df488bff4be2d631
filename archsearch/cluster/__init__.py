"""Trials, the ledger of evaluations, and pools of resident models, on a Ray cluster."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.cluster.checkpoints import CheckpointStore
    from archsearch.cluster.connection import cluster_cpus, connect
    from archsearch.cluster.ghn_training import train_ghn
    from archsearch.cluster.latency_meter import LatencyMeter
    from archsearch.cluster.ledger.ledger import Ledger
    from archsearch.cluster.ledger.records import Entry, Records
    from archsearch.cluster.ledger.rungs import RungEvent, RungLog, partial_outcomes
    from archsearch.cluster.pool.answer import Answer, PoolError, Reply
    from archsearch.cluster.pool.model_pool import ModelPool
    from archsearch.cluster.trials.batch_size import BatchSizer
    from archsearch.cluster.trials.simulated_clock import run_simulated_clock
    from archsearch.cluster.trials.simulated_workers import run_simulated
    from archsearch.cluster.trials.stepwise import run_stepwise
    from archsearch.cluster.trials.trial import BatchTrial, evaluate_batch
    from archsearch.cluster.trials.tuning import TrialResources, run_trials

_MODULES = {
    "Answer": "pool.answer",
    "BatchSizer": "trials.batch_size",
    "BatchTrial": "trials.trial",
    "CheckpointStore": "checkpoints",
    "Entry": "ledger.records",
    "LatencyMeter": "latency_meter",
    "Ledger": "ledger.ledger",
    "ModelPool": "pool.model_pool",
    "PoolError": "pool.answer",
    "Records": "ledger.records",
    "Reply": "pool.answer",
    "RungEvent": "ledger.rungs",
    "RungLog": "ledger.rungs",
    "TrialResources": "trials.tuning",
    "cluster_cpus": "connection",
    "connect": "connection",
    "evaluate_batch": "trials.trial",
    "partial_outcomes": "ledger.rungs",
    "run_simulated": "trials.simulated_workers",
    "run_simulated_clock": "trials.simulated_clock",
    "run_stepwise": "trials.stepwise",
    "run_trials": "trials.tuning",
    "train_ghn": "ghn_training",
}

__all__ = [
    "Answer",
    "BatchSizer",
    "BatchTrial",
    "CheckpointStore",
    "Entry",
    "LatencyMeter",
    "Ledger",
    "ModelPool",
    "PoolError",
    "Records",
    "Reply",
    "RungEvent",
    "RungLog",
    "TrialResources",
    "cluster_cpus",
    "connect",
    "evaluate_batch",
    "partial_outcomes",
    "run_simulated",
    "run_simulated_clock",
    "run_stepwise",
    "run_trials",
    "train_ghn",
]


def __getattr__(name: str) -> Any:
    # The actor of a resident model needs neither Tune nor the ledger: they would double the time until it is back after a death.
    if name in _MODULES:
        return getattr(importlib.import_module(f"archsearch.cluster.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'archsearch.cluster' has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is loaded when it is first used is completed by editors and notebooks too.
    return sorted({*globals(), *__all__})

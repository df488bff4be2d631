"""Where work runs: trials, batches and the ledger of evaluations."""

from archsearch.cluster.batch_size import BatchSizer
from archsearch.cluster.connection import cluster_cpus, connect
from archsearch.cluster.ledger import Entry, Ledger, known_evaluations
from archsearch.cluster.trial import BatchTrial, evaluate_batch
from archsearch.cluster.tuning import TrialResources, run_trials

__all__ = [
    "BatchSizer",
    "BatchTrial",
    "Entry",
    "Ledger",
    "TrialResources",
    "cluster_cpus",
    "connect",
    "evaluate_batch",
    "known_evaluations",
    "run_trials",
]

"""Searches, comparisons, results, reports, MLflow tracking and the command line."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.platform.commands.replay import RunReplay, replay_run
    from archsearch.platform.comparison.comparison import Comparison
    from archsearch.platform.comparison.running import compare
    from archsearch.platform.configuration import SearchConfiguration
    from archsearch.platform.result import Found, SearchResult, finished_run
    from archsearch.platform.search import resume_search, run_search
    from archsearch.platform.tracking.model_registry import RegisteredModel, register_model
    from archsearch.platform.training.retraining import retrain
    from archsearch.platform.training.trained_model import TrainedModel

__all__ = [
    "Comparison",
    "Found",
    "RegisteredModel",
    "RunReplay",
    "SearchConfiguration",
    "SearchResult",
    "TrainedModel",
    "compare",
    "finished_run",
    "register_model",
    "replay_run",
    "resume_search",
    "retrain",
    "run_search",
]

_MODULES = {
    "Comparison": "comparison.comparison",
    "Found": "result",
    "RegisteredModel": "tracking.model_registry",
    "RunReplay": "commands.replay",
    "SearchConfiguration": "configuration",
    "SearchResult": "result",
    "TrainedModel": "training.trained_model",
    "compare": "comparison.running",
    "finished_run": "result",
    "register_model": "tracking.model_registry",
    "replay_run": "commands.replay",
    "resume_search": "search",
    "retrain": "training.retraining",
    "run_search": "search",
}


def __getattr__(name: str) -> Any:
    # The command line is part of this package and must start fast: ray, torch and mlflow are loaded when they are first used.
    if name in _MODULES:
        return getattr(importlib.import_module(f"archsearch.platform.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'archsearch.platform' has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is loaded when it is first used is completed by editors and notebooks too.
    return sorted({*globals(), *__all__})

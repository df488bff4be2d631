"""Neural architecture search on Ray Tune.

Example:
    >>> from archsearch import platform
    >>> result = platform.run_search(space="nasbench201", searcher="evolution", evaluator="table:digits201")
"""

from __future__ import annotations

import importlib
from types import ModuleType

from archsearch.errors import ArchSearchError

__version__ = "0.1.0"
__all__ = ["ArchSearchError", "__version__", "cluster", "evaluators", "platform", "searchers", "spaces"]

_PACKAGES = ("spaces", "evaluators", "cluster", "searchers", "platform")


def __getattr__(name: str) -> ModuleType:
    # The packages import torch and ray; they are loaded when they are first used.
    if name in _PACKAGES:
        return importlib.import_module(f"archsearch.{name}")
    raise AttributeError(f"module 'archsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is loaded when it is first used is completed by editors and notebooks too.
    return sorted({*globals(), *__all__})

"""The process that keeps a model resident and answers one call after the other."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from archsearch.cluster.pool.chunking import batch_length
from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.errors import is_out_of_memory

CANDIDATE_METHODS = ("score", "evaluate")
"""Methods that answer with figures for each candidate."""
_SECONDS_TO_FETCH = 120.0
_SECONDS_TO_NOTE = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A call to a method of the model.

    Args:
        method: Name of the method.
        payload: Its argument.
        options: Its keyword arguments.
        branch: Branch of states that is to answer.
        version: The oldest version that may answer; 0 is a new model.
        state: Reference to the pickled state, in a list so that it is not fetched unasked; empty if the actor should have it.
        token: Name of this request, noted before it begins, if someone may ask whether it did.
    """

    method: str
    payload: Any
    options: Mapping[str, Any]
    branch: str
    version: int
    state: Sequence[Any] = ()
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An answer, the version of the state that gave it, the seconds of the method, and those of loading before it."""

    value: Any
    version: int
    seconds: float
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stale:
    """The actor has another state: send the state along."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The model raised.

    Args:
        kind: Whose fault it is: of a candidate (or fit), of too little memory, of the model whatever it is given, or nobody's
            because the state could not be fetched.
        error: What it raised.
    """

    kind: Literal["candidate", "memory", "model", "lost"]
    error: str


@dataclass(slots=True)
class _Resident:
    model: Any
    branch: str | None = None
    version: int = 0
    changed: bool = field(default=False)


class ModelActor:
    """Keeps one model and answers calls; nothing that the model raises ends it.

    Args:
        model: Pickled function that makes the model.
        threads: Threads that torch may use.
        gpus: Share of a GPU; of a share below 1 the memory is bounded likewise.
        registry: Name of the pool's registry.
    """

    def __init__(self, model: bytes, threads: int, gpus: float, registry: str) -> None:
        # Ray sets one thread for actors that reserve no CPU; libraries that are loaded later read this.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
        self._pickled, self._threads, self._gpus, self._registry = model, threads, gpus, registry
        self._resident: _Resident | None = None

    @ray.method(max_task_retries=-1)
    def alive(self) -> int:
        """Return the number of the process as soon as there is one.

        It touches no model, so that nothing can kill the actor meanwhile, and Ray may repeat it until the actor is back.
        """
        return os.getpid()

    def prepare(self, branch: str, version: int, state: Sequence[Any], token: str) -> Done | Refused:
        """Make the model, and load a state if one is given, before the first call."""
        with self._noted(token):
            try:
                if self._resident is None:
                    self._make()
                loading = self._load(branch, version, state) if state else 0.0
            except (Exception, SystemExit) as error:
                return Refused("model", describe(error))
            return Done(None, version, 0.0, loading)

    def work(self, request: Request) -> Done | Refused | Stale:
        """Answer a call, from the state that it asks for or a newer one of the branch."""
        with self._noted(request.token) if request.token else nullcontext():
            loading = 0.0
            try:
                if not self._holds(request.branch, request.version):
                    if request.version and not request.state:
                        return Stale()
                    loading = self._load(request.branch, request.version, request.state)
                method = self._method(request.method)
            except RayError as error:
                return Refused("lost", describe(error))
            except (Exception, SystemExit) as error:
                return Refused("model", describe(error))
            return self._call(method, request, loading)

    @contextmanager
    def _noted(self, token: str) -> Iterator[None]:
        """Let it be known what is worked on, in case that it is the end of this process."""
        self._note("enter", token)
        try:
            yield
        finally:
            self._note("leave", token)

    def _note(self, method: str, token: str) -> None:
        try:
            registry: Any = ray.get_actor(self._registry, namespace=NAMESPACE)
            ray.get(getattr(registry, method).remote(token), timeout=_SECONDS_TO_NOTE)
        except (RayError, ValueError):  # it is being restarted: then nobody is blamed
            return

    def _call(self, method: Any, request: Request, loading: float) -> Done | Refused:
        resident = self._resident
        assert resident is not None
        resident.changed = resident.changed or request.method == "fit"
        refused, started = None, time.perf_counter()
        try:
            value = method(request.payload, **request.options)
        except NotImplementedError as error:
            return Refused("model", describe(error))
        except (Exception, SystemExit) as error:
            refused = Refused("memory" if is_out_of_memory(error) else "candidate", describe(error))
        if refused:
            if refused.kind == "memory":
                _free_memory()  # not before: the traceback kept alive what the method had made
            return refused
        seconds = time.perf_counter() - started
        if request.method in CANDIDATE_METHODS:
            try:
                value = as_columns(value, batch_length(request.payload))
            except (TypeError, ValueError) as error:
                return Refused("model", f"{request.method}: {error}")
        return Done(value, resident.version, seconds, loading)

    def _method(self, name: str) -> Any:
        assert self._resident is not None
        method = getattr(self._resident.model, name, None)
        if not callable(method):
            raise TypeError(f"{type(self._resident.model).__name__} has no method {name}")
        return method

    def _holds(self, branch: str, version: int) -> bool:
        """Whether the model has a state that may answer; a new model is version 0 of any branch."""
        resident = self._resident
        if resident is None or resident.changed:
            return False
        if resident.branch is None:
            return version == 0
        return resident.branch == branch and resident.version >= version

    def _load(self, branch: str, version: int, state: Sequence[Any]) -> float:
        """Bring the model to a state; return the seconds. It is no state at all until the load has succeeded."""
        started = time.perf_counter()
        if self._resident is None or not version:
            self._make()
        resident = self._resident
        assert resident is not None
        if version:
            pickled = ray.get(state[0], timeout=_SECONDS_TO_FETCH)
            resident.changed = True
            resident.model.load(pickle.loads(pickled))
            resident.branch, resident.version, resident.changed = branch, version, False
        return time.perf_counter() - started

    def _make(self) -> None:
        self._resident = None
        _free_memory()
        self._bound_torch()
        self._resident = _Resident(pickle.loads(self._pickled)())
        self._bound_torch()

    def _bound_torch(self) -> None:
        """Set torch's threads and memory, if torch is there: a model without it is not to load it."""
        torch = sys.modules.get("torch")
        if torch is None:
            return
        torch.set_num_threads(self._threads)
        if 0 < self._gpus < 1 and torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(self._gpus)


def as_columns(value: Any, length: int) -> dict[str, NDArray[Any]]:
    """Return the figures that a model gave as arrays `[length, ...]` by name, the first of which is `score`.

    Raises:
        ValueError: They are of another length, not numbers, or without a score.
    """
    given = value if isinstance(value, Mapping) else {"score": value}
    columns = {str(name): np.asarray(column) for name, column in given.items()}
    if "score" not in columns:
        raise ValueError(f"expected a column `score`; got {', '.join(columns) or 'no column'}.")
    for name, column in columns.items():
        if column.ndim == 0 or len(column) != length:
            raise ValueError(
                f"expected figures for the {length} candidates of a chunk in `{name}`; got the shape {column.shape}."
            )
        if not np.issubdtype(column.dtype, np.number) and column.dtype != np.bool_:
            raise ValueError(f"expected numbers in `{name}`; got {column.dtype}.")
    return columns


def describe(error: BaseException) -> str:
    """Return the kind of an error and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()

"""The actor that keeps a model resident and answers one call after the other."""

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
"""Methods that return figures for each candidate."""
_SECONDS_TO_FETCH = 120.0
_SECONDS_TO_NOTE = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A call to a method of the model.

    Args:
        method: Name of the method.
        payload: Its argument.
        options: Its keyword arguments.
        branch: Branch of the states that may answer.
        version: The oldest version that may answer; 0 is a new model.
        state: Reference to the pickled state, in a list so that Ray does not fetch it with the request; empty if the actor
            should have the state already.
        token: Identifier that the registry keeps while the request is worked on; None if nobody will ask for it.
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
    """The result of a call.

    Args:
        value: Return value of the method.
        version: Version of the state that gave it.
        seconds: Seconds that the method took.
        load_seconds: Seconds that loading a state took before it.
    """

    value: Any
    version: int
    seconds: float
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stale:
    """The actor does not have the requested state; send the request again with the state."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The model raised.

    Args:
        kind: The cause: a candidate or fit, too little memory, the model for any input, or a state that could not be fetched.
        error: Type and first line of the error.
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
    """Keeps one model and answers calls; an exception of the model does not end it.

    Args:
        model: Pickled function that makes the model; or a reference to it, in a list, which its owner holds.
        threads: Number of threads that torch may use.
        gpus: Number of GPUs; a fraction below 1 bounds the GPU memory by the same fraction.
        registry: Name of the pool's registry.
    """

    def __init__(self, model: bytes | list[Any], threads: int, gpus: float, registry: str) -> None:
        # Ray sets one thread for actors that reserve no CPU; libraries that are loaded later read these variables.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
        self._pickled: bytes = ray.get(model[0]) if isinstance(model, list) else model
        self._threads, self._gpus, self._registry = threads, gpus, registry
        self._resident: _Resident | None = None

    @ray.method(max_task_retries=-1)
    def alive(self) -> int:
        """Return the process id, as soon as the process has started.

        It uses no model, so that nothing can kill the actor meanwhile, and Ray may retry it until the actor is back.
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
        """Answer a call from the version that it asks for, or a newer one of the branch."""
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
        """Let the registry keep a token while the block runs, in case this process dies in it."""
        self._note("enter", token)
        try:
            yield
        finally:
            self._note("leave", token)

    def _note(self, method: str, token: str) -> None:
        try:
            registry: Any = ray.get_actor(self._registry, namespace=NAMESPACE)
            ray.get(getattr(registry, method).remote(token), timeout=_SECONDS_TO_NOTE)
        except (RayError, ValueError):  # it is being restarted; then no candidate is blamed
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
                _free_memory()  # not before: the traceback kept the method's objects alive
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
        """Return whether the model's state may answer; a new model is version 0 of any branch."""
        resident = self._resident
        if resident is None or resident.changed:
            return False
        if resident.branch is None:
            return version == 0
        return resident.branch == branch and resident.version >= version

    def _load(self, branch: str, version: int, state: Sequence[Any]) -> float:
        """Load a state into the model and return the seconds; until it succeeds the model counts as having no state."""
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
        """Bound torch's threads and memory if torch is imported; do not import it for a model that needs none."""
        torch = sys.modules.get("torch")
        if torch is None:
            return
        torch.set_num_threads(self._threads)
        if 0 < self._gpus < 1 and torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(self._gpus)


def as_columns(value: Any, length: int) -> dict[str, NDArray[Any]]:
    """Return the figures of a model as arrays `[length, ...]` by name, `score` among them.

    Raises:
        ValueError: There is no `score`, or a column has another length or holds no numbers.
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
    """Return the type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()

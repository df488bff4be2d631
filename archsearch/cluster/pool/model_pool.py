"""A pool of actors that keep a model resident and share the work of calls from any process."""

from __future__ import annotations

import logging
import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import ray
from ray import cloudpickle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from archsearch.cluster.connection import connect
from archsearch.cluster.placement import Request, require_room
from archsearch.cluster.pool.actor import ModelActor
from archsearch.cluster.pool.answer import Answer, PoolError, Reply
from archsearch.cluster.pool.call import Call, CandidateCall, JobCall
from archsearch.cluster.pool.chunking import ChunkSizer
from archsearch.cluster.pool.dispatcher import Dispatcher, PoolCounts
from archsearch.cluster.pool.layout import NAMESPACE, PoolLayout
from archsearch.cluster.pool.registry import PoolRegistry, Published, ask_patiently
from archsearch.errors import ConfigurationError, check_kind, first_line, wrong_kind
from archsearch.evaluators.surrogate import Batch, State
from archsearch.fixed_options import FixedOptions

logger = logging.getLogger(__name__)

# Ray keeps larger arguments with the program that started the actor: it holds them for restarts of private actors, but a shared
# pool would not find them after its end.
_LARGEST_MODEL = 64 * 1024
_NOTICE_SECONDS = 60.0

_Result = TypeVar("_Result")


class ModelPool(FixedOptions):
    """Actors that each keep one model resident, and share the work of calls.

    A pool is started once (`start`), and found by its name from any process of the cluster (`attach`). A pickled pool is its
    name and branch. Calls are split into chunks of about `chunk_seconds`, idle actors take the next one, and the answer holds
    the figures in the order of the candidates. Each method has a form that waits, and one that returns a
    `concurrent.futures.Future` at once (`submit_...`); cancelling it drops the chunks that were not sent.

    A published state gets the next version. Actors load the newest between two chunks, also in the middle of a call, and each
    figure carries the version that gave it. Programs that fit separate models use separate branches: they share the actors, not
    the states; an actor that changes between branches loads a state.

    An actor that dies is restarted and loads the newest state; its chunk is sent again in parts. A candidate that kills its
    actor twice while alone with it gets an error instead of figures, as does one for which the model raises. If memory runs out,
    this chunk and later ones are halved.

    Example:
        >>> with ModelPool.start(Lengths, actors=2) as pool:
        ...     version = pool.publish({"factor": 2.0})
        ...     answer = pool.score(["a", "bcd"])
        >>> answer.values.tolist(), answer.versions.tolist()
        ([2.0, 6.0], [1, 1])
    """

    def __init__(self, layout: PoolLayout, branch: str, registry: Any, handles: Sequence[Any], *, owner: bool) -> None:
        self._layout, self._branch, self._registry, self._handles = layout, branch, registry, list(handles)
        self._owner, self._closed = owner, False
        self._held: Any = None  # reference to a large model, for restarts of actors
        self._sizers: dict[str, ChunkSizer] = {}
        self._dispatcher = Dispatcher(layout, branch, handles, registry, owner=owner)
        self._finalizer = weakref.finalize(self, self._dispatcher.stop)

    @classmethod
    def start(
        cls,
        model: Callable[[], Any],
        *,
        name: str | None = None,
        branch: str = "main",
        actors: int = 1,
        threads: int = 1,
        cpus: float | None = None,
        gpus: float = 0.0,
        shared: bool = False,
        chunk_seconds: float = 0.25,
        chunk_size: int | None = None,
        hang_seconds: float | None = None,
        start_seconds: float = 120.0,
    ) -> ModelPool:
        """Start a pool, and wait until its first actor has made its model; the others join as they start.

        Args:
            model: Function without arguments that makes the model in the actor; see `archsearch.evaluators.surrogate.Surrogate`.
                It is pickled, for a shared pool to 64 KiB at most: load data in the actor, and send weights by `publish`.
            name: Name of the pool; None makes one. A shared pool of this name that exists is joined.
            branch: Branch of the states of the returned handle.
            actors: Number of actors.
            threads: Number of torch threads in each actor.
            cpus: CPUs that each actor reserves; None is `threads` without a GPU, and 0 with one. Leave some for trials.
            gpus: GPUs that each actor reserves; a fraction below 1 bounds the GPU memory by the same fraction.
            shared: Whether the pool stays up for other programs after this one ends, until `shutdown`.
            chunk_seconds: Target duration of a chunk.
            chunk_size: Number of candidates in a chunk, so that chunks do not depend on measured speed; None measures.
            hang_seconds: An actor is killed when a chunk takes longer; None sets no limit.
            start_seconds: Seconds to wait for the first actor. The nodes that an autoscaling cluster must add are waited for
                without a limit.

        Raises:
            ConfigurationError: An argument is out of range, the function of a shared pool pickles to more than 64 KiB, or no
                node of the cluster has room for an actor.
            PoolError: The name is taken, no actor was ready in time, or the model cannot be made.
        """
        if not callable(model):
            raise ConfigurationError(wrong_kind("model", "a function without arguments that makes the model", model))
        reserved = cpus if cpus is not None else (0.0 if gpus else float(threads))
        name = name or f"pool-{uuid.uuid4().hex[:8]}"
        layout = PoolLayout(
            name=name,
            actors=actors,
            threads=threads,
            cpus=reserved,
            gpus=gpus,
            shared=shared,
            chunk_seconds=chunk_seconds,
            chunk_size=chunk_size,
            hang_seconds=hang_seconds,
        )
        pickled = cloudpickle.dumps(model)
        if shared and len(pickled) > _LARGEST_MODEL:
            raise ConfigurationError(
                f"model: expected a function that pickles to {_LARGEST_MODEL} bytes at most (a shared pool); got {len(pickled)}. "
                "Load what is heavy in the actor, and send weights through publish; or start a pool for this search alone."
            )
        connect()
        if shared and _is_there(layout):
            return cls.attach(name, branch)
        lacking = require_room([Request("an actor of the pool", layout.cpus, layout.gpus, "cpus", "gpus")])
        registry = _make_registry(layout)
        held = [ray.put(pickled)] if len(pickled) > _LARGEST_MODEL else pickled
        handles = [_make_actor(layout, index, held) for index in range(actors)]
        pool = cls(layout, branch, registry, handles, owner=True)
        pool._held = held
        try:
            pool._wait_for_nodes(lacking)
            pool._dispatcher.ready.result(timeout=start_seconds)
        except (NotInTime, PoolError) as error:
            pool.shutdown()
            if isinstance(error, PoolError):
                raise
            raise PoolError(f"actors: none was ready in {start_seconds:.0f} seconds. {_lateness(layout)}") from error
        _warn_if_too_many(layout)
        return pool

    @classmethod
    def attach(cls, name: str, branch: str = "main") -> ModelPool:
        """Find a pool by its name, from any process of the cluster.

        Args:
            name: Name of the pool.
            branch: Branch of the states that answer the calls of this handle.

        Raises:
            PoolError: There is no such pool.
        """
        check_kind("name", name, str, "the name of a pool")
        connect()
        try:
            registry: Any = ray.get_actor(name, namespace=NAMESPACE)
            layout = ask_patiently(registry.layout)
            handles = [ray.get_actor(layout.actor_name(index), namespace=NAMESPACE) for index in range(layout.actors)]
        except (ValueError, RayError) as error:
            raise PoolError(
                f"name: no model pool {name!r} is in this cluster ({first_line(error)}); start it, or give the name of one."
            ) from error
        return cls(layout, branch, registry, handles, owner=False)

    def _wait_for_nodes(self, lacking: str) -> None:
        """Wait for the first actor as long as an autoscaling cluster adds the node for it, and say so each minute."""
        while lacking and not self._dispatcher.ready.done():
            logger.warning("pool %s: waiting until the cluster has added room for %s", self.name, lacking)
            with suppress(NotInTime):
                self._dispatcher.ready.result(timeout=_NOTICE_SECONDS)

    def __reduce__(self) -> tuple[Callable[[str, str], ModelPool], tuple[str, str]]:
        return ModelPool.attach, (self.name, self.branch)

    # States

    def publish(self, state: State) -> int:
        """Make a state the newest of the branch; return its version, from 1.

        Every later call, from any process, is answered from this version or a newer one. The state outlives the actor whose fit
        gave it: this process keeps it, and the registry a copy if the pool is shared.

        Args:
            state: Argument of the model's `load`.

        Raises:
            PoolError: The pool was shut down, or the state cannot be pickled.
        """
        self._check_open()
        try:
            # As bytes, so that the registry can copy it without importing its classes.
            pickled = np.frombuffer(cloudpickle.dumps(state, protocol=5), dtype=np.uint8)
        except Exception as error:
            raise PoolError(f"state: it cannot be sent ({first_line(error)}); make it of plain data.") from error
        reference, known = [ray.put(pickled)], self._dispatcher.highest_version
        try:
            published = ask_patiently(self._registry.publish, self._branch, known, reference, self._dispatcher.keep)
        except RayError as error:
            raise PoolError(f"pool {self.name}: it takes no state ({first_line(error)}); was it shut down?") from error
        self._dispatcher.learn(Published(published.version, reference))
        return int(published.version)

    # Calls

    def score(self, batch: Batch, **options: Any) -> Answer:
        """Return the model's scores of candidates; see `submit_score`."""
        return _wait(self.submit_score(batch, **options))

    def evaluate(self, architectures: Sequence[str], **options: Any) -> Answer:
        """Return the model's figures for architectures; see `submit_evaluate`."""
        return _wait(self.submit_evaluate(architectures, **options))

    def fit(self, rows: Any, **options: Any) -> Reply:
        """Fit the model to rows; see `submit_fit`."""
        return _wait(self.submit_fit(rows, **options))

    def propose(self, n: int, **options: Any) -> Reply:
        """Let the model propose `n` candidates; see `submit_propose`."""
        return _wait(self.submit_propose(n, **options))

    def submit_score(self, batch: Batch, **options: Any) -> Future[Answer]:
        """Have candidates scored.

        Args:
            batch: The candidates, in any form that can be sliced: a list, an array, arrays by name, a `GraphBatch`.
            **options: Keyword arguments of the model's `score`.

        Returns:
            A future of the answer. Its `result` raises `PoolError` if the call fails, but not for errors of single candidates.

        Raises:
            ConfigurationError: The batch cannot be sliced.
            PoolError: This handle was closed.
        """
        return self._submit(CandidateCall("score", batch, options, self._sizer("score")))

    def submit_evaluate(self, architectures: Sequence[str], **options: Any) -> Future[Answer]:
        """Have architectures evaluated, given as their text forms; otherwise as `submit_score`.

        The answer holds all columns of the model's `evaluate`.
        """
        return self._submit(CandidateCall("evaluate", architectures, options, self._sizer("evaluate")))

    def submit_fit(self, rows: Any, **options: Any) -> Future[Reply]:
        """Have one actor fit its model to rows, from the newest state; the reply's value is the new state, not yet published.

        The actor answers no other calls meanwhile. If it dies, the fit is sent to an actor again, once.
        """
        return self._submit(JobCall("fit", rows, options))

    def submit_propose(self, n: int, **options: Any) -> Future[Reply]:
        """Have one actor propose `n` candidates from the newest state; the reply's value is that of the model's `propose`."""
        return self._submit(JobCall("propose", n, options))

    def _submit(self, call: Call) -> Future[Any]:
        self._check_open()
        self._dispatcher.submit(call)
        return call.future

    def _sizer(self, method: str) -> ChunkSizer:
        return self._sizers.setdefault(method, ChunkSizer(self._layout.chunk_seconds, self._layout.chunk_size))

    def _check_open(self) -> None:
        if self._closed:
            raise PoolError(f"pool {self.name}: this handle was closed; attach to the pool again.")

    # Facts

    @property
    def name(self) -> str:
        """Name of the pool, for `attach`."""
        return self._layout.name

    @property
    def branch(self) -> str:
        """Branch of the states that answer the calls of this handle."""
        return self._branch

    @property
    def actors(self) -> int:
        """Number of actors."""
        return self._layout.actors

    @property
    def requests(self) -> list[Request]:
        """What each actor reserves."""
        return [Request("an actor of the pool", self._layout.cpus, self._layout.gpus, "cpus", "gpus")] * self._layout.actors

    @property
    def counts(self) -> PoolCounts:
        """Statistics of this handle's calls so far, as a copy."""
        return replace(self._dispatcher.counts)

    # The end

    def close(self) -> None:
        """Close this handle and fail its open calls; a pool that it started and that is not shared ends too."""
        if self._owner and not self._layout.shared:
            self.shutdown()
        self._closed = True
        self._finalizer()

    def shutdown(self) -> None:
        """End the pool for all processes."""
        self._closed = True
        self._finalizer()
        if ray.is_initialized():
            for handle in (*self._handles, self._registry):
                ray.kill(handle)

    def __enter__(self) -> ModelPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ModelPool({self.name!r}, branch={self.branch!r}, actors={self.actors})"


def _wait(future: Future[_Result]) -> _Result:
    try:
        return future.result()
    except BaseException:
        future.cancel()  # Ctrl-C: drop the chunks that were not sent
        raise


def _is_there(layout: PoolLayout) -> bool:
    """Return whether a shared pool of this name is in the cluster already.

    Raises:
        PoolError: It has other settings.
    """
    try:
        registry: Any = ray.get_actor(layout.name, namespace=NAMESPACE)
        there = ask_patiently(registry.layout)
    except (ValueError, RayError):
        return False
    if there != layout:
        raise PoolError(f"name: the pool {layout.name!r} runs with other settings ({there}); attach to it.")
    return True


def _make_registry(layout: PoolLayout) -> Any:
    """Start the pool's registry, a named actor.

    Raises:
        PoolError: The name is taken, or Ray cannot start the actor.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = _options(layout, layout.name)
    try:
        registry: Any = ray.remote(PoolRegistry).options(num_cpus=0, scheduling_strategy=here, **options).remote(layout)
        ask_patiently(registry.layout)
    except ValueError as error:
        raise PoolError(
            f"name: a pool {layout.name!r} is in this cluster already; attach to it, or choose another name."
        ) from error
    except RayError as error:
        raise PoolError(f"pool {layout.name}: Ray could not start it ({first_line(error)}).") from error
    return registry


def _make_actor(layout: PoolLayout, index: int, pickled: bytes | list[Any]) -> Any:
    """Start one of the actors, with the pickled function that makes its model, or a reference to it in a list."""
    made = ray.remote(ModelActor).options(
        num_cpus=layout.cpus,
        num_gpus=layout.gpus,
        scheduling_strategy="SPREAD",  # over the nodes, and outside the resources of a trial
        max_task_retries=0,
        **_options(layout, layout.actor_name(index)),
    )
    return made.remote(pickled, layout.threads, layout.gpus, layout.name)


def _options(layout: PoolLayout, name: str) -> dict[str, Any]:
    lifetime = {"lifetime": "detached", "get_if_exists": True} if layout.shared else {}
    return {"name": name, "namespace": NAMESPACE, "max_restarts": -1, **lifetime}


def _lateness(layout: PoolLayout) -> str:
    """Return why no actor was ready in time: no room for one, or the time that its imports and its model take."""
    free = ray.available_resources()
    if layout.cpus > free.get("CPU", 0.0) or layout.gpus > free.get("GPU", 0.0):
        return _needs(layout)
    return (
        "The cluster has room for one: its process, its imports or its model take longer, as on a busy machine. Give more "
        "seconds by start_seconds, or try again."
    )


def _needs(layout: PoolLayout) -> str:
    """Return a sentence that compares the resources of the pool with those of the cluster."""
    there = ray.cluster_resources()
    return (
        f"Each of the {layout.actors} needs {layout.cpus:g} CPUs and {layout.gpus:g} GPUs; "
        f"the cluster has {there.get('CPU', 0):g} and {there.get('GPU', 0):g}."
    )


def _warn_if_too_many(layout: PoolLayout) -> None:
    """Log a warning if the cluster lacks the resources for all actors."""
    there = ray.cluster_resources()
    if layout.actors * layout.cpus > there.get("CPU", 0) or layout.actors * layout.gpus > there.get("GPU", 0):
        logger.warning("pool %s: the cluster has too few resources for all its actors. %s", layout.name, _needs(layout))

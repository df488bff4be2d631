"""Models that stay resident in actors and answer for all who call them."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import ray
from ray import cloudpickle
from ray.exceptions import RayError

from archsearch.cluster.connection import connect
from archsearch.cluster.pool.answer import Answer, PoolError, Reply
from archsearch.cluster.pool.call import Call, CandidateCall, JobCall
from archsearch.cluster.pool.chunking import ChunkSizer
from archsearch.cluster.pool.dispatcher import Dispatcher
from archsearch.cluster.pool.layout import NAMESPACE, PoolLayout
from archsearch.cluster.pool.newest_state import ask_patiently
from archsearch.cluster.pool.registry import Published
from archsearch.cluster.pool_counts import PoolCounts
from archsearch.cluster.pool_creation import is_there, make_actor, make_registry, needs, warn_if_too_many
from archsearch.errors import ConfigurationError, check_kind, first_line, wrong_kind
from archsearch.evaluators.surrogate import Batch, State

# Ray sends larger arguments by reference to the program that made the actor; a restart after its end would not find them.
_LARGEST_MODEL = 64 * 1024

_Result = TypeVar("_Result")


class ModelPool:
    """Actors that each keep one model resident, and share the work of calls.

    A pool is made once (`start`) before Tune runs, and found by its name from any process of the cluster (`attach`). Pickling
    a pool keeps its name and branch alone. Calls are cut into chunks of about `chunk_seconds`, actors with nothing to do take
    the next one, and the answer holds the figures in the order of the candidates. Each method has a form that waits, and one
    that returns a `concurrent.futures.Future` at once (`submit_...`); cancelling that leaves out what was not sent.

    States are published once, with a version that grows. Actors load the newest between two chunks, also in the middle of a
    call, and each figure carries the version that gave it. Programs that fit models of their own use branches of their own:
    they share the actors, not the states; an actor that goes from one branch to the other loads a state.

    An actor that dies is restarted, loads the newest state, and its chunk goes elsewhere in parts. A candidate that kills its
    actor twice while alone with it is set aside with an error, as is one for which the model raises. If memory runs out, chunks
    are halved, later ones too.

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
        """Make a pool, and wait until its first actor has made its model; the others join as they come.

        Args:
            model: Function that makes the model, in the actor; see `archsearch.evaluators.surrogate.Surrogate`. It is pickled,
                so it should be small: heavy things are loaded in the actor, weights come by `publish`.
            name: Name of the pool; None makes one. A shared pool that is already there under this name is joined.
            branch: Branch of states of the handle that is returned.
            actors: Number of actors.
            threads: Threads of torch in each.
            cpus: CPUs that each reserves; None is `threads` without a GPU, and 0 with one. Leave some for trials.
            gpus: GPUs that each reserves, also fractions; of a fraction the memory is bounded likewise.
            shared: Whether the pool outlives this program, so that other programs can use it, until `shutdown`.
            chunk_seconds: Seconds that a chunk should take.
            chunk_size: Fixed size of chunks, so that their bounds do not depend on measured speed; None measures.
            hang_seconds: A chunk that takes longer counts as a death of its actor; None waits for ever.
            start_seconds: How long to wait for the first actor.

        Raises:
            ConfigurationError: An argument is out of range, or the function is too large to be sent.
            PoolError: The name is taken, no actor could be placed in time, or the model cannot be made.
        """
        if not callable(model):
            raise ConfigurationError(wrong_kind("model", "a function without arguments that makes the model", model))
        reserved = cpus if cpus is not None else (0.0 if gpus else float(threads))
        name = name or f"pool-{uuid.uuid4().hex[:8]}"
        layout = PoolLayout(name, actors, threads, reserved, gpus, shared, chunk_seconds, chunk_size, hang_seconds)
        pickled = cloudpickle.dumps(model)
        if len(pickled) > _LARGEST_MODEL:
            raise ConfigurationError(
                f"model: expected a function that pickles to {_LARGEST_MODEL} bytes at most; got {len(pickled)}. "
                "Load what is heavy in the actor, and send weights through publish."
            )
        connect()
        if shared and is_there(layout):
            return cls.attach(name, branch)
        registry = make_registry(layout)
        handles = [make_actor(layout, index, pickled) for index in range(actors)]
        pool = cls(layout, branch, registry, handles, owner=True)
        try:
            pool._dispatcher.ready.result(timeout=start_seconds)
        except (NotInTime, PoolError) as error:
            pool.shutdown()
            if isinstance(error, PoolError):
                raise
            raise PoolError(f"actors: none could be placed in {start_seconds:.0f} seconds. {needs(layout)}") from error
        warn_if_too_many(layout)
        return pool

    @classmethod
    def attach(cls, name: str, branch: str = "main") -> ModelPool:
        """Find a pool by its name, from any process of the cluster.

        Args:
            name: Its name.
            branch: Branch of states that is to answer the calls of this handle.

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

    def __reduce__(self) -> tuple[Callable[[str, str], ModelPool], tuple[str, str]]:
        return ModelPool.attach, (self.name, self.branch)

    # States

    def publish(self, state: State) -> int:
        """Make a state the newest of the branch; return its version, from 1.

        Every call that is made after this has returned, in any process, is answered from this version or a newer one. The state
        outlives the actor whose fit gave it: it lies where this process runs, and in the registry if the pool is shared.

        Args:
            state: What the model's `load` takes.

        Raises:
            PoolError: The pool was shut down, or the state cannot be pickled.
        """
        self._check_open()
        try:
            # As bytes, so that the registry can copy it without importing what it is made of.
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
        """Return the model's figures of architectures; see `submit_evaluate`."""
        return _wait(self.submit_evaluate(architectures, **options))

    def fit(self, rows: Any, **options: Any) -> Reply:
        """Fit the model; see `submit_fit`."""
        return _wait(self.submit_fit(rows, **options))

    def propose(self, n: int, **options: Any) -> Reply:
        """Let the model propose; see `submit_propose`."""
        return _wait(self.submit_propose(n, **options))

    def submit_score(self, batch: Batch, **options: Any) -> Future[Answer]:
        """Have candidates scored.

        Args:
            batch: The candidates, in any form that can be cut: a list, an array, arrays by name, a `GraphBatch`.
            **options: Keyword arguments of the model's `score`.

        Returns:
            The answer to come. Asking for it raises `PoolError` if the call fails as a whole, not for single candidates.

        Raises:
            ConfigurationError: The batch cannot be cut.
            PoolError: The pool is closed here.
        """
        return self._submit(CandidateCall("score", batch, options, self._sizer("score")))

    def submit_evaluate(self, architectures: Sequence[str], **options: Any) -> Future[Answer]:
        """Have architectures evaluated, given as texts; else as `submit_score`. The answer holds the columns of the model."""
        return self._submit(CandidateCall("evaluate", architectures, options, self._sizer("evaluate")))

    def submit_fit(self, rows: Any, **options: Any) -> Future[Reply]:
        """Have one actor fit its model to rows, from the newest state; the reply's value is the new state, not yet published.

        The actor has no time for other calls meanwhile. If it dies, another begins again, once.
        """
        return self._submit(JobCall("fit", rows, options))

    def submit_propose(self, n: int, **options: Any) -> Future[Reply]:
        """Have one actor propose `n` candidates from the newest state; the reply's value is what the model gives."""
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
        """Name by which the pool is found."""
        return self._layout.name

    @property
    def branch(self) -> str:
        """Branch of states that answers the calls of this handle."""
        return self._branch

    @property
    def actors(self) -> int:
        """Number of actors."""
        return self._layout.actors

    @property
    def counts(self) -> PoolCounts:
        """What this handle has seen so far: chunks, deaths, switches, seconds."""
        return replace(self._dispatcher.counts)

    # The end

    def close(self) -> None:
        """End this handle; open calls fail. The pool ends too if it was made here and is not shared."""
        if self._owner and not self._layout.shared:
            self.shutdown()
        self._closed = True
        self._finalizer()

    def shutdown(self) -> None:
        """End the pool, for all who use it."""
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
        future.cancel()  # Ctrl-C: what was not sent is left out
        raise

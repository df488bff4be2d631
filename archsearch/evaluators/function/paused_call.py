"""A call of a function in a thread of its own, which pauses where the function asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)

_SECONDS_TO_END = 10.0


class CandidateStopped(BaseException):
    """Ends a function whose candidate is given up; `except Exception` does not catch it, `finally` is carried out."""


class PausedCall:
    """Runs a function in a thread, from one pause to the next.

    The thread and the caller of `advance` never run at the same time.

    Args:
        name: Name of the function, for the log.

    Attributes:
        ended: Whether the function has returned or raised.
        returned: What it returned.
        raised: What it raised.

    Example:
        >>> call = PausedCall("two steps")
        >>> def two_steps():
        ...     call.pause()
        ...     return "done"
        >>> call.start(two_steps)
        >>> call.advance(), call.advance(), call.returned
        (False, True, 'done')
    """

    def __init__(self, name: str) -> None:
        self.ended = False
        self.returned: Any = None
        self.raised: BaseException | None = None
        self._name, self._stopped = name, False
        self._thread: threading.Thread | None = None
        self._may_run, self._waits = threading.Semaphore(0), threading.Semaphore(0)

    def start(self, function: Callable[[], Any]) -> None:
        """Give the function, which begins with the first `advance`."""
        self._thread = threading.Thread(target=self._run, args=(function,), name=self._name, daemon=True)
        self._thread.start()

    def advance(self) -> bool:
        """Let the function run until it pauses or ends; return whether it has ended."""
        if not self.ended:
            self._may_run.release()
            self._waits.acquire()
        return self.ended

    def pause(self) -> None:
        """Wait for the next `advance`; called by the function, in its thread.

        Raises:
            CandidateStopped: `stop` was called.
        """
        if not self._stopped:
            self._waits.release()
            self._may_run.acquire()
        if self._stopped:
            raise CandidateStopped

    def stop(self) -> None:
        """End a function that is paused, by an exception in `pause`; without a function that is paused, do nothing."""
        thread, self._stopped = self._thread, True
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return
        self._may_run.release()
        thread.join(_SECONDS_TO_END)
        if thread.is_alive():
            _log.warning("%s goes on %g s after its candidate was stopped; it should end.", self._name, _SECONDS_TO_END)

    def _run(self, function: Callable[[], Any]) -> None:
        self._may_run.acquire()
        try:
            if not self._stopped:
                self.returned = function()
        except BaseException as error:  # the caller of `advance` decides what it means
            self.raised = error
        finally:
            self.ended = True
            self._waits.release()

"""Training that continues from stage to stage, as a function of the data alone.

GATES trains one model further in each stage, on all outcomes so far (X. Ning et al., ECCV 2020, arXiv 2004.01899). So the model
of a stage depends on those before it. An actor that has them no more, such as after a restart, makes them again in their order:
from the outcomes of the first stage alone, then those of two stages, and so on. A search that was stopped thus continues exactly.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

_KEPT = 4  # states, of searches that share an actor

Rows = Mapping[str, Any]


class ContinuedFits:
    """The states of the last fits, by the data that led to them."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, Any] = OrderedDict()

    def fit(self, rows: Rows, stages: Sequence[int], first_or_further: Callable[[Rows, Any], Any]) -> Any:
        """Return the state of the last of a chain of fits, each further than the one before.

        Args:
            rows: As for the surrogate's `fit`.
            stages: For each row the stage, from 0, in which its candidate was proposed.
            first_or_further: Fits to rows from a state, or from nothing if that is None, and returns the new state; None if the
                rows are too few.
        """
        last = max(stages)
        state = self._states.get(_digest(rows, stages, last - 1))
        for stage in range(last if state is not None else 0, last + 1):
            state = first_or_further(rows_until(rows, stages, stage), state) or state
        if state is not None:
            self._states[_digest(rows, stages, last)] = state
            while len(self._states) > _KEPT:
                self._states.popitem(last=False)
        return state


def rows_until(rows: Rows, stages: Sequence[int], last: int) -> dict[str, Any]:
    """Return the rows of the candidates of the stages up to `last`."""
    kept = [place for place, stage in enumerate(stages) if stage <= last]
    found: dict[str, Any] = {"architectures": [rows["architectures"][place] for place in kept], "values": rows["values"][kept]}
    if "fidelities" in rows:
        found["fidelities"] = [rows["fidelities"][place] for place in kept]
    if "rungs" in rows:
        places = {place: number for number, place in enumerate(kept)}
        taken = [at for at, place in enumerate(rows["rungs"]["candidates"]) if int(place) in places]
        found["rungs"] = {name: column[taken] for name, column in rows["rungs"].items()}
        found["rungs"]["candidates"] = np.array([places[int(place)] for place in found["rungs"]["candidates"]], dtype=np.int64)
    return found


def _digest(rows: Rows, stages: Sequence[int], last: int) -> str:
    """Return the identity of the chain of fits to the stages up to `last`."""
    digest = hashlib.blake2b(digest_size=16)
    part = rows_until(rows, stages, last)
    for piece in _pieces(part, [stage for stage in stages if stage <= last]):
        digest.update(piece)
        digest.update(b"\0")
    return digest.hexdigest()


def _pieces(rows: Rows, stages: Sequence[int]) -> Iterator[bytes]:
    yield repr(list(stages)).encode()
    yield repr(list(rows["architectures"])).encode()
    yield np.ascontiguousarray(rows["values"]).tobytes()
    yield repr(list(rows.get("fidelities", ()))).encode()
    for column in rows.get("rungs", {}).values():
        yield np.ascontiguousarray(column).tobytes()

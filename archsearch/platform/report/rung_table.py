"""The table of rungs: how many candidates came to each, what it cost, and how well it ranked the next."""

from __future__ import annotations

from archsearch.platform import units
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.searchers.funnel import RANKED, Rung

MEANING = (
    "The last column is Kendall's rank correlation between the scores at this rung and at the next, of the candidates that came "
    "to both: 1 means that their order did not change, 0 that the one says nothing about the other. These are the better "
    "candidates, which are harder to rank than all."
)


def rung_table(early: EarlyStopping) -> list[list[str]]:
    """Return the rungs of a search as a heading and rows; empty if there are none.

    Args:
        early: What the scheduler of the search did.
    """
    if not early.rungs:
        return []
    heading = [early.fidelity_name, "candidates", "went on", "stopped", "time", "ranked the next (tau)"]
    return [heading, *(_row(rung, early) for rung in early.rungs)]


def _row(rung: Rung, early: EarlyStopping) -> list[str]:
    last = rung.fidelity is None
    name = "ranked before" if rung.fidelity == RANKED else str(early.max_fidelity if last else rung.fidelity)
    return [
        name,
        str(rung.candidates),
        "-" if last else str(rung.went_on),
        "-" if last or rung.fidelity == RANKED else str(rung.stopped),
        units.duration(rung.seconds),
        "-" if rung.tau is None else f"{rung.tau:.2f} ({rung.pairs} candidates)",
    ]

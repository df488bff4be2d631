"""The end of a search: its reason, the evaluations given up, and the command that continues it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archsearch.platform.units import duration

Reason = Literal["complete", "time", "exhausted", "stopped", "failed"]


@dataclass(frozen=True)
class Ending:
    """How a search ended.

    Args:
        reason: `complete` if all candidates have an outcome, `time` if the time budget ended it, `exhausted` if the space has no
            more candidates, `stopped` after Ctrl-C, `failed` after an error.
        evaluated: Number of candidates with an outcome.
        wanted: Number of candidates that the search was to propose.
        given_up: Number of candidates whose evaluation had begun, or was to begin next, and is lost.
        seconds: Seconds of evaluating and proposing in this session.
        time_budget: The time budget, seconds; None if there was none.
        in_hand: Number of candidates that were evaluated in part; a resumed search goes on with them.
        idle: Whether there was nothing to do: all candidates had an outcome before.
    """

    reason: Reason
    evaluated: int
    wanted: int
    given_up: int = 0
    seconds: float = 0.0
    time_budget: float | None = None
    in_hand: int = 0
    idle: bool = False

    @property
    def found_nothing(self) -> bool:
        """Whether the time budget ended the search before any candidate had an outcome."""
        return self.reason == "time" and not self.evaluated and not self.in_hand

    def headline(self) -> str:
        """Return what ended the search, in a few words; empty if it did all it was to do."""
        if self.reason == "time":
            return f"ended by the time budget of {_seconds(self.time_budget)}"
        return {
            "exhausted": "ended because the space has no more candidates",
            "stopped": "stopped",
            "failed": "ended by an error",
        }.get(self.reason, "")

    def sentences(self) -> str:
        """Return what ended the search and what was given up, for reports."""
        done = f"{self.evaluated} of {self.wanted} candidates are evaluated"
        if self.reason == "complete":
            return f"The search did all it was to do: {done}."
        if self.reason == "exhausted":
            return (
                f"The search ended after {self.evaluated} of {self.wanted} candidates: the space has no more that are new and "
                "satisfy the constraints."
            )
        what = "The search was stopped" if self.reason == "stopped" else "An error ended the search"
        if self.reason == "time":
            what = f"The time budget of {_seconds(self.time_budget)} ended the search after {duration(self.seconds)}"
        return f"{what}: {done}." + (f" Given up: {self._lost()}." if self.given_up else "")

    def _lost(self) -> str:
        return f"{self.given_up} {'evaluation' if self.given_up == 1 else 'evaluations'} that had begun or came next"

    def text(self, resume: str) -> str:
        """Return the sentences for the end of the output; empty if the search did all it was to do.

        Args:
            resume: Command that resumes the run.
        """
        if self.idle:
            return (
                f"Nothing left to do: {self.evaluated} of {self.wanted} candidates are evaluated.\n"
                f"More:      {resume} --candidates {2 * self.wanted}"
            )
        if self.reason == "exhausted":
            return self.sentences()
        if self.reason != "time":
            return ""
        lines = [self.sentences().partition(" Given up:")[0]]
        if self.given_up:
            lines.append(f"Given up:  {self._lost()}.")
        if self.in_hand:
            lines.append(f"In part:   {self.in_hand} candidates were evaluated in part; a resumed search goes on with them.")
        if self.found_nothing:
            lines.append("No evaluation was finished in this time; take a larger budget, fewer epochs or smaller networks.")
            return "\n".join([*lines, f"Go on:     {resume} --time-budget none   (without a limit, or with a number of seconds)"])
        return "\n".join(
            [*lines, f"Go on:     {resume}   (another {_seconds(self.time_budget)}; --time-budget none sets no limit)"]
        )


def _seconds(budget: float | None) -> str:
    return f"{budget:g} s"

"""Those that follow a search: its folder, its progress line, MLflow, and the callbacks of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ray import tune

from archsearch.platform.announcement import Announcement
from archsearch.platform.candidate_callbacks import CandidateCallbacks, Recorded
from archsearch.platform.ending import Reason
from archsearch.platform.preparation import Search
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.report.trust import Course
from archsearch.platform.result import SearchResult
from archsearch.platform.tracking.setup import open_tracker
from archsearch.platform.tracking.tracker import Tracker
from archsearch.searchers import Observation


class Observers:
    """Gives the outcomes of a search to all that follow it, and at the end its result.

    Args:
        search: The search; outcomes of before a stop are in its searcher's history.
        stream: Stream of the progress line; None shows none.
        callbacks: Callbacks of Ray Tune.
        recorded: Returns the recorded evaluations of observations.

    Attributes:
        progress: The progress line.
        candidates: The callbacks of the user.
    """

    def __init__(self, search: Search, stream: TextIO | None, callbacks: Sequence[tune.Callback], recorded: Recorded) -> None:
        configuration, searcher = search.configuration, search.searcher
        self._search = search
        self._announcement = Announcement(search.evaluator, stream)
        self._announcement.begin()
        # The searches of a study run one after the other, and each says whose line it is.
        label = f"{configuration.method} seed {configuration.seed}" if configuration.study else ""
        self.progress = search.progress(stream, label)
        self.progress.take(searcher.history)
        self._tracker = open_tracker(configuration, search.space.name, searcher, search.evaluator, search.folder)
        if self._tracker is not None:
            self._tracker.record(searcher.history)
        self.candidates = CandidateCallbacks(callbacks, search.space, search.folder.path, recorded, first=len(searcher.history))
        self._course: list[tuple[int, dict[str, float]]] = []
        self._spent = 0.0

    @property
    def run_id(self) -> str | None:
        """Id of the MLflow run; None if there is none."""
        return None if self._tracker is None else self._tracker.run_id

    def begin(self) -> None:
        """Follow the searcher from now on."""
        self._search.searcher.on_outcomes = self.take
        self.candidates.begin(self._search.configuration.num_candidates)

    def take(self, observations: Sequence[Observation]) -> None:
        """Take the outcomes of a batch."""
        searcher, folder = self._search.searcher, self._search.folder
        folder.note_outcomes(observations)
        # A surrogate's fits are timed where they run; the searcher's own time includes waiting for them.
        took = sum(searcher.costs.values()) if searcher.costs else searcher.seconds
        folder.note_spent(len(searcher.history) - len(observations), took - self._spent)
        self._spent = took
        self.progress.say(self._announcement.remark([row.evaluation for row in observations]))
        self.progress.take(observations)
        figures = searcher.figures
        changed = figures if figures and (not self._course or figures != self._course[-1][1]) else {}
        if changed:
            self._course.append((len(searcher.history), changed))
        if self._tracker is not None:
            self._tracker.record(observations)
            self._tracker.record_values(changed)
        self.candidates.take(observations)

    def finish(self, result: SearchResult, reason: Reason) -> None:
        """Show how the search ended, and write the report and the end of the MLflow run."""
        assert result.ending is not None
        self.progress.ended = result.ending.headline()
        self.progress.show(last=True)
        status = {"failed": "FAILED", "stopped": "KILLED"}.get(reason, "FINISHED")
        _publish(result, self._tracker, status, self._search.searcher.details, self._course)


def _publish(result: SearchResult, tracker: Tracker | None, status: str, details: Mapping[str, Any], course: Course) -> None:
    """Write the report, or its tables alone, and send them to MLflow."""
    from archsearch.platform.report.report import write_report, write_tables

    summary, folder, top = result.summary, result.folder / "report", result.summary.settings["top"]
    if len(summary.evaluations):
        if summary.settings["report"]:
            if tracker is not None:
                curves = summary.early_stopping.curves if summary.early_stopping is not None else {}
                tracker.log_finalists(ranked_rows(summary.evaluations, top), curves)  # sent while the report is drawn
            write_report(summary, result.space, folder, top, details, course)
        else:
            write_tables(summary, folder, top)
        if tracker is not None:
            tracker.log_artifacts(folder)
    if tracker is not None:
        tracker.finish(status, summary, top)

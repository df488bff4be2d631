"""The evaluation of one candidate by a function, step by step: the function is paused in its reports."""

from __future__ import annotations

import math
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archsearch.errors import ArchSearchError, ConfigurationError
from archsearch.evaluators.devices import cpu_threads, device_that_is_here, failure_text
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.function.candidate_task import CandidateTask
from archsearch.evaluators.function.context import TrainingContext
from archsearch.evaluators.function.folder_state import files_of, write_files
from archsearch.evaluators.function.outcome import InvalidOutcome, outcome_of
from archsearch.evaluators.function.paused_call import PausedCall
from archsearch.evaluators.function.random_state import generators_restored, seed_generators
from archsearch.evaluators.function.reports import InvalidReport, Reports
from archsearch.evaluators.source import defined_in
from archsearch.evaluators.stepwise import EvaluationSteps

_NO_GPU = ("Found no NVIDIA driver", "Torch not compiled with CUDA", "No CUDA GPUs are available")


class _FunctionAtWork:
    """A function at work on one candidate; its thread holds this object, which does not hold the `FunctionSteps`."""

    def __init__(self, task: CandidateTask, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.reports = Reports(task.steps)
        self.call = PausedCall(task.name)
        self.invalid: InvalidReport | None = None
        self.since = time.perf_counter()
        self.seconds = 0.0  # since the last report
        self.from_step = 0  # the step that the checkpoint in the folder was written at

    def run(self) -> Any:
        task, self.since = self.task, time.perf_counter()
        seed_generators(task.seed, "weights")
        device = device_that_is_here(task.device)
        model = task.model().to(device)
        context = TrainingContext(
            task.architecture,
            seed=task.seed,
            device=device,
            steps=task.steps,
            settings=dict(task.settings),
            checkpoint=self.folder,
            costs=task.costs,
            splits=task.splits,
            report=self.report,
        )
        seed_generators(task.seed, self.from_step)
        try:
            return task.function(model, context)
        finally:
            self.seconds += time.perf_counter() - self.since

    def report(self, step: Any, score: Any, metrics: Mapping[str, Any]) -> None:
        try:
            is_new = self.reports.take(step, score, metrics)
        except InvalidReport as error:
            self.invalid = error  # also if the function catches it
            raise
        if is_new:
            now = time.perf_counter()
            self.reports.seconds.append(self.seconds + now - self.since)
            self.seconds = 0.0
            if self.task.steps is not None and self.reports.fidelity < self.task.steps:
                self.call.pause()
            self.since = time.perf_counter()
        seed_generators(self.task.seed, int(step))


class FunctionSteps(EvaluationSteps):
    """The evaluation of a candidate by a function.

    The function runs in a thread of its own, from one report to the next. Its state is what it has reported and the content of
    its checkpoint folder; a function that goes on from a state is called anew, with that content in the folder.

    Args:
        task: The candidate and the function.
    """

    def __init__(self, task: CandidateTask) -> None:
        super().__init__(task.architecture)
        self._task = task
        self._folder = TemporaryDirectory(prefix="archsearch-", ignore_cleanup_errors=True)
        self._work = _FunctionAtWork(task, Path(self._folder.name))
        self._begun = False
        self._end = weakref.finalize(self, self._work.call.stop)

    def step(self) -> Evaluation:
        task, work, call = self._task, self._work, self._work.call
        if not self._end.alive:
            raise ConfigurationError("steps: this evaluation has ended; begin a new one.")
        with cpu_threads(task.threads), generators_restored():
            if not self._begun:
                self._begun = True
                call.start(work.run)
            ended = call.advance()
        self.fidelity = work.reports.fidelity
        if not ended:
            return self._evaluation(work.reports.scores[-1], {}, self.fidelity)
        self._end()
        if isinstance(call.raised, ArchSearchError | KeyboardInterrupt):
            raise call.raised  # the evaluator's data or settings, not the candidate
        if work.invalid is not None:
            return self._failed(str(work.invalid))
        if call.raised is not None:
            return self._failed(_why(call.raised, task.function))
        try:
            score, figures = outcome_of(call.returned, task.name, task.score_name)
        except InvalidOutcome as error:
            return self._failed(str(error))
        work.reports.finish(score, work.seconds)
        if task.steps is not None:
            self.fidelity = task.steps
        return self._evaluation(score, figures, None)

    def _evaluation(self, value: float, figures: Mapping[str, Any], fidelity: int | None) -> Evaluation:
        task, reports = self._task, self._work.reports
        metrics: dict[str, Any] = {**(reports.metrics[-1] if reports.metrics else {}), **figures}
        if task.score_name != "score":
            metrics[task.score_name] = value
        sign = -1.0 if task.lower_is_better else 1.0
        curves = reports.curves(sign, task.score_name)
        return Evaluation(self.architecture, task.key, sign * value, metrics, sum(reports.seconds), None, curves, fidelity)

    def _failed(self, why: str) -> Evaluation:
        seconds = sum(self._work.reports.seconds) + self._work.seconds
        return Evaluation(self.architecture, self._task.key, math.nan, {}, seconds, why)

    def state(self) -> dict[str, Any]:
        files = files_of(self._work.folder)
        return {"of": self._task.identity, "fidelity": self.fidelity, "reports": self._work.reports.state(), "files": files}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if self._begun:
            raise ConfigurationError("state: expected an evaluation before its first step; this one has begun.")
        if not isinstance(state, Mapping) or not isinstance(state.get("files"), Mapping):
            raise ConfigurationError("state: expected the state of an evaluation by a function; got another.")
        if (found := state.get("of")) != (expected := self._task.identity):
            raise ConfigurationError(f"state: expected that of settings, seed and candidate {expected}; got that of {found}.")
        work, reports = self._work, Reports(self._task.steps)
        reports.load_state(state.get("reports"))
        write_files(state["files"], work.folder)
        work.reports = reports
        self.fidelity = work.reports.fidelity
        work.from_step = self.fidelity if state["files"] else 0
        if self.fidelity and not state["files"]:
            self._task.started_over(self.fidelity)

    def close(self) -> None:
        """End the function, if it is paused, and remove its checkpoint folder."""
        self._end()
        self._folder.cleanup()


def _why(error: BaseException, function: Callable[..., Any]) -> str:
    """Return what a function raised, and which line of its file did."""
    text = failure_text(error) if isinstance(error, Exception) else f"{type(error).__name__}: {error}".removesuffix(": ")
    if any(each in text for each in _NO_GPU):
        text += ". There is no GPU here: use context.device instead of 'cuda'"
    file = defined_in(function)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file]
    return f"{text} (line {lines[-1]} of {file})" if lines else text

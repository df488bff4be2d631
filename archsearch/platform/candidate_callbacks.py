"""Callbacks of Ray Tune that see one trial for each candidate, although a Tune trial of a search holds a batch of them."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from archsearch.errors import ConfigurationError, check_kind, message_in_one_line, wrong_kind
from archsearch.evaluators import Evaluation
from archsearch.searchers import Observation
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)

FOLDER = "candidates"
"""Folder of a run in which each candidate has a folder for the files of loggers."""

Recorded = Callable[[Sequence[Observation]], Sequence[Evaluation]]
"""Function that returns the recorded evaluations, with all metrics, of observations, in their order."""


class CandidateTrial(Trial):
    """One candidate as a trial of Tune, for callbacks; Tune itself does not run it.

    Args:
        name: Name of the search.
        trial_id: Identity of the candidate, unique among all searches.
        config: The architecture as text, and its genes.
        folder: Folder of all candidates' files.
        candidate: Name of this candidate's folder in it.
    """

    def __init__(self, name: str, trial_id: str, config: Mapping[str, Any], folder: Path, candidate: str) -> None:
        super().__init__(name, config=dict(config), trial_id=trial_id, evaluated_params=dict(config), stub=True)
        self._folder, self._candidate = folder, candidate

    def init_local_path(self) -> None:
        """Create the folder of the candidate."""
        self.relative_logdir: Any = self._candidate
        _ = self.local_path

    @property
    def local_experiment_path(self) -> str:
        """Folder of all candidates."""
        return str(self._folder)

    @property
    def local_path(self) -> str:
        """Folder of this candidate; it is created when a callback asks for it."""
        folder = self._folder / self._candidate
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    @property
    def path(self) -> str:
        """The same as `local_path`."""
        return self.local_path

    @property
    def experiment_dir_name(self) -> str:
        """Name of the search."""
        return str(self.trainable_name)

    @property
    def checkpoint(self) -> None:
        """None: candidates have no checkpoints."""
        return None

    def get_ray_actor_ip(self) -> str:
        """Return the name of this machine; loggers ask for it."""
        return socket.gethostname()


class CandidateCallbacks(tune.Callback):
    """Gives the events of each candidate to callbacks of Ray Tune: start, one result, and completion or error.

    The configuration of the trial is `architecture`, its text, and the genes by name. The result has `score`, all metrics,
    `seconds`, `reused` (whether the ledger answered), and the fields that Tune's loggers need.

    A callback that raises an error is not called again; the error is logged and the search goes on, because its evaluations are
    paid.

    Args:
        callbacks: The callbacks of the user.
        space: Space of the candidates.
        run: Folder of the run.
        recorded: Returns the recorded evaluations of observations.
        first: Number of the first candidate.

    Raises:
        ConfigurationError: One of them is no callback of Tune.
    """

    def __init__(
        self, callbacks: Sequence[tune.Callback], space: SearchSpace, run: Path, recorded: Recorded, first: int = 0
    ) -> None:
        check_callbacks(callbacks)
        self._callbacks, self._space, self._run, self._recorded = list(callbacks), space, run, recorded
        self._trials: dict[str, CandidateTrial] = {}
        self._next, self._done = first, 0

    def begin(self, num_candidates: int) -> None:
        """Call `setup` of the callbacks."""
        self._tell("setup", stop=None, num_samples=num_candidates, total_num_samples=num_candidates, name=self._run.name)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Start the candidates of a batch; Tune calls it with the trial of the batch."""
        if self._callbacks:
            for text in trial.config.get("candidates", ()):
                self._started(text)

    def take(self, observations: Sequence[Observation]) -> None:
        """Give the outcomes of a batch to the callbacks."""
        if not self._callbacks:
            return
        for observation, evaluation in zip(observations, self._recorded(observations), strict=True):
            trial = self._started(str(observation.evaluation.architecture))
            self._done += 1
            result = self._result(trial, observation, evaluation)
            failed = not observation.evaluation.ok
            trial.run_metadata.last_result = result
            self._event("on_trial_result", trial, result=result)
            trial.status = Trial.ERROR if failed else Trial.TERMINATED
            self._event("on_trial_error" if failed else "on_trial_complete", trial)

    def end(self) -> None:
        """Call `on_experiment_end`, also after a stop."""
        self._tell("on_experiment_end", trials=list(self._trials.values()))

    def _started(self, text: str) -> CandidateTrial:
        if text in self._trials:  # such as a batch whose process died
            return self._trials[text]
        architecture = self._space.parse(text)
        number, self._next = self._next, self._next + 1
        search = hashlib.blake2b(str(self._run).encode(), digest_size=4).hexdigest()
        config = {"architecture": text, **{name: _plain(value) for name, value in self._space.params(architecture).items()}}
        candidate = f"{number:06d}-{self._space.key(architecture)[:8]}"
        trial = CandidateTrial(self._run.name, f"{search}_{number:05d}", config, self._run / FOLDER, candidate)
        self._trials[text] = trial
        trial.status = Trial.RUNNING
        self._event("on_trial_start", trial)
        return trial

    def _result(self, trial: CandidateTrial, observation: Observation, evaluation: Evaluation) -> dict[str, Any]:
        figures = {"score": evaluation.score, **evaluation.metrics}
        result: dict[str, Any] = {name: value for name, value in figures.items() if math.isfinite(value)}
        if evaluation.fidelity is not None:
            result["fidelity"] = evaluation.fidelity
        if evaluation.error is not None:
            result["error"] = evaluation.error
        now = time.time()
        return result | {
            **{"seconds": evaluation.seconds, "reused": observation.reused, "config": dict(trial.config)},
            **{"trial_id": trial.trial_id, "experiment_tag": "", "training_iteration": 1, "done": True},
            **{"time_total_s": evaluation.seconds, "time_this_iter_s": evaluation.seconds, "timestamp": int(now)},
            **{"date": time.strftime("%Y-%m-%d_%H-%M-%S"), "hostname": socket.gethostname(), "pid": os.getpid()},
        }

    def _event(self, name: str, trial: CandidateTrial, **info: Any) -> None:
        self._tell(name, iteration=self._done, trials=list(self._trials.values()), trial=trial, **info)

    def _tell(self, event: str, /, **info: Any) -> None:
        for callback in list(self._callbacks):
            try:
                getattr(callback, event)(**info)
            except Exception as error:  # a callback may raise anything; what the search has paid for must not be lost
                self._callbacks.remove(callback)
                logger.exception(
                    "callbacks: %s raised %s in %s (%s); it is not called again, and the search goes on",
                    type(callback).__name__,
                    type(error).__name__,
                    event,
                    message_in_one_line(error, 200),
                )


def check_callbacks(callbacks: object) -> None:
    """Raise ConfigurationError unless the argument is a list of callbacks of Ray Tune."""
    check_kind("callbacks", callbacks, (list, tuple), "a list of callbacks of Ray Tune, such as [TBXLoggerCallback()]")
    for callback in callbacks:  # type: ignore[attr-defined]
        if not isinstance(callback, tune.Callback):
            raise ConfigurationError(wrong_kind("callbacks", "callbacks of Ray Tune, derived from ray.tune.Callback", callback))


def _plain(value: Any) -> Any:
    """Return the value of a gene as loggers take it: a number or a string."""
    return value if isinstance(value, bool | int | float | str) else str(value)

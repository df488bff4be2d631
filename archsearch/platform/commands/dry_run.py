"""`archsearch run --dry-run`: time, CPU-hours and disk of a search, estimated from a few candidates."""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from archsearch.cluster import Ledger, connect
from archsearch.cluster.ledger.compaction import MOST_PARTS
from archsearch.cluster.placement import cluster_nodes
from archsearch.cluster.schedulers.replay import Curve, replay
from archsearch.cluster.storage import check_storage
from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation, Evaluator, StepwiseEvaluator
from archsearch.platform.allocation import Allocation, allocate
from archsearch.platform.commands.calibration import Calibration, calibrate
from archsearch.platform.commands.doctor import storage_state
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.preparation import prepare
from archsearch.platform.run_folder import RunFolder, exists_already
from archsearch.platform.space_costs import SpaceCosts, space_costs
from archsearch.platform.tracking.rehearsal import check_logging
from archsearch.platform.units import duration

# Measured with Ray 2.60: the overhead of a Tune trial, and of starting Ray and drawing the report together.
_TRIAL_SECONDS, _FRAME_SECONDS = 0.05, 10.0
# The report, its copy in MLflow, and MLflow's empty database.
_REPORT_BYTES, _DATABASE_BYTES = 0.7e6, 1.2e6
_TRIAL_BYTES = 8e3  # files of Tune for one trial
_HOUR = 3600.0
_REPLAYED, _REPLAYED_STEPS = 100, 4_000  # candidates, and steps of all of them, of a replayed scheduler


@dataclass(frozen=True)
class Machines:
    """The machines on which trials will run.

    Args:
        name: Human-readable name.
        cpus: Number of CPU cores.
        gpus: Number of GPUs.
    """

    name: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class DryRun:
    """Rough estimate of the resources that a search will take.

    Args:
        configuration: The search.
        machines: The machines of its trials.
        calibration: Measured cost of an evaluation.
        workers: Number of trials at once.
        trials: Number of trials.
        ledger_bytes: Size of the ledger afterwards, bytes.
        storage: Human-readable state of the storage.
        tracking: Human-readable name of the MLflow store.
        facts: What is to be known about the images and the training.
        cautions: Warnings about them.
        actors: Processes that the searcher keeps beside the trials, in words; empty if there are none.
        costs: Costs of random architectures of the space; None if no cost is known before an evaluation.
        share: Expected share of the seconds of all complete evaluations that is spent with the scheduler; None without one.
    """

    configuration: SearchConfiguration
    machines: Machines
    calibration: Calibration
    workers: int
    trials: int
    ledger_bytes: float
    storage: str
    tracking: str
    facts: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    actors: str = ""
    costs: SpaceCosts | None = None
    share: float | None = None

    @property
    def worker_seconds(self) -> float:
        """Seconds of all workers together: evaluations, and the overhead of Ray Tune per trial."""
        share = 1.0 if self.share is None else self.share
        needed = self.configuration.num_candidates * self.calibration.seconds * share + self.trials * _TRIAL_SECONDS
        budget = self.configuration.time_budget
        return needed if budget is None else min(needed, budget * self.workers)

    @property
    def seconds(self) -> float:
        """Seconds from the command to the report."""
        return self.worker_seconds / self.workers + _FRAME_SECONDS

    @property
    def cpu_hours(self) -> float:
        """Hours of CPU cores reserved."""
        return self.worker_seconds * self.configuration.cpus_per_worker / _HOUR

    @property
    def gpu_hours(self) -> float:
        """Hours of GPUs reserved."""
        return self.worker_seconds * self.configuration.gpus_per_worker / _HOUR

    @property
    def disk_bytes(self) -> float:
        """Bytes in the storage and in MLflow."""
        report = _REPORT_BYTES if self.configuration.report else 0.0
        tracked = self.configuration.tracking != "off"
        return self.ledger_bytes + self.trials * _TRIAL_BYTES + report + (report + _DATABASE_BYTES if tracked else 0.0)

    def text(self) -> str:
        """Return the human-readable estimate with its assumptions."""
        configuration, calibration, machines = self.configuration, self.calibration, self.machines
        what = f"{configuration.num_candidates} candidates by {configuration.evaluator}, seed {configuration.seed}"
        each = f"{configuration.cpus_per_worker:g} CPU" + (
            f" and {configuration.gpus_per_worker:g} GPU" if configuration.gpus_per_worker else ""
        )
        shortened = ""
        if calibration.epochs:
            shortened = f" (trainings of {calibration.epochs[0]} epochs, extrapolated to {calibration.epochs[1]})"
        lines = [
            f"Dry run:   {configuration.space} with {configuration.method}, {what}",
            f"Storage:   {self.storage}",
            f"Tracking:  {self.tracking}",
            f"Workers:   {self.workers}, each with {each} ({machines.name}: {machines.cpus:g} CPUs, {machines.gpus:g} GPUs)"
            + (f"; beside them {self.actors}" if self.actors else ""),
            f"Measured:  {calibration.pace()}, from {len(calibration.evaluations)} evaluations in "
            f"{calibration.elapsed:.1f} s{shortened}",
            f"Expected:  about {duration(self.seconds)}, {_hours(self.cpu_hours)} CPU-hours, {_hours(self.gpu_hours)} GPU-hours, "
            f"{self.disk_bytes / 1e6:.1f} MB on disk",
            "Assumed:   workers do not slow each other down; no candidate is in the ledger; the computations of the",
            f"           searcher itself are not counted; {_FRAME_SECONDS:.0f} s for the start of Ray and the report",
        ]
        if self.share is not None:
            left_out = f"{100 * (1 - self.share):.0f} %"
            lines.append(
                f"Scheduler: {configuration.scheduler} leaves out about {left_out} of the evaluations if candidates keep their"
            )
            lines.append(
                f"           order from rung to rung; checkpoints may take {configuration.checkpoint_gb:g} GB more on disk"
            )
        if self.costs is not None:
            lines.append(f"Costs:     {self.costs.ranges_text()}")
            if share := self.costs.share_text():
                lines.append(f"Possible:  {share}")
            if self.costs.is_tight:
                lines.append(
                    "Warning:   the constraints leave less than a tenth of the space; loosen them if you did not mean that"
                )
        if calibration.errors:
            failed = sum(not evaluation.ok for evaluation in calibration.evaluations)
            lines.append(f"Failed:    {failed} of the measured candidates, for example: {calibration.errors[0]}")
        lines += [*self.facts, *(f"Warning: {caution}" for caution in self.cautions)]
        return "\n".join([*lines, "Nothing was recorded. Run the same command without --dry-run to search."])


def _hours(hours: float) -> str:
    return "0" if hours == 0 else "under 0.01" if hours < 0.01 else f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}"


def dry_run(configuration: SearchConfiguration, seconds: float = 2.0) -> DryRun:
    """Check all settings of a search, evaluate candidates for about `seconds`, and estimate the resources of the search.

    No run folder is created, and nothing stays in the ledger or in MLflow. All else is what the search will do: Ray is started or
    connected to, a worker with the resources of a trial evaluates the candidates, a file is written to the storage, and MLflow is
    given a run, which is deleted again.

    Args:
        configuration: The search.
        seconds: Duration of the measurement.

    Raises:
        ConfigurationError: A setting cannot be used, a trial does not fit on the machines, or MLflow takes no run.
        RunError: The run's folder exists already.
    """
    if configuration.name is not None and RunFolder.exists(configuration.storage, configuration.name):
        raise exists_already(StoragePlace.of(configuration.storage).child(configuration.name))
    state, fine = storage_state(configuration.storage)
    if not fine:
        raise ConfigurationError(f"storage: {state.rstrip('.')}; choose a writable folder.")
    with tempfile.TemporaryDirectory() as folder:
        search = prepare(
            replace(configuration, storage=folder),
            configuration.space,
            configuration.searcher,
            configuration.evaluator,
            resume=False,
        )
        tracking = check_logging(configuration.tracking, configuration.storage) if configuration.tracking != "off" else "off"
        machines = _machines(configuration)
        allocation = allocate(configuration, search.searcher, search.evaluator)
        calibration = _measure(search.evaluator, seconds, configuration)
        sizer = search.searcher.sizer
        batch = sizer.fixed or max(1, min(int(sizer.target / max(calibration.seconds, 5e-4)), sizer.largest))
        trials = -(-configuration.num_candidates // batch)
        parts = max(trials, min(configuration.num_candidates, configuration.num_candidates * calibration.seconds))
        ledger_bytes = _ledger_bytes(search.ledger, calibration.evaluations, parts, configuration.num_candidates)
        facts, cautions = search.evaluator.facts(), search.evaluator.cautions()
        costs = space_costs(search.space, search.searcher.goals, configuration.seed)
        at_once = max(1, min(allocation.workers, allocation.fitting))
        share = None if search.stepwise is None else expected_share(search.stepwise, configuration, at_once)
    workers = max(1, min(allocation.workers, allocation.fitting))
    return DryRun(
        configuration,
        machines,
        calibration,
        workers,
        trials,
        ledger_bytes,
        state,
        tracking,
        facts,
        cautions,
        actors=_actors_in_words(allocation),
        costs=costs,
        share=share,
    )


def expected_share(evaluator: StepwiseEvaluator, configuration: SearchConfiguration, workers: int) -> float:
    """Return the share of the seconds of all complete evaluations that a search with a scheduler is expected to spend.

    The scheduler is replayed on made-up curves of random candidates whose order does not change from rung to rung.

    Args:
        evaluator: Evaluator of the candidates.
        configuration: The search, with a scheduler.
        workers: Number of workers.

    Raises:
        ConfigurationError: The scheduler cannot be used.
    """
    steps = evaluator.fidelities or tuple(range(1, evaluator.max_fidelity + 1))
    seconds = tuple(float(after - before) for before, after in itertools.pairwise((0, *steps)))
    candidates = max(1, min(configuration.num_candidates, _REPLAYED, _REPLAYED_STEPS // len(steps)))
    levels = np.random.default_rng(configuration.seed).random(candidates)
    curves = [Curve((float(level),) * len(steps), seconds, fidelities=steps) for level in levels]
    found = replay(
        curves,
        str(configuration.scheduler),
        configuration.scheduler_options,
        max_fidelity=evaluator.max_fidelity,
        fidelity_name=evaluator.fidelity_name,
        workers=workers,
    )
    return 1.0 - found.saved


def _actors_in_words(allocation: Allocation) -> str:
    if not allocation.actors:
        return ""
    noun = "process of the searcher" if allocation.actors == 1 else "processes of the searcher"
    return f"{allocation.actors} {noun} with {allocation.actor_cpus:g} CPUs"


def _machines(configuration: SearchConfiguration) -> Machines:
    """Connect to Ray as the search will, and return its machines."""
    connect(configuration.address)
    check_storage(StoragePlace.of(configuration.storage).address)
    nodes = cluster_nodes()
    address = configuration.address or os.environ.get("RAY_ADDRESS")
    name = f"{len(nodes)} node{'s' if len(nodes) > 1 else ''} at {address}" if address else "this machine"
    return Machines(name, sum(node.cpus for node in nodes), sum(sum(node.gpus) for node in nodes))


def _measure(evaluator: Evaluator, seconds: float, configuration: SearchConfiguration) -> Calibration:
    """Evaluate candidates in a worker that reserves what a trial of the search will."""
    import ray

    task: Any = ray.remote(num_cpus=configuration.cpus_per_worker, num_gpus=configuration.gpus_per_worker)(calibrate)
    measured: Calibration = ray.get(task.remote(evaluator, seconds, configuration.seed))
    return measured


def _ledger_bytes(ledger: Ledger, evaluations: list[Evaluation], parts: float, rows: int) -> float:
    """Return the bytes of `rows` rows in at most `parts` parts, estimated from two parts that are written."""
    chosen = evaluations[:1024]
    ledger.append("dry-run", 0, [(0, chosen[0])])
    part = _size(ledger)
    ledger.append("dry-run", 1, list(enumerate(chosen)))
    row = max(0.0, _size(ledger) - 2 * part) / (len(chosen) - 1) if len(chosen) > 1 else 0.0
    return min(parts, MOST_PARTS) * part + rows * row


def _size(ledger: Ledger) -> int:
    return sum(path.stat().st_size for path in Path(ledger.root).rglob("*") if path.is_file())

"""The settings of a search, from keyword arguments, YAML files and the command line."""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml

from archsearch.cluster.storage_place import StoragePlace
from archsearch.credentials import has_credentials, keep
from archsearch.errors import ConfigurationError, did_you_mean, message_in_one_line, nearest_first
from archsearch.evaluators.score_names import ACCURACY, MAE, OBJECTIVES
from archsearch.evaluators.settings import AtLeast, MoreThan, check_settings

DEFAULT_JOB: Mapping[str, Any] = {
    "space": "nasbench201",
    "searcher": "gp",
    "evaluator": "train:digits",
    "num_candidates": 60,
    "searcher_options": {"initial": 30, "explore": 0.0},
    "evaluator_options": {"epochs": 4, "scale": {"channels": 4, "cells_per_stage": 1}},
}
"""Settings of a search without a space, searcher and evaluator: a Gaussian process learns from 30 random cells, and chooses 30.
In ten of ten such searches the interval of the difference between them did not hold 0: see benchmarks/results/ghn.md."""
PRESET_JOB: Mapping[str, Any] = {
    "space": "cells",
    "searcher": "ghn",
    "evaluator": "train:digits",
    "num_candidates": 20,
    "evaluator_options": {"epochs": 5},
}
"""The same with a preset, such as that of a paper: a hypernetwork ranks random blocks, and the first ones are trained."""
NO_SCHEDULER = "none"
"""In place of a scheduler's name: each candidate is evaluated to the end."""
_ELSEWHERE = {
    "storage": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use ~/.aws.",
    "address": "A cluster asks for Ray's token: set RAY_AUTH_TOKEN.",
}
_LONGEST_NAME = 200  # bytes; file systems take 255
_SCORES = {name for names in OBJECTIVES.values() for name in names} - {ACCURACY}
"""Objectives that say by what trainings are scored."""


@dataclass(frozen=True)
class SearchConfiguration:
    """All settings of a search, as plain data.

    Args:
        space: Name of the search space.
        searcher: Name of the searcher.
        evaluator: `train:DATASET`, `table:NAME`, `table:PATH#COLUMN` or `python:MODULE:FUNCTION`.
        num_candidates: Number of candidates to propose.
        seed: Seed of the searcher, and of the evaluator unless its options name another.
        name: Name of the run; None makes one.
        storage: Folder that holds the runs and the ledger: a path, `file:///PATH`, or `s3://BUCKET/FOLDER`.
        searcher_options: Further arguments of the searcher, such as `population_size`.
        evaluator_options: Further arguments of the evaluator, such as `epochs`.
        objectives: Metrics to maximize, or with a minus sign to minimize: `["accuracy", "-macs"]`. The score is always one of
            them. With `anytime`, trainings are scored by the area under the anytime curve; with `balanced_accuracy`, by the mean
            over the classes of their accuracies; with `mae`, which is lowered, by the mean absolute error of numbers.
        constraints: Bounds on costs that are known before an evaluation: `{"macs": "<= 100e6", "params": ">= 1e5, <= 1e6"}`,
            where settings are given by name also `["macs <= 100e6", "params >= 1e5", "params <= 1e6"]`.
            Candidates that violate one are not evaluated.
        start: Architectures that are evaluated first, as texts; also files of them and folders of runs, for their best.
        learn_from: Outcomes that the searcher learns from without paying: folders of runs, tables, CSV files.
        scheduler: Name of the scheduler that stops or pauses trainings early: `asha`, `hyperband`, `median` or `promotion`; None
            or `none` trains each candidate to the end. `run_search` also takes any scheduler of Ray Tune.
        scheduler_options: Arguments of the scheduler, such as `grace_period`.
        checkpoint_gb: Size of all checkpoints of trainings beside the ledger, gigabytes. Beyond it the worst and oldest are
            deleted; their candidates would begin again if they were to go on.
        batch_size: Number of candidates per trial; None chooses it from the measured cost.
        deterministic: Whether proposals are independent of the order in which trials finish.
        workers: Number of trials that run at once; None takes as many as the cluster has room for.
        simulated_workers: With n, a search in a table proposes one candidate at a time and learns its score after n - 1 further
            proposals, as with n workers whose evaluations all take equally long. None evaluates in trials, whose number of
            candidates grows with the speed of look-ups. `compare` takes 1 for a table.
        cpus_per_worker: CPU cores that a trial reserves.
        gpus_per_worker: GPUs that a trial reserves; may be a fraction.
        time_budget: Seconds after which the search ends; None sets no limit.
        reuse: Whether evaluations of earlier runs are taken from the ledger instead of being repeated.
        address: Address of a Ray cluster; None takes RAY_ADDRESS, or starts Ray on this machine.
        tracking: MLflow tracking URI, `auto` (MLFLOW_TRACKING_URI, else `mlflow.db` in `storage`), or `off`. A password or token
            in it is kept in the memory of this process alone: the field reads `http://***@HOST`.
        system_metrics: Whether to log the load of this machine to MLflow: processors, memory, disk, network.
        study: Name under which runs are compared in MLflow.
        top: Number of rows of the ranked table.
        report: Whether to write the HTML report with its pictures, and child runs of the best candidates in MLflow. Tables are
            written in any case; `archsearch resume` writes the report of a finished run later.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    space: str = "nasbench201"
    searcher: str = "evolution"
    evaluator: str = "train:digits"
    num_candidates: Annotated[int, AtLeast(1)] = 40
    seed: Annotated[int, AtLeast(0)] = 0
    name: str | None = None
    storage: str = "runs"
    searcher_options: dict[str, Any] = field(default_factory=dict)
    evaluator_options: dict[str, Any] = field(default_factory=dict)
    objectives: list[str] = field(default_factory=lambda: ["score"])
    constraints: dict[str, str] = field(default_factory=dict)
    start: list[str] = field(default_factory=list)
    learn_from: list[str] = field(default_factory=list)
    scheduler: str | None = None
    scheduler_options: dict[str, Any] = field(default_factory=dict)
    checkpoint_gb: Annotated[float, MoreThan(0)] = 10.0
    batch_size: Annotated[int | None, AtLeast(1)] = None
    deterministic: bool = False
    workers: Annotated[int | None, AtLeast(1)] = None
    simulated_workers: Annotated[int | None, AtLeast(1)] = None
    cpus_per_worker: Annotated[float, MoreThan(0)] = 1.0
    gpus_per_worker: Annotated[float, AtLeast(0)] = 0.0
    time_budget: Annotated[float | None, MoreThan(0)] = None
    reuse: bool = True
    address: str | None = None
    tracking: str = "auto"
    system_metrics: bool = False
    study: str | None = None
    top: Annotated[int, AtLeast(1)] = 10
    report: bool = True

    def __post_init__(self) -> None:
        check_settings(self)
        object.__setattr__(self, "tracking", keep(self.tracking))
        _check_no_credentials(self.as_dict())
        _check_texts("constraints", "strings by name", (part for item in self.constraints.items() for part in item))
        for name in ("searcher_options", "evaluator_options", "scheduler_options"):
            _check_texts(name, "names that are strings", getattr(self, name))
            _check_plain(name, getattr(self, name))
        if self.scheduler == NO_SCHEDULER:  # it overrides the scheduler of a file, with its options
            object.__setattr__(self, "scheduler", None)
            object.__setattr__(self, "scheduler_options", {})
        if self.scheduler is None and self.scheduler_options:
            raise ConfigurationError(
                f"scheduler_options: expected none without a scheduler; got {', '.join(self.scheduler_options)}. Give a "
                "scheduler, such as asha."
            )
        if self.name is not None and not _is_folder_name(self.name):
            raise ConfigurationError(
                f"name: expected a folder name of at most {_LONGEST_NAME} bytes without / \\ or ~; got {self.name!r}."
            )
        if not self.storage or "\0" in self.storage:
            raise ConfigurationError(f"storage: expected the path of a folder; got {self.storage!r}.")
        StoragePlace.of(self.storage)  # raises for a URI of another kind

    @property
    def method(self) -> str:
        """The searcher, with its scheduler if it has one, such as `evolution + asha`."""
        return self.searcher if self.scheduler is None else f"{self.searcher} + {self.scheduler}"

    @property
    def score_options(self) -> dict[str, Any]:
        """Options of the evaluator, with those that follow from other settings.

        With an objective such as `anytime` or `balanced_accuracy`, trainings are scored by it. With a scheduler, a table is read
        with its learning curves.
        """
        aims = [text.strip().removeprefix("+") for text in self.objectives if isinstance(text, str)]
        aims = [MAE if aim == f"-{MAE}" else aim for aim in aims]
        named = [aim for aim in aims if aim in _SCORES]
        score = {"objective": named[0]} if named and self.evaluator.startswith("train:") else {}
        curves = {"curves": True} if self.scheduler is not None and self.evaluator.startswith("table:") else {}
        return {**score, **curves, **self.evaluator_options}

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)


def with_default_job(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with their preset; those without a space, searcher and evaluator are completed by `DEFAULT_JOB`.

    A preset, also one among the options of the searcher, brings the number of candidates with it unless that is given. One
    without a space, searcher and evaluator is completed by `PRESET_JOB`.
    """
    settings = _with_preset(settings)
    if _is_complete(settings):
        return settings
    given = settings.get("searcher_options") or {}
    has_preset = isinstance(given, Mapping) and "preset" in given
    usual = {"searcher_options": {}, **(PRESET_JOB if has_preset else DEFAULT_JOB)}
    job = {**usual, **settings}
    for name in ("searcher_options", "evaluator_options"):
        if isinstance(options := job[name], Mapping):  # other types are refused by SearchConfiguration
            job[name] = {**usual[name], **options}
    wanted = job["num_candidates"]
    if isinstance(given, Mapping) and not {"initial", "preset"} & set(given) and isinstance(wanted, int) and wanted < 60:
        job["searcher_options"]["initial"] = max(1, wanted // 2)  # as many chosen candidates as random ones
    return job


def _is_complete(settings: Mapping[str, Any]) -> bool:
    return any(settings.get(name) is not None for name in ("space", "searcher", "evaluator"))


def _with_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with `preset` as the option of the searcher that it is, and the number of candidates that it asks for."""
    found = dict(settings)
    preset, options = found.pop("preset", None), found.get("searcher_options") or {}
    if not isinstance(options, Mapping):  # refused by SearchConfiguration
        return found
    if preset is not None:
        found["searcher_options"] = options = {**options, "preset": preset}
    chosen = options.get("preset")
    name = found.get("searcher") or (SearchConfiguration.searcher if _is_complete(found) else PRESET_JOB["searcher"])
    if not isinstance(chosen, str) or not isinstance(name, str) or found.get("num_candidates") is not None:
        return found
    from archsearch.searchers.presets import PRESETS  # it loads Ray

    record = PRESETS.get(name, {}).get(chosen)
    if record is not None and record.candidates is not None and not record.scaled_options:
        found["num_candidates"] = record.candidates
    return found


def from_mapping(settings: Mapping[str, Any], origin: str = "configuration") -> SearchConfiguration:
    """Return a configuration.

    Args:
        settings: Values by name; settings that are left out keep their defaults.
        origin: Where the settings come from, such as a file, for error messages.

    Raises:
        ConfigurationError: A key is unknown (the message suggests the most similar one), or a value is wrong.
    """
    known = [setting.name for setting in dataclasses.fields(SearchConfiguration)]
    for key in settings:
        if key not in known:
            names = ", ".join(nearest_first(str(key), known))
            raise ConfigurationError(f"{origin}: unknown key {key!r}.{did_you_mean(str(key), known)} Keys: {names}.")
    values = {str(key): value for key, value in settings.items()}
    if "constraints" in values:
        values["constraints"] = _constraints(values["constraints"])
    return SearchConfiguration(**values)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the settings in a YAML file.

    Raises:
        ConfigurationError: The file is missing, is not YAML, or is not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"configuration: cannot read {path} ({error}); give the path of a YAML file.") from error
    content = _parsed(text, f"configuration: {path}")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"configuration: expected lines such as `searcher: evolution` in {path}; got {reprlib.repr(content)}."
        )
    return content


def write_yaml(configuration: SearchConfiguration, path: Path) -> None:
    """Write a configuration so that `read_yaml` reads it."""
    path.write_text(yaml.safe_dump(configuration.as_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """Return `name=value` strings as a mapping; values are read as YAML, so that `epochs=12` gives a number.

    Raises:
        ConfigurationError: A string has no `=`, or its value is not valid YAML.
    """
    options = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"option: expected NAME=VALUE, such as epochs=12; got {pair!r}.")
        options[name] = _parsed(value, f"option: {name}={value}")
    return options


def parse_constraints(texts: list[str]) -> dict[str, str]:
    """Return strings such as `macs <= 100e6` as a mapping from each name to its bounds.

    Raises:
        ConfigurationError: A string has no relation such as `<=`.
    """
    constraints: dict[str, str] = {}
    for text in texts:
        match = re.fullmatch(r"\s*([\w.-]+?)\s*((?:<=|>=|<|>).*)", text)
        if match is None:
            raise ConfigurationError(f"constraints: expected NAME <= NUMBER, such as 'macs <= 100e6'; got {text!r}.")
        name, limit = match[1], match[2].strip()
        constraints[name] = f"{constraints[name]}, {limit}" if name in constraints else limit
    return constraints


def _constraints(given: Any) -> Any:
    """Return constraints as a mapping; a list such as `["macs <= 100e6"]`, or one string, says the same.

    Raises:
        ConfigurationError: They are neither.
    """
    if isinstance(given, str):
        return parse_constraints([given])
    if isinstance(given, list | tuple) and all(isinstance(text, str) for text in given):
        return parse_constraints(list(given))
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "constraints: expected a mapping such as {'params': '<= 400e3'}, or a list such as ['params <= 400e3']; "
            f"got {reprlib.repr(given)}."
        )
    return dict(given)


def _parsed(text: str, origin: str) -> Any:
    """Return the content of a YAML string."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # PyYAML lets other errors pass, such as the ValueError of a date with a 13th month.
        raise ConfigurationError(f"{origin} is not valid YAML ({message_in_one_line(error)}).") from error


def _is_folder_name(name: str) -> bool:
    """Return whether a string can name a folder on Linux and macOS, also as a part of longer names."""
    allowed = name.strip() and name.isprintable() and name not in (".", "..") and not any(letter in name for letter in "/\\~")
    return bool(allowed) and len(name.encode()) <= _LONGEST_NAME


def _check_no_credentials(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if a setting holds an address with a password; `run.yaml` and MLflow would show it."""
    for name, value in settings.items():
        if any(has_credentials(text) for text in _texts(value)):
            raise ConfigurationError(
                f"{name}: expected no password or token, because settings are written to the run's folder; got {value!r}. "
                + _ELSEWHERE.get(name, "Set it in the environment.")
            )


def _texts(value: Any) -> Iterator[str]:
    """Yield all strings in a setting."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.items():
            for part in item:
                yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _check_texts(name: str, what: str, values: Iterable[Any]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise ConfigurationError(f"{name}: expected {what}; one of them is {reprlib.repr(value)}.")


def _check_plain(name: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for values that `run.yaml` cannot hold: objects, and mappings that contain themselves."""
    try:
        json.dumps(options)
        yaml.safe_dump(options)
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        reason = message_in_one_line(error)
        raise ConfigurationError(
            f"{name}: expected numbers, strings, lists and mappings; got another type ({reason}). "
            "Give objects to the constructor of the searcher, evaluator or scheduler, and that to run_search."
        ) from error

"""`archsearch submit`: a search as a job on a Ray cluster."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import yaml

from archsearch.cluster.jobs.job_server import JobServer
from archsearch.cluster.jobs.upload import Upload, module_texts, package_files
from archsearch.cluster.placement import require_room
from archsearch.cluster.storage_place import StoragePlace
from archsearch.credentials import MASK
from archsearch.errors import ArchSearchError, ConfigurationError, DatasetError, TableError
from archsearch.evaluators import Evaluator
from archsearch.platform.allocation import allocate, trial_request
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.known_starts import with_files_read
from archsearch.platform.preparation import make_parts, make_scheduler
from archsearch.platform.run_folder import RunFolder, run_name
from archsearch.platform.tracking.store import default_uri, shown_uri
from archsearch.searchers import ArchitectureSearcher
from archsearch.searchers import get as get_searcher
from archsearch.spaces import get as get_space
from archsearch.spaces.imported import PREFIX, module_of

_SETTINGS = "search.yaml"
_DATA = "data on storage that all nodes share"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def submit_search(
    configuration: SearchConfiguration,
    address: str,
    *,
    wait: bool = True,
    python: str | None = None,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> int:
    """Run a search as a job of a cluster and return its exit code.

    Args:
        configuration: The search. Its relative paths start from the current folder if this machine is the cluster's head;
            otherwise they are refused, because they would point into a temporary folder of a node.
        address: Address of the job server, such as `http://HEAD:8265`.
        wait: Whether to show the log and wait for the end; otherwise return 0 at once. Ctrl-C stops waiting, not the job.
        python: Python on the cluster's head; None takes the current one if this machine is the head, else `python`.
        quiet: Whether the job shows no progress in its log.
        stream: Stream for the log; None takes standard output.

    Raises:
        ConfigurationError: The settings, the address or the upload cannot be used.
        RunError: The connection to the job server is lost while waiting.
    """
    parts = _check(configuration)
    server = JobServer(address)
    settings, files = _with_inputs(for_cluster(configuration, server.is_here), server.is_here)
    _check_room(configuration, parts, server)
    stamp = "" if configuration.name is None else time.strftime("-%Y%m%d-%H%M%S")
    texts = {_SETTINGS: yaml.safe_dump(settings.as_dict(), sort_keys=False, allow_unicode=True)}
    texts |= modules_of(settings.space, settings.evaluator)
    upload = Upload(package_files(), texts, files)
    _say(f"Storage:   {settings.storage}\nTracking:  {shown_uri(settings.tracking)}")
    if MASK in settings.tracking:
        _say(
            "archsearch: the password of the MLflow store is not sent, since a job server shows what it is sent: set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (of a database, MLFLOW_TRACKING_URI) where the head's Ray is "
            "started."
        )
    command = f"run {_SETTINGS}" + (" --quiet" if quiet else "")
    return _start(server, command, upload, f"{settings.name}{stamp}", wait, python, stream)


def submit_resume(
    run: str,
    address: str,
    *,
    options: Sequence[str] = (),
    space: str | None = None,
    wait: bool = True,
    python: str | None = None,
    stream: TextIO | None = None,
) -> int:
    """Resume a run as a job of a cluster and return its exit code.

    Args:
        run: Folder of the run, as the cluster's head sees it.
        address: Address of the job server, such as `http://HEAD:8265`.
        options: Options of `archsearch resume`, such as `["--candidates", "80"]`.
        space: `python:MODULE:CLASS` of a run in a space of one's own, whose module is sent along; None takes the space that the
            run names, if this machine sees the run and the module.
        wait: As for `submit_search`.
        python: As for `submit_search`.
        stream: As for `submit_search`.

    Raises:
        ConfigurationError: The folder or the address cannot be used.
        RunError: The connection to the job server is lost while waiting.
    """
    StoragePlace.of(run, "resume")  # raises for a URI of another kind
    server = JobServer(address)
    folder = _placed("resume", run, server.is_here, "the folder of the run as the cluster's head sees it")
    name = f"{StoragePlace.of(folder).name}-resume-{time.strftime('%Y%m%d-%H%M%S')}"
    texts: dict[str, str] = {}
    if space is not None:
        options = [*options, "--space", space]
        texts = modules_of(space)
    else:
        with suppress(ArchSearchError):  # the cluster may see the run, or the module, where this machine does not
            before = RunFolder.open(folder).configuration()
            texts = modules_of(before.space, before.evaluator)
    return _start(server, shlex.join(["resume", folder, *options]), Upload(package_files(), texts), name, wait, python, stream)


def modules_of(space: str, evaluator: str = "") -> dict[str, str]:
    """Return the sources of the modules that `python:MODULE:NAME` names and that lie in the current folder.

    Args:
        space: Name or reference of the space.
        evaluator: The same of the evaluator, whose module has been imported.
    """
    texts: dict[str, str] = {}
    if space.startswith(PREFIX):
        get_space(space)
        texts |= module_texts(module_of(space))
    if evaluator.startswith(PREFIX):
        texts |= module_texts(module_of(evaluator, "evaluator"))
    return texts


def _check(configuration: SearchConfiguration) -> tuple[ArchitectureSearcher, Evaluator] | None:
    """Raise the errors that the job would raise on the cluster, and return searcher and evaluator if they can be made here."""
    get_searcher(configuration.searcher)
    # A table, a dataset or a run to start from may be where only the cluster can read it.
    with suppress(TableError, DatasetError):
        without = replace(configuration, start=[])
        _, searcher, evaluator = make_parts(without, configuration.space, configuration.searcher, configuration.evaluator)
        make_scheduler(configuration, evaluator)
        return searcher, evaluator
    return None


def _check_room(
    configuration: SearchConfiguration, parts: tuple[ArchitectureSearcher, Evaluator] | None, server: JobServer
) -> None:
    """Raise ConfigurationError if the search asks for processes that can never run on the cluster; say so if it is not known."""
    machines = server.machines()
    if not machines or server.adds_nodes() is not False:
        _say("Room:      the job checks whether the nodes of the cluster have what the search asks for.")
    elif parts is None:
        require_room([trial_request(configuration)], machines, lambda: None)
    else:
        allocate(configuration, *parts, machines=server.machines, limits=lambda: None)


def _with_inputs(configuration: SearchConfiguration, is_here: bool) -> tuple[SearchConfiguration, dict[str, Path]]:
    """Return the settings with what lies on this machine of `start` and `learn_from`, and the files that go along for it.

    Architectures to start with are read here. A file or a run to learn from is sent, unless the job runs on this machine.
    """
    sources, files = list[str](), dict[str, Path]()
    for number, source in enumerate(configuration.learn_from, 1):
        path, mark, column = source.removeprefix("table:").partition("#")
        given = Path(path).expanduser()
        parts = _parts_of(given)
        if parts and is_here:
            path = str(given.absolute())
        elif parts:
            path = f"learned/{number}/{given.name}"
            files |= {f"{path}/{part}".rstrip("/"): given / part for part in parts}
        elif _is_file(path) and not given.is_absolute():
            raise ConfigurationError(
                f"learn_from: there is no file and no run {path!r} in this folder; give a path of this machine, which is sent "
                "along, or an absolute one that the cluster's head sees."
            )
        sources.append(("table:" if source.startswith("table:") else "") + path + mark + column)
    start = with_files_read(configuration.start, get_space(configuration.space)) if configuration.start else []
    return replace(configuration, start=start, learn_from=sources), files


def _parts_of(path: Path) -> list[str]:
    """Return what is read of a path of this machine to learn from it: a file itself, or files of a run; none of other paths."""
    if (path / "run.yaml").is_file():
        return [name for name in ("run.yaml", "report/evaluations.parquet") if (path / name).is_file()]
    return [""] if path.is_file() else []


def for_cluster(configuration: SearchConfiguration, is_here: bool) -> SearchConfiguration:
    """Return the settings of the job: with a name, and with absolute paths that the cluster can read.

    Args:
        configuration: The settings as given.
        is_here: Whether this machine is the cluster's head, so that relative paths can be made absolute.

    Raises:
        ConfigurationError: A path is relative, and the cluster's head is another machine.
    """
    task = configuration.evaluator.partition(":")[2].partition("#")[0]
    storage = _placed("storage", configuration.storage, is_here, "a folder that all nodes share")
    return replace(
        configuration,
        name=configuration.name or run_name(configuration.method, configuration.space, task, configuration.seed),
        storage=storage,
        tracking=_tracking(configuration.tracking, storage, is_here),
        evaluator=_evaluator(configuration.evaluator, is_here),
        evaluator_options=_with_images("evaluator_options", configuration.evaluator_options, is_here),
        searcher_options=_with_images("searcher_options", configuration.searcher_options, is_here),
        address=None,  # the job finds its own cluster
    )


def _placed(argument: str, path: str, is_here: bool, expected: str) -> str:
    place = StoragePlace.of(path, argument)
    if place.is_remote and expected == _DATA:
        raise ConfigurationError(f"{argument}: expected {expected}, by its path; got {path!r}. Mount a bucket as a folder.")
    if is_here or place.is_remote or Path(path).is_absolute() or path.lower().startswith("file:"):
        return place.address
    raise ConfigurationError(
        f"{argument}: expected {expected}, as an absolute path, because the cluster's head is another machine; "
        f"got {path!r}, which would be in a temporary folder of a node."
    )


def _tracking(uri: str, storage: str, is_here: bool) -> str:
    named = os.environ.get("MLFLOW_TRACKING_URI") or ""
    if uri == "auto":
        # Beside the storage, unless the environment names a store that the head sees.
        local = named.startswith("sqlite:") or (named and "://" not in named)
        uri = f"sqlite:///{storage}/mlflow.db" if local and not is_here else default_uri(storage)
    if uri == "off" or uri.startswith("sqlite:////"):
        return uri
    if uri.startswith("sqlite:///"):
        file = _placed("tracking", uri.removeprefix("sqlite:///"), is_here, "an MLflow store that the cluster's head sees")
        return f"sqlite:///{file}"
    if "://" not in uri and not is_here:
        raise ConfigurationError(
            "tracking: expected an MLflow store that the cluster's head sees, because that is another machine, such as "
            f"http://SERVER:5000 (mlflow server), or off; got {uri!r}."
        )
    return uri


def _evaluator(text: str, is_here: bool) -> str:
    match = re.fullmatch(r"(table:|train:imagefolder:|train:parquet:|train:csv:)([^#]+)(#.*)?", text)
    if match is None or (match[1] == "table:" and not _is_file(match[2])):
        return text
    placed = _placed if match[1] == "table:" else _images
    return match[1] + placed("evaluator", match[2], is_here, _DATA) + (match[3] or "")


def _with_images(argument: str, options: Mapping[str, Any], is_here: bool) -> dict[str, Any]:
    """Return options in which the dataset, if it is of the user's files, has a path that the cluster can read."""
    match = re.fullmatch(r"(imagefolder:|parquet:|csv:)([^?#]+)(.*)", str(options.get("dataset")))
    if match is None:
        return dict(options)
    return {**options, "dataset": match[1] + _images(f"{argument}: dataset", match[2], is_here, _DATA) + match[3]}


def _images(argument: str, path: str, is_here: bool, expected: str) -> str:
    """Return the path of images as the cluster can read it; they may be in any filesystem that pyarrow reads."""
    if "://" not in path.partition("?")[0] or path.lower().startswith("file:"):
        return _placed(argument, path, is_here, expected)
    return path


def _is_file(table: str) -> bool:
    """Return whether a string is the path of a table, and not its name."""
    return Path(table).exists() or len(Path(table).parts) > 1 or bool(Path(table).suffix)


def _start(
    server: JobServer, command: str, upload: Upload, name: str, wait: bool, python: str | None, stream: TextIO | None
) -> int:
    upload.check()
    python = python or (sys.executable if server.is_here else "python")
    _say(f"Sending to {server.address}:\n{upload.listing()}")
    if server.is_open and urlsplit(server.address).hostname not in _LOOPBACK:
        _say(
            f"archsearch: warning: the job server at {server.address} lets everyone who can connect run programs; "
            "start the cluster with RAY_AUTH_MODE=token"
        )
    # With exec, signals to the job and its exit code are those of the search, not of a shell around it.
    job = server.submit(f"exec {shlex.quote(python)} -m archsearch {command}", upload, name)
    if not wait:
        _say(f"Job {job} was submitted.\n{_advice(server, job)}")
        return 0
    _say(f"Job {job} was submitted; Ctrl-C stops waiting, not the job.")
    try:
        code = server.follow(job, stream or sys.stdout)
    except KeyboardInterrupt:
        _say(f"\nJob {job} continues.\n{_advice(server, job)}")
        return 130
    state = server.state(job)
    if state is not None and state.problem:
        _say(state.problem)
    _say(f"Job {job} " + {0: "succeeded.", 130: "was stopped."}.get(code, f"failed with exit code {code}."))
    return code


def _advice(server: JobServer, job: str) -> str:
    ray = "ray" if server.is_open else "RAY_AUTH_MODE=token ray"
    where = f"--address {server.address} {job}"
    return f"Follow:    {ray} job logs --follow {where}\nStop:      {ray} job stop {where}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

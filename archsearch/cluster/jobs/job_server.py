"""Client of a Ray cluster's job server: submits, follows and stops jobs."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from archsearch.cluster.authentication import TOKEN_HINT, authentication_error, use_token
from archsearch.cluster.jobs.upload import Upload
from archsearch.cluster.placement import Node, adds_nodes
from archsearch.credentials import has_credentials
from archsearch.errors import ConfigurationError, RunError, first_line
from archsearch.logger_levels import raised_level

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STOPPED = 130
_CONTACT_SECONDS = 5.0
# After SIGINT a search writes its report and ends its MLflow run, waiting up to a minute for a slow server; by default Ray
# kills a job three seconds after the signal.
_ENVIRONMENT = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "120"}
# Both override the address that Ray's client is given.
_OUTRANKING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_CHATTY = ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
_RETRY_SECONDS = 2.0
_LOST_SECONDS = 60.0


@dataclass(frozen=True)
class JobState:
    """State of a job.

    Args:
        exit_code: Exit code, 130 if the job was stopped; None while it waits or runs.
        problem: Why its command could not be started; empty if it was.
    """

    exit_code: int | None
    problem: str = ""


class JobServer:
    """The job server of a Ray cluster, which runs commands on the cluster's head.

    Args:
        address: `http://HEAD:8265`, or `HEAD:8265`.

    Raises:
        ConfigurationError: No job server answers at the address, or it does not accept the token.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked_address(address)
        self.has_token = use_token()
        self.is_open = _answers_anyone(self.address)
        """Whether it accepts jobs without a token."""
        if not self.is_open and not self.has_token:
            raise ConfigurationError(f"address: the job server at {self.address} asks for {TOKEN_HINT}")
        self._client = _client(self.address)

    @cached_property
    def _nodes(self) -> list[Any]:
        """The living nodes, as Ray describes them; empty if the server does not say."""
        from ray.util.state import list_nodes

        try:
            with _without_environment():
                return [node for node in list_nodes(self.address) if node.state == "ALIVE"]
        except Exception:  # a server without this interface
            return []

    @cached_property
    def is_here(self) -> bool:
        """Whether the cluster's head is this machine; with a local address it may still be the other end of a tunnel."""
        heads = [node for node in self._nodes if node.is_head_node]
        return _is_own(urlsplit(self.address).hostname or "") and any(_is_own(head.node_ip) for head in heads)

    def machines(self) -> list[Node]:
        """Return the living machines of the cluster with all that they have; an empty list if the server does not say."""
        return [Node.of(node.node_ip, *(node.resources_total.get(name, 0.0) for name in ("CPU", "GPU"))) for node in self._nodes]

    def adds_nodes(self) -> bool | None:
        """Return whether the cluster adds nodes itself; None if the server does not say."""
        try:
            answer = self._client._do_request("GET", "/api/cluster_status").json()
            kinds = answer["data"]["clusterStatus"]["autoscalerReport"]["nodeTypeMapping"]
        except Exception:  # a server without this interface, or a monitor that has not begun yet
            return None
        return adds_nodes(kinds) if kinds else None

    def submit(self, command: str, upload: Upload, name: str) -> str:
        """Start a job and return its id.

        Args:
            command: Shell command, run on the head in a folder with the upload's small files, with the uploaded `archsearch`.
            upload: Files to send.
            name: Id of the job, unique on this cluster.

        Raises:
            ConfigurationError: The server refuses the job.
        """
        with tempfile.TemporaryDirectory() as folder, raised_level(logging.ERROR, *_CHATTY):
            package, working = upload.stage(Path(folder))
            environment = {"py_modules": [str(package)], "working_dir": str(working), "env_vars": dict(_ENVIRONMENT)}
            try:
                job: str = self._client.submit_job(entrypoint=command, submission_id=name, runtime_env=environment)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ConfigurationError(f"submit: the job server at {self.address} refuses the job ({reason}).") from error
        return job

    def follow(self, job: str, stream: TextIO) -> int:
        """Copy a job's log to a stream until the job ends, and return its exit code, 130 if it was stopped.

        A lost connection is opened again, without effect on the job.

        Raises:
            RunError: The server has not answered for a minute.
        """
        import aiohttp

        shown = 0

        async def copy() -> None:
            nonlocal shown
            position = 0
            async for text in self._client.tail_job_logs(job):
                stream.write(text[max(0, shown - position) :])
                stream.flush()
                position += len(text)
                shown = max(shown, position)

        lost = 0.0
        while lost < _LOST_SECONDS:
            with raised_level(logging.ERROR, *_CHATTY), suppress(RuntimeError, OSError, aiohttp.ClientError):
                asyncio.run(copy())
            answer = self.state(job)
            if answer is not None and answer.exit_code is not None:
                return answer.exit_code
            lost = lost + _RETRY_SECONDS if answer is None else 0.0
            time.sleep(_RETRY_SECONDS)
        raise RunError(f"submit: the job server at {self.address} does not answer any more; the job {job} may still run.")

    def state(self, job: str) -> JobState | None:
        """Return the state of a job, or None if the server does not answer."""
        from ray.job_submission import JobStatus

        try:
            info = self._client.get_job_info(job)
        except (RuntimeError, OSError):
            return None
        code = {JobStatus.STOPPED: STOPPED, JobStatus.SUCCEEDED: 0}.get(info.status)
        if info.status == JobStatus.FAILED:
            given = info.driver_exit_code
            code = 1 if not given else given if given > 0 else 128 - given
            if given is None:  # the command was not even started
                return JobState(code, info.message or "")
        return JobState(code)

    def stop(self, job: str) -> None:
        """Send a job the signal of Ctrl-C, SIGINT."""
        self._client.stop_job(job)


def _checked_address(address: str) -> str:
    url = address if "://" in address else f"http://{address}"
    if has_credentials(url):
        raise ConfigurationError(
            f"address: expected http://HEAD:8265 without user name, password or token, which Ray would show; got {url!r}. "
            "A cluster asks for Ray's token: set RAY_AUTH_TOKEN."
        )
    parts = urlsplit(url.rstrip("/"))
    try:
        fine = parts.scheme in ("http", "https") and parts.hostname and not parts.path
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        fine, port = False, 0
    if not fine:
        raise ConfigurationError(f"address: expected http://HEAD:8265, the job server of a cluster; got {address!r}.")
    try:
        socket.create_connection((str(parts.hostname), port), timeout=_CONTACT_SECONDS).close()
    except OSError as error:
        raise ConfigurationError(
            f"address: no job server answers at {url} ({error}); start the cluster with ray start --head, "
            "with ray[default] installed there, or open a tunnel: ssh -L 8265:127.0.0.1:8265 HEAD"
        ) from error
    return url.rstrip("/")


def _answers_anyone(address: str) -> bool:
    """Return whether the server answers without a token.

    Raises:
        ConfigurationError: Something else than a job server answers.
    """
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=_CONTACT_SECONDS) as answer:
            if b"ray_version" in answer.read():
                return True
            reason = "it does not name a version of Ray"
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return False
        reason = str(error)
    except (OSError, http.client.HTTPException) as error:
        reason = f"{type(error).__name__}"
    raise ConfigurationError(
        f"address: what answers at {address} is no job server ({reason}); its port is 8265 (the cluster's own is 6379), "
        "and the head needs ray[default]."
    )


def _client(address: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    try:
        with _without_environment(), raised_level(logging.ERROR, *_CHATTY):
            return JobSubmissionClient(address)
    except authentication_error() as error:
        raise ConfigurationError(f"address: the job server at {address} does not accept {TOKEN_HINT}") from error
    except (OSError, RuntimeError) as error:
        if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):  # Ray 2.49 raises it so
            raise ConfigurationError(f"address: the job server at {address} does not accept {TOKEN_HINT}") from error
        raise ConfigurationError(f"address: the job server at {address} cannot be used ({first_line(error)}).") from error


@contextmanager
def _without_environment() -> Iterator[None]:
    """Remove the environment variables that override a given address, inside the context."""
    kept = {name: os.environ.pop(name) for name in _OUTRANKING if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _is_own(host: str) -> bool:
    """Return whether a host is this machine: a machine can bind only its own addresses."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(target)
    except OSError:
        return False
    return True

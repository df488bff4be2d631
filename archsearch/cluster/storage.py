"""Folders on local disks and object stores: opening, atomic writing, and a check that every node shares one."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, first_line

# Object stores show a file when its upload is complete; on other file systems it is written beside its place and renamed.
_OBJECT_STORES = ("s3", "gcs", "abfs")
# Network file systems show a new file to other machines after some seconds.
_PATIENCE = 10.0
# A node that has just joined takes long to start its first process.
_TIMEOUT = 120.0


def open_folder(root: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system and the path of a folder given as a local path or a URI, such as `s3://bucket/folder`."""
    if "://" in root:
        files, path = pafs.FileSystem.from_uri(root)
        return files, path.rstrip("/")
    return pafs.LocalFileSystem(), str(Path(root).expanduser().absolute())


def write_atomically(files: pafs.FileSystem, path: str, content: bytes | pa.Buffer, *, durable: bool) -> None:
    """Write a file so that readers see all of it or nothing.

    Args:
        files: File system to write to.
        path: Name of the file; its folder exists.
        content: Content of the file.
        durable: Whether a local file must survive a power cut, and not only the death of this process.

    Raises:
        OSError: The file cannot be written.
        ArrowException: As above, from pyarrow.
    """
    if isinstance(files, pafs.LocalFileSystem):
        with written_atomically(Path(path), durable=durable) as temporary:
            temporary.write_bytes(content)
        return
    target = path if files.type_name in _OBJECT_STORES else f"{path}.{uuid.uuid4().hex}.tmp"
    _write(files, target, content)
    if target != path:
        files.move(target, path)


def check_storage(storage: str | Path) -> None:
    """Raise ConfigurationError unless this process and every node of the connected cluster can read and write the storage.

    The driver writes a file; a task on every other node reads it and writes an answer beside it, which the driver reads. The
    files are removed again.

    Args:
        storage: Folder of runs and ledger: a local path, or a URI that pyarrow knows, such as `s3://bucket/folder`.

    Raises:
        ConfigurationError: The storage cannot be written, or a node does not see the driver's file; the message names the node.
    """
    nodes = _other_nodes()
    if not nodes and "://" not in str(storage):
        return  # this process makes the run's folder
    try:
        files, base = open_folder(str(storage))
        files.create_dir(base, recursive=True)
        token = f"{base}/.storage-check-{uuid.uuid4().hex}"
        _write(files, token, b"driver")
    except (OSError, pa.ArrowException) as error:
        raise ConfigurationError(
            f"storage: cannot write to {storage} ({first_line(error)}); choose one that can be written."
        ) from error
    try:
        _ask(nodes, str(storage), token)
        _check_answers(nodes, files, token, str(storage))
    finally:
        for path in (token, *(f"{token}-{node['NodeID']}" for node in nodes)):
            _remove(files, path)


def _other_nodes() -> list[dict[str, Any]]:
    """Return the nodes that are alive, without the driver's."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    return [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]


def _ask(nodes: list[dict[str, Any]], storage: str, token: str) -> None:
    """Let every node read the token file and write an answer.

    Raises:
        ConfigurationError: A node cannot read or write, or does not answer.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = ray.remote(num_cpus=0, max_retries=0)(_make_probe())
    asked = [
        probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            storage, token, f"{token}-{node['NodeID']}"
        )
        for node in nodes
    ]
    deadline = time.monotonic() + _TIMEOUT
    for node, answer in zip(nodes, asked, strict=True):
        try:
            problem = ray.get(answer, timeout=max(1.0, deadline - time.monotonic()))
        except ray.exceptions.GetTimeoutError as error:
            raise ConfigurationError(f"storage: {_name(node)} did not answer within {_TIMEOUT:.0f} s; is it alive?") from error
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigurationError(f"storage: {_name(node)} cannot be asked whether it sees {storage} ({reason}).") from error
        if problem:
            raise ConfigurationError(_blind(node, storage, problem))


def _make_probe() -> Callable[[str, str, str], str]:
    """Return the function that a node runs; it is pickled by value, so that it also runs on nodes without archsearch."""
    patience = _PATIENCE

    def probe(storage: str, token: str, answer: str) -> str:
        """Return the problem, or an empty string."""
        import importlib.util
        import time

        import pyarrow.fs

        if importlib.util.find_spec("archsearch") is None:
            return "archsearch is not installed there"
        try:
            local = pyarrow.fs.LocalFileSystem()
            files = pyarrow.fs.FileSystem.from_uri(storage)[0] if "://" in storage else local
            deadline = time.monotonic() + patience
            while files.get_file_info(token).type == pyarrow.fs.FileType.NotFound:
                if time.monotonic() > deadline:
                    return "what this machine writes there is not seen"
                time.sleep(0.5)
            with files.open_output_stream(answer) as stream:
                stream.write(b"node")
        except (OSError, pyarrow.ArrowException) as error:
            return str(error).splitlines()[0]
        return ""

    return probe


def _check_answers(nodes: list[dict[str, Any]], files: pafs.FileSystem, token: str, storage: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    for node in nodes:
        while files.get_file_info(f"{token}-{node['NodeID']}").type == pafs.FileType.NotFound:
            if time.monotonic() > deadline:
                raise ConfigurationError(_blind(node, storage, "what it writes there is not seen here"))
            time.sleep(0.5)


def _blind(node: dict[str, Any], storage: str, problem: str) -> str:
    if "archsearch" in problem:
        return f"storage: {_name(node)}: {problem}; install it on every node, or use archsearch submit, which ships it."
    return (
        f"storage: {_name(node)} does not share {storage} ({problem}); "
        "choose a folder that is mounted on every node, such as one of NFS."
    )


def _name(node: dict[str, Any]) -> str:
    return f"the node {node['NodeManagerAddress']} ({node['NodeID'][:8]})"


def _write(files: pafs.FileSystem, path: str, content: bytes | pa.Buffer) -> None:
    with files.open_output_stream(path) as stream:
        stream.write(content)


def _remove(files: pafs.FileSystem, path: str) -> None:
    try:
        files.delete_file(path)
    except (OSError, pa.ArrowException):
        return  # a node did not get as far as writing it

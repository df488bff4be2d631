"""A second copy of the state that Ray Tune keeps of an experiment, for `Tuner.restore` after a kill.

Tune writes `experiment_state-SESSION.json` in place, and copies it in place to the storage. If it is killed meanwhile, the file
ends in the middle: `Tuner.restore` then logs "Failed to restore the run state" and begins the whole experiment again (seen with
Ray 2.60). A searcher is saved just after that file, when it is complete; so the copy is made there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.fs as pafs
from ray.tune.execution.tune_controller import TuneController

from archsearch.atomic_file import written_atomically
from archsearch.cluster.storage import open_folder, write_atomically
from archsearch.errors import RunError

_COPY = ".complete"


def keep_complete_state(folder: str, session: str) -> None:
    """Copy the state of an experiment that Tune has just written.

    Args:
        folder: Folder that Tune saves into.
        session: Tune's name of the process's part of the experiment.
    """
    state = Path(folder, TuneController.CKPT_FILE_TMPL.format(session))
    if state.exists():
        with written_atomically(state.with_name(state.name + _COPY), durable=False) as temporary:
            temporary.write_bytes(state.read_bytes())


def mend_experiment(path: str) -> bool:
    """Put the last complete state of an experiment back in place, if Tune was killed while it wrote one.

        if tune.Tuner.can_restore(path):
            searchers.mend_experiment(path)
            tuner = tune.Tuner.restore(path, trainable=train)

    At most the trials since the state before are forgotten, some seconds of the experiment. A complete state is left as it is.

    Args:
        path: Folder of the experiment, or its URI, as `Tuner.restore` gets it.

    Returns:
        Whether a state was put back.

    Raises:
        RunError: The newest state is not complete, and there is no complete copy.
    """
    files, folder = open_folder(str(path))
    pattern = TuneController.CKPT_FILE_TMPL.split("{")[0]
    entries = files.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    states = sorted(entry.path for entry in entries if entry.base_name.startswith(pattern) and entry.extension == "json")
    if not states or _content(files, states[-1]) is not None:
        return False
    content = _content(files, states[-1] + _COPY)
    if content is None:
        raise RunError(
            f"{states[-1]}: expected the state of an experiment of Ray Tune; got a file that ends in the middle, and no complete "
            "copy beside it. Start a new experiment; candidates that a ledger knows are not evaluated again."
        )
    write_atomically(files, states[-1], content, durable=True)
    return True


def _content(files: pafs.FileSystem, path: str) -> bytes | None:
    """Return the content of a state; None if it is not there or not complete."""
    try:
        with files.open_input_stream(path) as stream:
            content = bytes(stream.read())
        json.loads(content)
    except (FileNotFoundError, ValueError):
        return None
    return content

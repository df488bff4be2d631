"""The cache folder, for files that can be computed or downloaded again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder named by the environment variable ARCHSEARCH_CACHE, else ~/.cache/archsearch.

    It need not exist. Without a home folder it lies in the system's folder for temporary files.
    """
    named = os.environ.get("ARCHSEARCH_CACHE")
    if named:
        return Path(named).expanduser()
    try:
        return Path.home() / ".cache" / "archsearch"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "archsearch"

"""Runs the archsearch command on the head of a cluster: ray submit CLUSTER.yaml launch/archsearch_job.py -- run --storage ...

`ray submit` copies this one file; archsearch itself is installed by the setup commands of the launch file.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Run the command with the arguments of this script and return its exit code."""
    # `ray submit` sets it to 1, which every process started from here would inherit.
    os.environ.pop("OMP_NUM_THREADS", None)
    # Connect to the cluster of this head instead of starting a new Ray.
    os.environ.setdefault("RAY_ADDRESS", "auto")
    signal.signal(signal.SIGHUP, end_without_terminal)
    from archsearch.platform.command_line import main as archsearch

    return archsearch(sys.argv[1:])


def end_without_terminal(number: int, frame: Any) -> None:
    """Interrupt the search as Ctrl-C does when the connection breaks, so that it can be resumed; redirect output to a file."""
    with Path("~/archsearch_job.log").expanduser().open("a") as log:
        os.dup2(log.fileno(), 1)  # writing to the lost terminal would raise an error
        os.dup2(log.fileno(), 2)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())

"""A command whose memory the system limits."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|"
_LIMIT = 6_000_000_000  # of addresses: torch takes most of half of it for itself


@pytest.mark.slow
def test_a_network_that_does_not_fit_is_an_error_of_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archsearch", "train", CELL, "--dataset", "digits", "--size", "channels=8192", "--quiet"]
    done = subprocess.run(
        [*command, "--device", "cpu", "--output", tmp_path / "final"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},  # threads reserve addresses, too
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("archsearch: memory: this machine or its GPU has too little of it (")
    assert line.endswith("Take a smaller batch_size, a batch in parts (accumulate), fewer channels, or fewer images.")

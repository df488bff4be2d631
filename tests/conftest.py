"""What all tests share: the folder of real data, and one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

pytest.register_assert_rewrite("archsearch.spaces.conformance")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the benchmark tables and images."""
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        pytest.skip("ARCHSEARCH_DATA is unset; set it to the folder with the benchmark tables")
    return Path(folder)

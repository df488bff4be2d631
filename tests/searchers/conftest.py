"""What the tests of searchers share: one Ray for those whose surrogates live in actors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from archsearch import cluster


@pytest.fixture(scope="package")
def two_cpus() -> Iterator[None]:
    """A local Ray of two CPUs."""
    cluster.connect(num_cpus=2)
    yield
    ray.shutdown()

"""What the tests of searchers share: one Ray for those whose surrogates live in actors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from archsearch import cluster
from archsearch.searchers.conformance import SharedPools


@pytest.fixture(scope="package")
def two_cpus() -> Iterator[None]:
    """A local Ray of two CPUs."""
    cluster.connect(num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pools(two_cpus: None) -> Iterator[SharedPools]:
    """Pools that the searches of a file share, one for each kind of space."""
    with SharedPools() as made:
        yield made

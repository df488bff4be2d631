"""Fixtures of the tests of searchers: pools of surrogates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archsearch.searchers.conformance import SharedPools


@pytest.fixture(scope="module")
def pools(shared_ray: None) -> Iterator[SharedPools]:
    """Pools that the searches of a file share, one for each kind of space."""
    with SharedPools() as made:
        yield made

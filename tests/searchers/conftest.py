"""Fixtures of the tests of searchers: pools of surrogates, and a folder of trained models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archsearch.searchers.conformance import SharedPools


@pytest.fixture(scope="module")
def pools(shared_ray: None) -> Iterator[SharedPools]:
    """Pools that the searches of a file share, one for each kind of space."""
    with SharedPools() as made:
        yield made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trained models that the searches of a file share."""
    return tmp_path_factory.mktemp("cache")

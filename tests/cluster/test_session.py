"""The connection to Ray: what is wrong with an address is said."""

from __future__ import annotations

import pytest

from archsearch.cluster import connect
from archsearch.errors import ConfigurationError


@pytest.mark.parametrize("address", ["no address", "host:port:path"])
def test_address_without_a_cluster_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigurationError, match=f"address: no Ray cluster answers at {address}"):
        connect(address)


def test_environment_names_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "no address")
    with pytest.raises(ConfigurationError, match="address: no Ray cluster answers at no address"):
        connect()

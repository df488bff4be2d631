"""The connection to Ray: what is wrong with an address is said, and at once."""

from __future__ import annotations

import pytest

from archsearch.cluster import connect
from archsearch.errors import ConfigurationError


@pytest.mark.parametrize("address", ["no address", "host:port:path", "ray://127.0.0.1:10001", ":6379"])
def test_what_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigurationError, match=f"address: expected auto or HOST:PORT .* got '{address}'"):
        connect(address)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1:99999"])
def test_an_address_without_a_cluster_is_refused_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigurationError, match=f"address: no Ray cluster answers at {address} .*ray start --head"):
        connect()

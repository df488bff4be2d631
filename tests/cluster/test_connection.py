"""The connection to Ray: what is wrong with an address is said, and at once."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from pathlib import Path

import pytest

from archsearch.cluster import connect
from archsearch.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("no_ray")


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


def test_a_machine_that_cannot_start_ray_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", "/dev/null")
    with pytest.raises(ConfigurationError, match="address: Ray could not be started on this machine .*/dev/null"):
        connect(num_cpus=1)


@pytest.mark.usefixtures("ray_cluster")
def test_a_ray_of_this_machine_listens_on_loopback_alone() -> None:
    import ray

    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    listening = listeners_of_this_session()
    assert len(listening) >= 4
    assert {address for address in listening if address not in ("127.0.0.1", "::1")} == set()


def listeners_of_this_session() -> list[str]:
    """Return the addresses on which this process and its descendants listen (Linux)."""
    mine = {f"socket:[{inode}]": address for inode, address in listening_sockets()}
    found = []
    for process in descendants(os.getpid()):
        with suppress(OSError):  # it has ended meanwhile
            for link in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError, KeyError):  # closed meanwhile, or no listening socket
                    found.append(mine[str(link.readlink())])
    return found


def listening_sockets() -> list[tuple[str, str]]:
    rows = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                rows.append((fields[9], readable(fields[1].split(":")[0])))
    return rows


def readable(hexadecimal: str) -> str:
    """Return an address of /proc/net: words of four bytes, each in the order of the processor."""
    words = [bytes.fromhex(hexadecimal[start : start + 8])[::-1] for start in range(0, len(hexadecimal), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def descendants(process: int) -> list[int]:
    children: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            children += map(int, path.read_text().split())
    return [process, *(deeper for child in children for deeper in descendants(child))]

"""How much of a process's connections one address may have, and how long a request may take."""

from __future__ import annotations

import pytest

from app.http.hot.connections import BODY_BYTES_PER_S, FILES_KEPT_MAX, REQUEST_S, Connections, Progress, Shares
from app.limits.addresses import Addresses


@pytest.mark.parametrize(
    ("received", "head", "allowed_s"),
    [
        (10_000, True, REQUEST_S),
        (10_000, False, REQUEST_S + 10_000 / BODY_BYTES_PER_S),
        (16 << 20, False, REQUEST_S + (16 << 20) / BODY_BYTES_PER_S),
    ],
)
def test_bytes_that_drip_are_not_enough(received: int, head: bool, allowed_s: float) -> None:
    """A byte every few seconds keeps a connection for a while, not for ever; a large upload has its time."""
    progress = Progress(0.0, allowed_s - 1, received)
    assert not progress.is_late(allowed_s - 0.5, head=head)
    progress.add(allowed_s, 1)
    assert progress.is_late(allowed_s + 0.5, head=head)


def test_a_thousand_connections_of_one_address_are_two_hundred() -> None:
    connections = Connections(Addresses(trusted="10.0.0.1"), 200, 20_000)
    entered = [connections.enter("192.0.2.7") for _ in range(1_000)]
    assert sum(each is not None for each in entered) == connections.open == 200
    assert connections.enter("192.0.2.8") is not None
    assert all(connections.enter("10.0.0.1") is not None for _ in range(1_000)), "a proxy stands for many"
    for each in entered:
        if each is not None:
            connections.leave(each)
    assert connections.open == 1_001


def test_an_address_of_ipv6_is_its_network() -> None:
    connections = Connections(Addresses(), 2, 20_000)
    assert connections.enter("2001:db8:1:2::1") == connections.enter("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert connections.enter("2001:db8:1:2::3%eth0") is None
    assert connections.enter("2001:db8:1:3::1") is not None
    shares = Shares(Addresses(), 1)
    assert [shares.take(host) is None for host in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [
        False,
        True,
        False,
    ]


def test_the_last_descriptors_are_not_for_everybody() -> None:
    connections = Connections(Addresses(), 200, 1_024)
    assert connections.ordinary_max == 1_024 - FILES_KEPT_MAX
    for _ in range(connections.ordinary_max):
        connections.enter("127.0.0.1")
    assert not connections.is_full
    connections.enter("127.0.0.1")
    assert connections.is_full


def test_a_share_is_given_back() -> None:
    shares = Shares(Addresses(), 2)
    taken = [shares.take("192.0.2.7") for _ in range(3)]
    assert taken == ["192.0.2.7", "192.0.2.7", None]
    shares.give("192.0.2.7")
    assert shares.take("192.0.2.7") is not None
    assert shares.take("127.0.0.1") == ""

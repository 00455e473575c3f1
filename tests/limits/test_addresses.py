"""Whom an address stands for, and whom limits per address leave alone."""

from __future__ import annotations

import pytest

from app.limits.addresses import Addresses, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%another", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
        ("192.0.2.7:8080", "unknown"),
        ("", ""),
    ],
)
def test_an_address_stands_for_whoever_has_it(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("203.0.113.9", ""),
        ("::ffff:203.0.113.9", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("no address", "unknown"),
        ("unknown", "unknown"),
        ("2001:db8:1:2::9%zone", "2001:db8:1:2::/64"),
        ("192.0.2.7, 192.0.2.8", "unknown"),
    ],
)
def test_this_machine_and_the_free_networks_are_not_counted(host: str, counted: str) -> None:
    assert Addresses(trusted="10.0.0.0/8", free="203.0.113.0/24, 198.51.100.1").counted(host) == counted


def test_this_machine_is_counted_where_a_trusted_proxy_runs_on_it() -> None:
    addresses = Addresses(trusted="127.0.0.1")
    assert addresses.counted("127.0.0.1") == "127.0.0.1"
    assert addresses.is_proxy("127.0.0.1")
    assert not addresses.is_proxy("127.0.0.2")

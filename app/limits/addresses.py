"""Whom a client's address stands for, and whether limits per address count it.

An IPv4 address is one client, an IPv6 address is its /64: addresses in it are as many as anyone likes. Not counted are
this machine itself, unless a trusted proxy runs on it, and the networks of TIKETI_DOOR_FREE_NETWORKS.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

IPV6_NETWORK_BITS = 64
LOOPBACK = 127  # how an IPv4 address of this machine begins
UNKNOWN = "unknown"  # whatever a proxy says that is no address: all of them are one client, or each would be free
CACHED_MAX = 4_096  # addresses that were looked at lately

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Addresses:
    """`trusted`, `free`: comma-separated addresses and networks, as in the settings."""

    def __init__(self, trusted: str = "", free: str = "") -> None:
        self._trusted = _networks(trusted)
        self._free = _networks(free)
        self.counted = lru_cache(CACHED_MAX)(self._counted)
        self.is_proxy = lru_cache(CACHED_MAX)(self._is_proxy)

    def _counted(self, host: str) -> str:
        """What the address is counted as; empty if it is not, or there is none, as of a client on a unix socket."""
        if not self._free and _is_ipv4_of_others(host):
            return host
        address = _address(host)
        if address is None:
            return UNKNOWN if host else ""
        if _is_in(address, self._free):
            return ""
        if address.is_loopback and not _is_in(address, self._trusted):
            return ""
        return _network(address) if ":" in host else host

    def _is_proxy(self, host: str) -> bool:
        """Whether what it says of its clients' addresses is believed."""
        address = _address(host)
        return address is not None and _is_in(address, self._trusted)


def network_of(host: str) -> str:
    """What an address is counted as: an IPv6 address as its network; whatever is none as one client, "" as nobody."""
    address = _address(host)
    if address is None:
        return UNKNOWN if host else ""
    return _network(address)


def _network(address: Address) -> str:
    return str(address if address.version == 4 else ip_network((address, IPV6_NETWORK_BITS), strict=False))


def _address(host: str) -> Address | None:
    """The address without its zone, which may be any text; of an IPv4 address written as one of IPv6, the former."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_ipv4_of_others(host: str) -> bool:
    """Whether it is an IPv4 address, not of this machine: most are, and this takes a tenth of the time."""
    try:
        return inet_pton(AF_INET, host)[0] != LOOPBACK
    except (OSError, ValueError):
        return False


def _networks(text: str) -> list[Network]:
    return [ip_network(part.strip()) for part in text.split(",")] if text else []


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)

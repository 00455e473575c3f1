"""Whether a buyer may be sent to an address that a payment provider gave."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
URL_MAX = 2000
_NEVER = frozenset('"<>\\^`{|}')


def why_no_redirect(url: str, origins: Collection[str], *, https_only: bool) -> str:
    """What is wrong with the address; empty if nothing is.

    It must be https and of one of the `origins` that the provider declared. Unless `https_only`, plain http is allowed
    to this very machine, for development.
    """
    if len(url) > URL_MAX or not all("!" <= character <= "~" and character not in _NEVER for character in url):
        return "it is too long or has characters that no address has"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "it is not an address"
    local = parts.scheme == "http" and host in LOOPBACK and not https_only
    if parts.scheme != "https" and not local:
        return "it is not https"
    if f"{parts.scheme}://{parts.netloc}" not in origins:
        return f"it leads to {host}, which is none of the addresses that the provider declared"
    return ""

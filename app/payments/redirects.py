"""Checks the address to which a payment provider wants to redirect a buyer."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
URL_MAX = 2000
_NEVER = frozenset('"<>\\^`{|}')


def why_no_redirect(url: str, origins: Collection[str], *, https_only: bool) -> str:
    """The reason to refuse the address; empty if it is allowed.

    It must be https and have one of the `origins` that the provider declared. Unless `https_only`, plain http to
    localhost is allowed too, for development.
    """
    if len(url) > URL_MAX or not all("!" <= character <= "~" and character not in _NEVER for character in url):
        return "it is too long or has characters that are not allowed in an address"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "it is not an address"
    local = parts.scheme == "http" and host in LOOPBACK and not https_only
    if parts.scheme != "https" and not local:
        return "it is not https"
    if f"{parts.scheme}://{parts.netloc}" not in origins:
        return f"it leads to {host}, which is not one of the origins that the provider declared"
    return ""

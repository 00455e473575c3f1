"""Which names this server answers to.

A page elsewhere can let its own name lead to this machine (DNS rebinding) and then read, in a visitor's browser, what
is shown to this machine only, such as /metrics. Such a name has a dot and is not ours. Numbers, and names without a
dot, cannot be had that way.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")  # a name or an address, and a port


def is_ours(host: str, public_url: str) -> bool:
    """Whether the value of a Host header names `public_url`'s host or this machine."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].lower().removesuffix(".")
    if name == (urlsplit(public_url).hostname or "") or "." not in name.removesuffix(".localhost"):
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

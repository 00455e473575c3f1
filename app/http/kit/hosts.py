"""Refuses requests that name another host than ours."""

from __future__ import annotations

from functools import lru_cache

from app.http.kit.cookies import Headers
from app.http.kit.problems import Problem
from app.limits.hosts import is_ours

HOST_CHARS_MAX = 300
HOSTS_KEPT = 1_024


def check_host(headers: Headers, public_url: str) -> None:
    """Raises Problem 421 for a request that names a host that is neither in `public_url` nor this machine's own."""
    for name, value in headers:
        if name == b"host" and not is_our_host(value, public_url):
            raise Problem("host_unknown", host=value[:HOST_CHARS_MAX].decode("latin-1"))


def is_our_host(value: bytes, public_url: str) -> bool:
    """Whether the value of a Host header names us, or nobody."""
    return len(value) <= HOST_CHARS_MAX and _is_ours(value, public_url)


@lru_cache(HOSTS_KEPT)
def _is_ours(value: bytes, public_url: str) -> bool:
    return not value or is_ours(value.decode("latin-1"), public_url)

"""Addresses of stores and other servers: which we take, the password of one read from a file, and how one is shown.

Nothing here ever puts a password into a message.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

DATABASES = ("sqlite+aiosqlite:///", "postgresql://", "postgres://", "postgresql+asyncpg://")
POSTGRES_OPTIONS = ("host", "port", "ssl", "sslmode", "pooler")  # what may follow the ?
POOLERS = ("pgbouncer",)
HIDDEN = "***"
URL_CHARS_MAX = 2_000


def why_not(url: str, allowed: tuple[str, ...]) -> str:
    """Why this address cannot be used, or nothing."""
    if not url.startswith(allowed):
        scheme, found, _ = url.partition("://")
        return f"{f'{scheme}://…' if found else '…'} must begin with one of {', '.join(allowed)}"
    return ""


def why_not_fetched(url: str) -> str:
    """Why nothing is asked of this address, or nothing."""
    if not (url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_CHARS_MAX):
        return "it has characters that no address has"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no address"
    if not host or parts.username is not None or parts.password is not None:
        return "it must name a host, and no user"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host)):
        return ""
    return "it must begin with https://, or name this machine"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def why_no_networks(text: str) -> str:
    """What is wrong with a comma-separated list of addresses and networks, or nothing."""
    for part in text.split(",") if text else ():
        try:
            ip_network(part.strip(), strict=True)
        except ValueError:
            return f"{text!r} names {part.strip()!r}, which is no address and no network such as 10.0.0.0/8"
    return ""


def why_not_database(url: str) -> str:
    """The same for DATABASE_URL, with what a PostgreSQL needs."""
    wrong = why_not(url, DATABASES)
    if wrong or url.startswith("sqlite"):
        return wrong
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "… has no port that is a number; what is special in a password must be written as %40 for @, %2F for /"
    if not parts.path.strip("/"):
        return "… names no database: postgresql://user:password@host:5432/database"
    strange = sorted({name for name, _ in parse_qsl(parts.query)} - set(POSTGRES_OPTIONS))
    if strange:
        return f"… may have {', '.join(POSTGRES_OPTIONS)} behind its ?, not {strange[0]}"
    for name, value in parse_qsl(parts.query):
        if name == "pooler" and value not in POOLERS:
            return f"… may say pooler={' or '.join(POOLERS)}, not pooler={value}"
    return ""


def with_password(url: str, password: str) -> str:
    """The address with this password for the user it names."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))


def shown(url: str) -> str:
    """The address as anybody may read it."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{colon}{HIDDEN if colon else ''}{at}{host}"
    return urlunsplit(parts._replace(netloc=netloc)) if at else url

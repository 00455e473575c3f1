"""The addresses of the stores: which ones we take, the password of one read from a file, and how one is shown.

Nothing here ever puts a password into a message.
"""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

DATABASES = ("sqlite+aiosqlite:///", "postgresql://", "postgres://", "postgresql+asyncpg://")
POSTGRES_OPTIONS = ("host", "port", "ssl", "sslmode")  # what may follow the ?
HIDDEN = "***"


def why_not(url: str, allowed: tuple[str, ...]) -> str:
    """Why this address cannot be used, or nothing."""
    if not url.startswith(allowed):
        scheme, found, _ = url.partition("://")
        return f"{f'{scheme}://…' if found else '…'} must begin with one of {', '.join(allowed)}"
    return ""


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

"""The one reader of REDIS_URL: what it says becomes a `RedisAddress`, from which every client of ours is made.

An address that cannot be used is refused with a sentence that never has a password in it. As text, an address shows
none either.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from config.urls import HIDDEN, why_not

PORT, SENTINEL_PORT = 6379, 26379
SENTINEL = ("sentinel", "sentinels")
CLUSTER = ("redis+cluster", "rediss+cluster")
SCHEMES = ("redis", "rediss", "unix", *SENTINEL, *CLUSTER)
BY_TLS = ("rediss", "sentinels", "rediss+cluster")
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_cert_reqs", "ssl_check_hostname")  # named as redis-py names them
CERT_REQS = ("required", "optional", "none")
BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
DATABASES_MAX = 10_000
_NODE = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.%]+)\]|(?P<host>[^\[\]:@/,\s]+))(?::(?P<port>[0-9]{1,5}))?")

Node = tuple[str, int]  # host and port


class RedisUrlError(ValueError):
    """The address cannot be used; the message says why, after what may be shown of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is: a socket's `path`; a node; nodes of a cluster; or the sentinels that know which node is the
    master of `service`.
    `tls`: how whoever answers is known, by redis-py's names; None: no TLS."""

    scheme: str = "unix"
    nodes: tuple[Node, ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: Mapping[str, str | bool] | None = None

    def __str__(self) -> str:
        """The address as anybody may read it."""
        user = f"{self.username}{f':{HIDDEN}' if self.password else ''}"
        nodes = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.nodes)
        database = f"{'?db=' if self.path else '/'}{self.database}" if self.database else ""
        service = f"/{self.service}" if self.service else ""
        return f"{self.scheme}://{f'{user}@' if user else ''}{nodes}{self.path}{service}{database}"

    @property
    def is_cluster(self) -> bool:
        return self.scheme in CLUSTER

    @property
    def unreadable(self) -> Sequence[str]:
        """The files of TLS that are named and cannot be read, each with its option."""
        named = [(option, str((self.tls or {}).get(option, ""))) for option in TLS_FILES]
        return [f"{option}={file}" for option, file in named if file and not os.access(file, os.R_OK)]


def read_redis_url(url: str) -> RedisAddress:
    """What the address says. Raises RedisUrlError."""
    wrong = why_not(url, tuple(f"{scheme}://" for scheme in SCHEMES))
    if wrong:
        raise RedisUrlError(wrong)
    scheme = url.partition("://")[0]
    try:
        return _read(scheme, urlsplit(url))
    except ValueError as error:  # urlsplit's own says nothing of the password
        raise RedisUrlError(f"{scheme}://… {error}") from None


def _read(scheme: str, parts: SplitResult) -> RedisAddress:
    if parts.fragment or "#" in parts.netloc:
        raise ValueError("has a # in it, which is written as %23 in a password")
    user, _, hosts = parts.netloc.rpartition("@")
    username, _, password = user.partition(":")
    options = _options(scheme, parts.query)
    nodes: tuple[Node, ...] = ()
    path, service, database = "", "", options.get("db", "0")
    if scheme == "unix":
        path = unquote(parts.path)
        if hosts or not path.strip("/"):
            raise ValueError("names no socket: unix:///run/redis/redis.sock")
    elif scheme in SENTINEL:
        nodes = tuple(_node(each, SENTINEL_PORT) for each in hosts.split(","))
        service, _, number = parts.path.strip("/").partition("/")
        service, database = unquote(service), number or database
        if not service:
            raise ValueError("names no master after the sentinels: sentinel://a,b,c/mymaster")
    elif scheme in CLUSTER:
        nodes, database = tuple(_node(each, PORT) for each in hosts.split(",")), parts.path.strip("/") or database
        if database.strip("0"):
            raise ValueError("names a database, and a cluster has only the one")
    else:
        nodes, database = (_node(hosts, PORT),), parts.path.strip("/") or database
    if not (database.isascii() and database.isdigit() and int(database) < DATABASES_MAX):
        raise ValueError("names a database that is no number, as /1 is")
    return RedisAddress(
        scheme=scheme,
        nodes=nodes,
        path=path,
        service=service,
        sentinel_username=options.get("sentinel_username", ""),
        database=int(database),
        username=unquote(username),
        password=unquote(password),
        tls=_tls(options) if scheme in BY_TLS else None,
    )


def _node(text: str, port: int) -> Node:
    """`host`, `host:port` or `[::1]:port`."""
    found = _NODE.fullmatch(text)
    if found is None or not 0 < int(found["port"] or port) < 65_536:
        raise ValueError("has no host with a port that is a number; a password has %40 for @, %2F for / and %3F for ?")
    return found["ipv6"] or found["host"], int(found["port"] or port)


def _options(scheme: str, query: str) -> dict[str, str]:
    allowed = (
        "db",
        *(TLS_OPTIONS if scheme in BY_TLS else ()),
        *(("sentinel_username",) if scheme in SENTINEL else ()),
    )
    given = dict(parse_qsl(query, keep_blank_values=True))
    if set(given) - set(allowed):  # not named: it may be the rest of a password
        raise ValueError(f"may have {', '.join(allowed)} behind its ?, and nothing else")
    return given


def _tls(options: Mapping[str, str]) -> dict[str, str | bool]:
    """What redis-py is told of TLS. Without a word about it, who answers must have a certificate for its name."""
    reqs = options.get("ssl_cert_reqs", "required")
    if reqs not in CERT_REQS:
        raise ValueError(f"may say ssl_cert_reqs={', '.join(CERT_REQS)}, and nothing else")
    check = options.get("ssl_check_hostname", str(reqs == "required")).lower()
    if check not in BOOLS or (BOOLS[check] and reqs == "none"):
        raise ValueError("may say ssl_check_hostname=true or false, and not true with ssl_cert_reqs=none")
    if ("ssl_certfile" in options) != ("ssl_keyfile" in options):
        raise ValueError("names ssl_certfile and ssl_keyfile together or not at all")
    files = {option: options[option] for option in TLS_FILES if option in options}
    return {**files, "ssl_cert_reqs": reqs, "ssl_check_hostname": BOOLS[check]}

"""Every setting of the product, read once from the environment and checked before anything starts.

The only reader of the environment. A value that cannot be used ends the start with a sentence naming
the variable, the value and what it takes. Units are last in names.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, inspect

from config.urls import why_no_networks, why_not, why_not_database, with_password

WEB = ("http://", "https://")
SOCKET_PATH_MAX = 100  # a unix socket's path may hold 107 bytes
TOKEN_CHARS_MIN = 16
PLAIN_NAMES = ("HOST", "PORT", "WEB", "WORKERS", "REDIS_URL", "DATABASE_URL")  # the rest begin with TIKETI_


class SettingsError(ValueError):
    """A setting is invalid; the message has its name, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. The defaults suit one machine."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    web: Annotated[int, Meta(ge=1, le=64)] = 1
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    data_dir: Path = Path("data")
    redis_url: str = field(default="", repr=False)  # may hold a password
    database_url: str = field(default="", repr=False)
    database_password_file: Path | None = None  # a file with the password, if DATABASE_URL does not contain it
    # per process, for requests; a PostgreSQL has four more for lanes and long reads
    database_connections_max: Annotated[int, Meta(ge=1, le=100)] = 8
    database_connect_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0
    database_statement_s: Annotated[float, Meta(ge=0.1, le=600)] = 10.0
    database_lock_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0  # how long a transaction waits for another one
    public_url: str = ""  # where buyers reach us: https makes cookies Secure, and payment pages lead back there
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "pretty", "json"] = "auto"  # auto: pretty on a terminal, JSON otherwise
    demo: bool = True  # create the demo events and accounts at start
    tick_ms: Annotated[int, Meta(ge=10, le=1000)] = 100  # how often a worker lets people in
    # people who join within this time after the opening get numbers in random order; 0: in order of arrival
    opening_draw_s: Annotated[float, Meta(ge=0, le=30)] = 2.0
    presence_window_s: Annotated[int, Meta(ge=1, le=3600)] = 120
    claim_window_s: Annotated[int, Meta(ge=1, le=3600)] = 120
    pass_s: Annotated[int, Meta(ge=1, le=86_400)] = 600
    hold_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    # how long seats offered from the waiting list are held; never shorter than hold_s
    waitlist_offer_s: Annotated[int, Meta(ge=1, le=86_400)] = 900
    presence_flush_s: Annotated[float, Meta(ge=0.05, le=60)] = 5.0
    stream_life_s: Annotated[int, Meta(ge=5, le=86_400)] = 900
    fast_path: bool = True  # answer the simplest position requests and joins before ASGI
    streams_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 18_000  # open streams per web process
    sockets_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # open WebSockets of seat maps per web process
    socket_origins: str = ""  # of other sites whose pages may open them, separated by spaces
    lane_wait_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0  # how long a request waits for the allocator's answer
    # how many people may join one event's waiting list from one address within a day
    waitlist_per_address_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    seats_per_buyer_max: Annotated[int, Meta(ge=1, le=100)] = 8
    worker_poll_s: Annotated[float, Meta(ge=0.001, le=1)] = 0.01  # how often arq looks for a wake-up
    session_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 12 * 3600
    logins_per_account_max: Annotated[int, Meta(ge=1, le=10_000)] = 10  # attempts that fail within login_window_s
    logins_per_address_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    registrations_per_address_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 100  # within login_window_s
    login_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    # passwords that a web process checks at the same time: 64 MiB each
    hashes_at_once: Annotated[int, Meta(ge=1, le=64)] = 2
    trusted_proxies: str = ""  # addresses or networks, comma-separated, whose X-Forwarded-For is believed
    payment_providers: str = "simulator"  # by name, separated by spaces; of two with the same method, the first
    payment_providers_refund_only: str = ""  # take no new payments; old ones are still looked up, refunded, audited
    pay_webhook_url: str = ""  # where the simulated payment provider sends its webhooks; empty: this machine's web
    seat_file_bytes_max: Annotated[int, Meta(ge=1024, le=256 << 20)] = 16 << 20  # an uploaded seat map
    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # a port of this process's own for /metrics; 0: none
    metrics_host: str = "127.0.0.1"
    metrics_token: str = ""  # what a reader of /metrics must send as a Bearer token
    metrics_dir: Path | None = None  # the folder in which the processes of one machine exchange their metrics
    poster_bytes_max: Annotated[int, Meta(ge=1024, le=64 << 20)] = 10 << 20  # a picture sent to become a poster
    keys_file: Path | None = None  # the keys that several machines share; None: made once in the data folder

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            _fits(name, getattr(self, name), kind)
        if self.presence_flush_s * 8 > self.presence_window_s:
            raise SettingsError(
                f"TIKETI_PRESENCE_FLUSH_S={self.presence_flush_s} must be at most an eighth of "
                f"TIKETI_PRESENCE_WINDOW_S={self.presence_window_s}, or people in line would look absent"
            )
        if 0 < len(self.metrics_token) < TOKEN_CHARS_MIN or not self.metrics_token.isascii():
            raise SettingsError(f"TIKETI_METRICS_TOKEN must be at least {TOKEN_CHARS_MIN} ASCII characters")
        _usable("REDIS_URL", self.redis_url and why_not(self.redis_url, ("redis://", "rediss://", "unix://")))
        _usable("DATABASE_URL", self.database_url and why_not_database(self.database_url))
        _usable("TIKETI_PUBLIC_URL", self.public_url and why_not(self.public_url, WEB))
        _usable("TIKETI_TRUSTED_PROXIES", why_no_networks(self.trusted_proxies))
        _usable("TIKETI_PAY_WEBHOOK_URL", self.pay_webhook_url and why_not(self.pay_webhook_url, WEB))
        for origin in self.socket_origins.split():
            _usable("TIKETI_SOCKET_ORIGINS", why_not(origin, WEB))

    @property
    def embedded_redis(self) -> bool:
        """Whether the supervisor starts its own Redis, because REDIS_URL names none."""
        return not self.redis_url

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis's socket: in the data folder, or in a private temporary one if that path is too long."""
        inside = self.data_dir.resolve() / "redis.sock"
        if len(str(inside)) <= SOCKET_PATH_MAX:
            return inside
        digest = hashlib.sha256(str(inside).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tiketi-{digest}" / "redis.sock"

    @property
    def redis(self) -> str:
        """The address of Redis: REDIS_URL, or the socket of the embedded one."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def database(self) -> str:
        """The database's URL with its password. Raises SettingsError if the password file cannot be read."""
        if not self.database_url:
            return f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'tiketi.db'}"
        if self.database_password_file is None:
            return self.database_url
        try:
            password = self.database_password_file.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"TIKETI_DATABASE_PASSWORD_FILE={self.database_password_file} cannot be read: {error.strerror}"
            ) from error
        return with_password(self.database_url, password)

    @property
    def local_url(self) -> str:
        """This machine's web process, as seen from this machine."""
        local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 # no bind
        return f"http://{local}:{self.port}"

    @property
    def buyers_url(self) -> str:
        """The base address for links that leave the site: TIKETI_PUBLIC_URL, else this machine's web process."""
        return self.public_url.rstrip("/") or self.local_url

    @property
    def webhook_url(self) -> str:
        return self.pay_webhook_url or f"{self.local_url}/api/payments/webhook"

    @property
    def own_origins(self) -> frozenset[str]:
        """The origins whose pages may open a WebSocket here, besides this host itself."""
        return frozenset({*self.socket_origins.split(), *([self.public_url.rstrip("/")] if self.public_url else [])})

    @property
    def secure_cookies(self) -> bool:
        """Whether buyers reach us by HTTPS, so that cookies may be limited to it."""
        return self.public_url.startswith("https://")


def variable(name: str) -> str:
    """The environment variable of a setting: `PORT`, but `TIKETI_HOLD_S`."""
    upper = name.upper()
    return upper if upper in PLAIN_NAMES else f"TIKETI_{upper}"


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting. Raises SettingsError naming the first bad one."""
    given: dict[str, object] = {}
    for each in fields(Settings):
        text = environ.get(variable(each.name), "").strip()
        if text:
            given[each.name] = _parse(variable(each.name), text, each.default)
    return Settings(**given)  # type: ignore[arg-type]  # _parse gives each field its default's type


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables from which `load` reads these settings again, for a child process."""
    given: dict[str, str] = {}
    for each in fields(Settings):
        value = getattr(settings, each.name)
        if isinstance(value, Path):
            value = value.resolve()
        given[variable(each.name)] = "" if value is None else str(value)
    return given


def _parse(name: str, text: str, default: object) -> object:
    try:
        match default:
            case bool():
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
            case int():
                return int(text)
            case float():
                return float(text)
            case Path() | None:
                return Path(text).expanduser()
            case _:
                return text
    except (ValueError, KeyError):
        raise SettingsError(f"{name}={text!r} is not a valid {type(default).__name__}") from None


@cache
def _kinds() -> dict[str, inspect.Type]:
    """The type of every setting, with its range or its possible values."""
    settings = inspect.type_info(Settings)
    assert isinstance(settings, inspect.DataclassType)
    return {each.name: each.type for each in settings.fields}


def _fits(name: str, value: Any, kind: inspect.Type) -> None:
    """Raise SettingsError if the value is outside the range or not among the values that the setting's type allows."""
    match kind:
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high):
            if low is not None and high is not None and not low <= value <= high:  # true of nan as well
                raise SettingsError(f"{variable(name)}={value} is not between {low} and {high}")
        case inspect.LiteralType(values=allowed) if value not in allowed:
            raise SettingsError(f"{variable(name)}={value!r} is not one of {', '.join(map(str, allowed))}")


def _usable(name: str, wrong: str) -> None:
    if wrong:
        raise SettingsError(f"{name}={wrong}")

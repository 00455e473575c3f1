"""Every setting of the product, read once from the environment and checked before anything starts.

The only reader of the environment. A value that cannot be used ends the start with a sentence naming
the variable, the value and what it takes. Units are last in names.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, inspect

from config.redis_url import RedisAddress, RedisUrlError, read_redis_url
from config.urls import why_no_networks, why_not, why_not_database, why_not_fetched, with_password

WEB = ("http://", "https://")
SOCKET_PATH_MAX = 100  # a unix socket's path may hold 107 bytes
ISSUER_CHARS_MAX = 255
TOKEN_CHARS_MIN = 16
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PLAIN_NAMES = ("HOST", "PORT", "WEB", "WORKERS", "REDIS_URL", "DATABASE_URL")
PREFIX = "TIKETI_"  # of the rest


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
    redis_password_file: Path | None = None  # a file with the password, if REDIS_URL does not contain it
    redis_sentinel_password_file: Path | None = None  # the same for the sentinels that it names
    redis_memory_share: Annotated[float, Meta(ge=0.01, le=0.95)] = 0.5  # of the machine's, for the embedded Redis
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
    demo_shop: bool = True  # with the demo, and only on this machine: a shop of its own behind a room
    demo_shop_port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0: the one after PORT, or any if that is taken
    tick_ms: Annotated[int, Meta(ge=10, le=100)] = 100  # how often a worker lets people in
    # people who join within this time after the opening get numbers in random order; 0: in order of arrival
    opening_draw_s: Annotated[float, Meta(ge=0, le=30)] = 2.0
    beacon_url: str = ""  # a server of drand's quicknet, of which a round goes into each draw; empty: none does
    presence_window_s: Annotated[int, Meta(ge=1, le=3600)] = 120
    claim_window_s: Annotated[int, Meta(ge=1, le=3600)] = 120
    pass_s: Annotated[int, Meta(ge=1, le=86_400)] = 600
    hold_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    # how long seats offered from the waiting list are held; never shorter than hold_s
    waitlist_offer_s: Annotated[int, Meta(ge=1, le=86_400)] = 900
    presence_flush_s: Annotated[float, Meta(ge=0.05, le=60)] = 5.0
    stream_life_s: Annotated[int, Meta(ge=5, le=86_400)] = 900
    # how long a web process that was told to end says that it is not ready before it listens no longer
    lame_duck_s: Annotated[float, Meta(ge=0, le=300)] = 0.0
    fast_path: bool = True  # answer the simplest position requests and joins before ASGI
    streams_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 18_000  # open streams per web process
    # of one address, per web process; connections of a trusted proxy do not count
    connections_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    streams_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    sockets_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    sockets_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # open WebSockets of seat maps per web process
    socket_origins: str = ""  # of other sites whose pages may open them, separated by spaces
    lane_wait_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0  # how long a request waits for the allocator's answer
    # live at once, of one event without a line; of one holder only where the address counts
    holds_per_address_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 40
    holds_per_holder_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 8
    # how many people may join one event's waiting list from one address within a day
    waitlist_per_address_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    # after the end of a sale its unpaid holds and waiting list entries are deleted, and entries of the audit log that
    # are not about money after theirs; 0: never
    keep_sales_days: Annotated[int, Meta(ge=0, le=36_500)] = 180
    keep_audit_days: Annotated[int, Meta(ge=0, le=36_500)] = 1_095
    seat_maps_mb: Annotated[int, Meta(ge=16, le=1_000_000)] = 512  # of each web process's memory
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
    # addresses or networks, comma-separated, that no limit per address counts: load generators, a box office
    door_free_networks: str = ""
    # new places per address and room that are free within places_window_s; beyond them a place takes work
    places_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    places_window_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    # with more joins a second an open door asks everybody for work
    door_pressure_per_s: Annotated[int, Meta(ge=1, le=1_000_000)] = 5_000
    captcha_verify_url: str = ""  # a CAPTCHA is asked for instead of work, if these four are set
    captcha_site_key: str = ""
    captcha_secret_file: Path | None = None
    captcha_script_url: str = ""  # for pages; further origins that it loads from may follow, separated by spaces
    # what signs invitations to lines: a secret of 32 bytes or more (HS256), or a JWKS (ES256, RS256, EdDSA)
    invitation_secret_file: Path | None = None
    invitation_jwks_file: Path | None = None
    invitation_jwks_url: str = ""  # where that set is, instead of a file; by https, or on this machine
    # the organiser's log-in by OpenID Connect, if it is set: as the provider spells it
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: Path | None = None  # None: a public client
    oidc_name: str = ""  # what the log-in page calls it; empty: the issuer's host
    # how long a payment that was begun in time keeps its hold; longer for methods that say so, as a bank transfer
    payment_grace_s: Annotated[int, Meta(ge=0, le=3600)] = 120
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
        if 0 < self.keep_audit_days * 86_400 < self.session_s:
            raise SettingsError(
                f"TIKETI_KEEP_AUDIT_DAYS={self.keep_audit_days} is shorter than TIKETI_SESSION_S={self.session_s}: "
                "the log says which sessions were ended"
            )
        if 0 < len(self.metrics_token) < TOKEN_CHARS_MIN or not self.metrics_token.isascii():
            raise SettingsError(f"TIKETI_METRICS_TOKEN must be at least {TOKEN_CHARS_MIN} ASCII characters")
        address = self._redis_address
        if self.redis_sentinel_password_file and not address.service:
            raise SettingsError("TIKETI_REDIS_SENTINEL_PASSWORD_FILE is set, but REDIS_URL names no sentinels")
        _usable("DATABASE_URL", self.database_url and why_not_database(self.database_url))
        _usable("TIKETI_PUBLIC_URL", self.public_url and why_not(self.public_url, WEB))
        _usable("TIKETI_TRUSTED_PROXIES", why_no_networks(self.trusted_proxies))
        _usable("TIKETI_DOOR_FREE_NETWORKS", why_no_networks(self.door_free_networks))
        _usable("TIKETI_PAY_WEBHOOK_URL", self.pay_webhook_url and why_not(self.pay_webhook_url, WEB))
        _usable("TIKETI_CAPTCHA_VERIFY_URL", self.captcha_verify_url and why_not(self.captcha_verify_url, WEB))
        for url in self.captcha_script_url.split():
            _usable("TIKETI_CAPTCHA_SCRIPT_URL", why_not(url, WEB))
        _usable("TIKETI_BEACON_URL", self.beacon_url and why_not(self.beacon_url, WEB))
        if self.beacon_url and find_spec("py_arkworks_bls12381") is None:
            raise SettingsError("TIKETI_BEACON_URL needs the package py-arkworks-bls12381, which is not here")
        captcha = (self.captcha_verify_url, self.captcha_site_key, self.captcha_secret_file, self.captcha_script_url)
        if any(captcha) and not all(captcha):
            raise SettingsError(
                "TIKETI_CAPTCHA_VERIFY_URL, _SITE_KEY, _SECRET_FILE and _SCRIPT_URL are set together or not at all"
            )
        _usable("TIKETI_INVITATION_JWKS_URL", self.invitation_jwks_url and why_not_fetched(self.invitation_jwks_url))
        if self.invitation_jwks_url and self.invitation_jwks_file:
            raise SettingsError("TIKETI_INVITATION_JWKS_FILE and TIKETI_INVITATION_JWKS_URL are not set together")
        _usable("TIKETI_OIDC_ISSUER", self.oidc_issuer and why_not_fetched(self.oidc_issuer))
        if len(self.oidc_issuer) > ISSUER_CHARS_MAX:
            raise SettingsError(f"TIKETI_OIDC_ISSUER has more than {ISSUER_CHARS_MAX} characters")
        if bool(self.oidc_issuer) != bool(self.oidc_client_id):
            raise SettingsError("TIKETI_OIDC_ISSUER and TIKETI_OIDC_CLIENT_ID are set together or not at all")
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
    def redis(self) -> RedisAddress:
        """Where Redis is, with its password: what REDIS_URL says, or the socket of the embedded one.

        Raises SettingsError if a file that it names cannot be read.
        """
        address = self._redis_address
        if address.unreadable:
            raise SettingsError(f"REDIS_URL names {address.unreadable[0]}, which cannot be read")
        if self.embedded_redis:
            return address
        ours = _read("TIKETI_REDIS_PASSWORD_FILE", self.redis_password_file)
        theirs = _read("TIKETI_REDIS_SENTINEL_PASSWORD_FILE", self.redis_sentinel_password_file)
        password = address.password if ours is None else ours.strip()
        return replace(address, password=password, sentinel_password=(theirs or "").strip())

    @property
    def _redis_address(self) -> RedisAddress:
        if not self.redis_url:
            return RedisAddress(path=str(self.redis_socket))
        try:
            return read_redis_url(self.redis_url)
        except RedisUrlError as error:
            raise SettingsError(f"REDIS_URL={error}") from None

    @property
    def database(self) -> str:
        """The database's URL with its password. Raises SettingsError if the password file cannot be read."""
        if not self.database_url:
            return f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'tiketi.db'}"
        return _with_password(self.database_url, self.database_password_file, "TIKETI_DATABASE_PASSWORD_FILE")

    @property
    def captcha_secret(self) -> str:
        """Raises SettingsError if the file cannot be read, or there is none."""
        try:
            return (self.captcha_secret_file or Path()).read_text().strip()
        except OSError as error:
            name = f"TIKETI_CAPTCHA_SECRET_FILE={self.captcha_secret_file}"
            raise SettingsError(f"{name} cannot be read: {error.strerror}") from error

    @property
    def oidc_shown(self) -> str:
        """What pages call the organiser's log-in."""
        return self.oidc_name or urlsplit(self.oidc_issuer).hostname or ""

    @property
    def oidc_client_secret(self) -> str:
        """Empty for a public client. Raises SettingsError if the file cannot be read."""
        return (_read("TIKETI_OIDC_CLIENT_SECRET_FILE", self.oidc_client_secret_file) or "").strip()

    @property
    def invitation_secret(self) -> bytes | None:
        """Raises SettingsError if the file cannot be read."""
        text = _read("TIKETI_INVITATION_SECRET_FILE", self.invitation_secret_file)
        return None if text is None else text.strip().encode()

    @property
    def invitation_jwks(self) -> str | None:
        """Raises SettingsError if the file cannot be read."""
        return _read("TIKETI_INVITATION_JWKS_FILE", self.invitation_jwks_file)

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
    def is_public(self) -> bool:
        """Whether anybody but this machine may reach us, directly or through a proxy."""
        return self.host not in LOOPBACK or bool(self.public_url)

    @property
    def has_demo_shop(self) -> bool:
        return self.demo and self.demo_shop and not self.is_public

    @property
    def secure_cookies(self) -> bool:
        """Whether buyers reach us by HTTPS, so that cookies may be limited to it."""
        return self.public_url.startswith("https://")


def _read(name: str, file: Path | None) -> str | None:
    try:
        return None if file is None else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}={file} cannot be read: {error}") from error


def _with_password(url: str, file: Path | None, name: str) -> str:
    """The address with the password in the file, if there is one. Raises SettingsError if it cannot be read."""
    if file is None:
        return url
    try:
        return with_password(url, file.read_text().strip())
    except OSError as error:
        raise SettingsError(f"{name}={file} cannot be read: {error.strerror}") from error


def variable(name: str) -> str:
    """The environment variable of a setting: `PORT`, but `TIKETI_HOLD_S`."""
    upper = name.upper()
    return upper if upper in PLAIN_NAMES else f"{PREFIX}{upper}"


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting. Raises SettingsError naming the first bad one."""
    given: dict[str, object] = {}
    for each in fields(Settings):
        text = environ.get(variable(each.name), "").strip()
        if text:
            given[each.name] = _parse(variable(each.name), text, each.default)
    return Settings(**given)  # type: ignore[arg-type]  # _parse gives each field its default's type


def unknown(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that look like settings and are none, each with the setting it resembles most; "" if none does."""
    known = [variable(each.name) for each in fields(Settings)]
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: "".join(get_close_matches(name, known, n=1, cutoff=0.7)) for name in strange}


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

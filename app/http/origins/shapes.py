"""Origins and their rooms as an admin's API answers them; what it takes is in app/origins/wanted.py.

No answer but the first, and that of a rotation, has a secret or a key in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.control.origins import Shown
from app.domain.passing import Mode, PassAlgorithm
from app.http.kit.shapes import Shape
from app.http.origins.branding import logo_url
from app.ledger.origins import Origin, OriginRoom


class LogoShown(Shape, frozen=True, kw_only=True):
    """`url`: where it is, on our own host; the address names its content."""

    url: str
    width: int
    height: int


class OriginShown(Shape, frozen=True, kw_only=True):
    """`previousUntil`: until when the secret and the API key of before the last rotation are good as well."""

    id: str
    name: str
    hosts: list[str]
    target_url: str
    customer_id: str | None
    look: dict[str, Any]
    logo: LogoShown | None
    frame_ancestors: list[str]
    bind_tokens: bool
    previous_until: datetime | None
    version: int
    created_at: datetime


class OriginDetail(Shape, frozen=True, kw_only=True):
    origin: OriginShown


class OriginCreated(Shape, frozen=True, kw_only=True):
    """The only answer with the secret, which signs passes, and the API key, with which the origin ends visits."""

    origin: OriginShown
    secret: str
    api_key: str


class OriginList(Shape, frozen=True, kw_only=True):
    origins: list[OriginShown]


class OriginRoomShown(Shape, frozen=True, kw_only=True):
    """A room as it is set; how it is now, its admission tells. Times are UTC."""

    id: str
    origin: str
    name: str
    translations: dict[str, str]
    mode: Mode
    opens_at: datetime
    closes_at: datetime | None
    opening: str
    lobby_minutes: int
    door: str
    rate_per_second: float
    burst: int
    max_active: int
    pass_seconds: int
    pass_algorithm: PassAlgorithm
    target_url: str | None
    rules: list[dict[str, Any]]
    version: int


class OriginRoomDetail(Shape, frozen=True, kw_only=True):
    room: OriginRoomShown


class OriginRoomList(Shape, frozen=True, kw_only=True):
    rooms: list[OriginRoomShown]


def logo_shown(logo: Mapping[str, Any]) -> LogoShown:
    return LogoShown(url=logo_url(logo["name"]), width=logo["width"], height=logo["height"])


def origin_shown(row: Origin) -> OriginShown:
    return OriginShown(
        id=row.id,
        name=row.name,
        hosts=list(row.hosts),
        target_url=row.target_url,
        customer_id=row.customer_id,
        look=dict(row.look),
        logo=None if row.logo is None else logo_shown(row.logo),
        frame_ancestors=list(row.frame_ancestors),
        bind_tokens=row.bind_tokens,
        previous_until=row.before_until,
        version=row.version,
        created_at=row.created_at,
    )


def created_of(shown: Shown) -> OriginCreated:
    return OriginCreated(origin=origin_shown(shown.origin), secret=shown.secret, api_key=shown.api_key)


def room_shown(row: OriginRoom) -> OriginRoomShown:
    config = row.config
    return OriginRoomShown(
        id=row.id,
        origin=row.origin_id,
        name=row.name,
        translations=dict(row.translations),
        mode=row.mode,
        opens_at=row.opens_at,
        closes_at=row.closes_at,
        opening=config["opening"],
        lobby_minutes=config["lobby_ms"] // 60_000,
        door=config["door"],
        rate_per_second=config["rate_per_s"],
        burst=config["burst"],
        max_active=config["max_active"],
        pass_seconds=row.pass_s,
        pass_algorithm=row.pass_algorithm,
        target_url=row.target_url,
        rules=[dict(rule) for rule in row.rules],
        version=row.version,
    )

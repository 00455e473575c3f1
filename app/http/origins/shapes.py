"""Origins and their rooms as an admin's API takes and answers them.

No answer but the first, and that of a rotation, has a secret or a key in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.domain.line import LOBBY_MINUTES_MAX, Opening
from app.domain.passing import Mode, PassAlgorithm
from app.domain.targets import HOST_ENTRY, URL_CHARS_MAX
from app.http.events.shapes import Moment, Version
from app.http.kit.fields import CUSTOMER_ID, ID, ONE_LINE
from app.http.kit.shapes import Shape
from app.ledger.origins import Origin, OriginRoom

HOSTS_MAX = 50
PASS_S_MAX = 24 * 3600

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=ID)]
CustomerId = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=CUSTOMER_ID)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=ONE_LINE)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=HOST_ENTRY)]
Hosts = Annotated[tuple[Host, ...], msgspec.Meta(min_length=1, max_length=HOSTS_MAX)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=URL_CHARS_MAX, pattern=ONE_LINE)]
OriginDoor = Literal["open", "challenge"]  # the others ask for an account of ours, or an invitation to an event
Rate = Annotated[float, msgspec.Meta(ge=0.1, le=10_000)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
MaxActive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
LobbyMinutes = Annotated[int, msgspec.Meta(ge=0, le=LOBBY_MINUTES_MAX)]
PassSeconds = Annotated[int, msgspec.Meta(ge=10, le=PASS_S_MAX)]


class OriginWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new origin. `hosts`: where visitors may be sent, as `shop.example` or `shop.example:8443`, by https; one
    written `http://localhost:3000` is for development. `targetUrl`: where they go if nothing else is asked for.
    `customerId`: what connectors call it."""

    id: Id
    name: Name
    hosts: Hosts
    target_url: Url
    customer_id: CustomerId | None = None


class OriginEdit(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an origin; what is not sent stays. `version`: the one the change was made from."""

    name: Name | UnsetType = UNSET
    hosts: Hosts | UnsetType = UNSET
    target_url: Url | UnsetType = UNSET
    customer_id: CustomerId | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class OriginShown(Shape, frozen=True, kw_only=True):
    """`previousUntil`: until when the secret and the API key of before the last rotation are good as well."""

    id: str
    name: str
    hosts: list[str]
    target_url: str
    customer_id: str | None
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


class Names(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The name of a room in other languages."""

    ko: Name | UnsetType = UNSET
    en: Name | UnsetType = UNSET


class OriginRoomWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new room. `mode`: `always`, everybody queues, or `standby`, only while more come than may be let in. Without
    `opensAt` it opens at once, without `closesAt` it stays open; a time without an offset is UTC. `passSeconds`: how
    long who was let in may stay. `passAlgorithm`: how a pass is signed, `EdDSA` with our keys or `HS256` with the
    origin's secret. `targetUrl`: instead of the origin's."""

    id: Id
    origin: Id
    name: Name
    translations: Names = Names()
    mode: Mode = Mode.always
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    opening: Opening = Opening.draw
    lobby_minutes: LobbyMinutes = 0
    door: OriginDoor = "open"
    rate_per_second: Rate = 10.0
    burst: Burst = 10
    max_active: MaxActive = 100
    pass_seconds: PassSeconds = 600
    pass_algorithm: PassAlgorithm = PassAlgorithm.EdDSA
    target_url: Url | None = None


class OriginRoomEdit(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a room; what is not sent stays. `version`: the one the change was made from."""

    name: Name | UnsetType = UNSET
    translations: Names | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    opens_at: Moment | UnsetType = UNSET
    closes_at: Moment | UnsetType | None = UNSET
    opening: Opening | UnsetType = UNSET
    lobby_minutes: LobbyMinutes | UnsetType = UNSET
    door: OriginDoor | UnsetType = UNSET
    rate_per_second: Rate | UnsetType = UNSET
    burst: Burst | UnsetType = UNSET
    max_active: MaxActive | UnsetType = UNSET
    pass_seconds: PassSeconds | UnsetType = UNSET
    pass_algorithm: PassAlgorithm | UnsetType = UNSET
    target_url: Url | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


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
    version: int


class OriginRoomDetail(Shape, frozen=True, kw_only=True):
    room: OriginRoomShown


class OriginRoomList(Shape, frozen=True, kw_only=True):
    rooms: list[OriginRoomShown]


def origin_shown(row: Origin) -> OriginShown:
    return OriginShown(
        id=row.id,
        name=row.name,
        hosts=list(row.hosts),
        target_url=row.target_url,
        customer_id=row.customer_id,
        previous_until=row.before_until,
        version=row.version,
        created_at=row.created_at,
    )


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
        version=row.version,
    )


def config_of(wanted: OriginRoomWanted) -> dict[str, Any]:
    """The settings with which a room begins, as `rooms` keeps them."""
    return {
        "opening": wanted.opening.value,
        "lobby_ms": wanted.lobby_minutes * 60_000,
        "door": wanted.door,
        "rate_per_s": wanted.rate_per_second,
        "burst": wanted.burst,
        "max_active": wanted.max_active,
    }

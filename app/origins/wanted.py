"""What an admin wants of origins and their rooms, as the API, the pages and the command line say it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.connect.rules import RULES_MAX
from app.domain.contrast import COLOUR
from app.domain.line import LOBBY_MINUTES_MAX, Opening
from app.domain.local_time import MOMENT, MOMENT_CHARS_MAX
from app.domain.passing import Mode, PassAlgorithm
from app.domain.patterns import CUSTOMER_ID, ID, MANY_LINES, ONE_LINE
from app.domain.targets import FRAME_ANCESTOR, HOST_ENTRY, URL_CHARS_MAX

HOSTS_MAX = 50
FRAME_ANCESTORS_MAX = 20
PASS_S_MAX = 24 * 3600

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=ID)]
CustomerId = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=CUSTOMER_ID)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=ONE_LINE)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=HOST_ENTRY)]
Hosts = Annotated[tuple[Host, ...], msgspec.Meta(min_length=1, max_length=HOSTS_MAX)]
FrameAncestor = Annotated[str, msgspec.Meta(max_length=270, pattern=FRAME_ANCESTOR)]
FrameAncestors = Annotated[tuple[FrameAncestor, ...], msgspec.Meta(max_length=FRAME_ANCESTORS_MAX)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=URL_CHARS_MAX, pattern=ONE_LINE)]
ColourText = Annotated[str, msgspec.Meta(pattern=COLOUR)]
PageText = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=MANY_LINES)]
Moment = Annotated[str, msgspec.Meta(max_length=MOMENT_CHARS_MAX, pattern=MOMENT)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
OriginDoor = Literal["open", "challenge", "invited"]  # the others ask for an account of ours
Rate = Annotated[float, msgspec.Meta(ge=0.1, le=10_000)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
MaxActive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
LobbyMinutes = Annotated[int, msgspec.Meta(ge=0, le=LOBBY_MINUTES_MAX)]
RuleObjects = Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=RULES_MAX)]
PassSeconds = Annotated[int, msgspec.Meta(ge=10, le=PASS_S_MAX)]


class _Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The base of all of them."""


class LookText(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Shown above the line, in the reader's language, else in the other one."""

    ko: PageText | UnsetType = UNSET
    en: PageText | UnsetType = UNSET


class Look(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an origin's waiting pages look. `light` and `dark`: the colour of links and buttons, such as `#0b6e5f`, on
    light and on dark pages."""

    light: ColourText | UnsetType = UNSET
    dark: ColourText | UnsetType = UNSET
    text: LookText | UnsetType = UNSET


class OriginWanted(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new origin. `hosts`: where visitors may be sent, as `shop.example` or `shop.example:8443`, by https; one
    written `http://localhost:3000` is for development. `targetUrl`: where they go if nothing else is asked for.
    `customerId`: what connectors call it. `look`: of its waiting pages. `frameAncestors`: whose pages may have those in
    a frame, as `https://shop.example`; nobody's if there is none. `http://localhost:3000` is for development.
    `bindTokens`: connectors take a token only from the address for which it was made."""

    id: Id
    name: Name
    hosts: Hosts
    target_url: Url
    customer_id: CustomerId | None = None
    look: Look = Look()
    frame_ancestors: FrameAncestors = ()
    bind_tokens: bool = False


class OriginEdit(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an origin; what is not sent stays. `version`: the one the change was made from."""

    name: Name | UnsetType = UNSET
    hosts: Hosts | UnsetType = UNSET
    target_url: Url | UnsetType = UNSET
    customer_id: CustomerId | UnsetType | None = UNSET
    look: Look | UnsetType = UNSET
    frame_ancestors: FrameAncestors | UnsetType = UNSET
    bind_tokens: bool | UnsetType = UNSET
    version: Version | UnsetType = UNSET


class Names(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The name of a room in other languages."""

    ko: Name | UnsetType = UNSET
    en: Name | UnsetType = UNSET


class OriginRoomWanted(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new room. `mode`: `always`, everybody queues, or `standby`, only while more come than may be let in. Without
    `opensAt` it opens at once, without `closesAt` it stays open; a time without an offset is UTC. `passSeconds`: how
    long who was let in may stay. `passAlgorithm`: how a pass is signed, `EdDSA` with our keys, `HS256` with
    the origin's secret, or `compact` for our own check alone. `targetUrl`: instead of the origin's. `rules`: which
    requests need a pass (docs/rules.md)."""

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
    rules: RuleObjects = ()


class OriginRoomEdit(_Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    rules: RuleObjects | UnsetType = UNSET
    version: Version | UnsetType = UNSET

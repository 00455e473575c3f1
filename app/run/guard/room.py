"""The room before the site that `tiketi guard` stands before: made at the first start, set as asked at each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.connect.presets import preset
from app.control.origin_rooms import OriginRooms
from app.control.rooms import open_room_control
from app.domain.line import Opening
from app.domain.targets import HOST_ENTRY
from app.ledger import origins
from app.origins.wanted import OriginRoomEdit, OriginRoomWanted
from app.run.own_origins import BY, OwnSite, local_hosts, seed_origin
from config.keys import load_keys
from config.settings import Settings

HTTP_PORT = 80
GUARD = "guard"  # the origin, and its room


class NotGuarded(Exception):
    """There can be no room before the site; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What was asked for. `url`: how visitors reach the site through us."""

    site: str
    url: str
    rate_per_s: float
    burst: int
    capacity: int
    pass_s: int
    preset: str
    fail: str

    @property
    def rules(self) -> list[dict[str, Any]]:
        return preset(self.preset)


def hosts_of(url: str) -> list[str]:
    """Where visitors may be sent: to the site's address, and on this machine to either of its names."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return [parts.netloc.lower().removesuffix(":443")]
    is_here = parts.hostname in ("127.0.0.1", "localhost")
    return local_hosts(parts.port or HTTP_PORT) if is_here else [f"http://{parts.netloc.lower()}"]


async def prepare_room(settings: Settings, guarded: Guarded) -> None:
    """Raises NotGuarded, RoomUnavailable, StoreError."""
    keys = load_keys(settings.data_dir, settings.keys_file)
    hosts = hosts_of(guarded.url)
    name = guarded.url.partition("://")[2].rstrip("/")
    site = OwnSite(id=GUARD, name=name, hosts=hosts, target_url=f"{guarded.url.rstrip('/')}/")
    async with open_room_control(settings) as control:
        if not await seed_origin(control.db, keys, site, control.now()):
            raise NotGuarded(f"There is an origin {GUARD!r} that `tiketi guard` did not make: delete or rename it.")
        rooms = OriginRooms(control)
        if any(room.id == GUARD for room in await origins.listed_rooms(control.db)):
            await rooms.edit(BY, GUARD, msgspec.convert(_settings(guarded), OriginRoomEdit))
            return
        new = {"id": GUARD, "origin": GUARD, "name": name, "opening": Opening.first.value, **_settings(guarded)}
        await rooms.create(BY, msgspec.convert(new, OriginRoomWanted))


def _settings(guarded: Guarded) -> dict[str, Any]:
    """As the admin's API says it. Beyond its limits msgspec refuses it."""
    pace = {"ratePerSecond": guarded.rate_per_s, "burst": guarded.burst, "maxActive": guarded.capacity}
    return {**pace, "passSeconds": guarded.pass_s, "rules": guarded.rules}


def why_not(guarded: Guarded) -> str | None:
    """Why it cannot be set so, for a person; None if it can."""
    if not all(re.fullmatch(HOST_ENTRY, host) for host in hosts_of(guarded.url)):
        return f"{guarded.url!r} is no address that visitors can be sent to"
    try:
        msgspec.convert(_settings(guarded), OriginRoomEdit)
    except msgspec.ValidationError as error:
        return str(error)
    return None

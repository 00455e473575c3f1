"""What an admin does to origins, for the pages, the API and the command line alike: each change with its entry in the
audit log. Web processes learn of it within a second (app/origins/directory.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from app.domain.pictures import PictureFault
from app.domain.targets import frame_ancestor, safe_target
from app.ledger import origin_logos, origins
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.origins import NotMade, Origin
from app.origins.logos import logo_of
from app.origins.look import too_faint
from app.origins.secrets import RandomBytes, Sealer, hash_of, new_api_key, new_secret
from app.origins.wanted import Look, OriginEdit, OriginWanted

OVERLAP = timedelta(hours=24)  # after a rotation, for those who still use what was before


class OriginRefused(Exception):
    """Nothing was changed: `code` is the refusal's, `known` what its sentence names."""

    def __init__(self, code: str, **known: str) -> None:
        super().__init__(code)
        self.code = code
        self.known = known


@dataclass(frozen=True, slots=True)
class Shown:
    """An origin with its secret and its API key, which nobody can read again."""

    origin: Origin
    secret: str
    api_key: str


def refusal(why: NotMade, named: str) -> OriginRefused:
    """Why nothing was made or changed of the origin or room that is named."""
    match why:
        case NotMade.unknown:
            return OriginRefused("room_unknown", room_id=named)
        case NotMade.unknown_origin:
            return OriginRefused("origin_unknown", origin_id=named)
        case NotMade.id_taken:
            return OriginRefused("id_taken", named=named, field="id")
        case NotMade.customer_taken:
            return OriginRefused("customer_taken", field="customerId")
        case NotMade.too_many:
            return OriginRefused("too_many_origins")
        case NotMade.changed:
            return OriginRefused("origin_changed")
        case NotMade.has_rooms:
            return OriginRefused("origin_has_rooms")
        case NotMade.window_empty:
            return OriginRefused("room_window_empty", field="closesAt")


def check_target(url: str, hosts: Collection[str]) -> str:
    """The address as it will be sent to browsers. Raises OriginRefused if it is at none of the hosts."""
    safe = safe_target(url, frozenset(hosts))
    if safe is None:
        raise OriginRefused("target_foreign", field="targetUrl")
    return safe


def check_look(wanted: Look) -> dict[str, Any]:
    """The look as it is stored. Raises OriginRefused for a colour that cannot be read."""
    look: dict[str, Any] = msgspec.to_builtins(wanted)
    if faint := too_faint(look):
        raise OriginRefused("contrast_low", scheme=faint[0], found=f"{faint[1]:.1f}", field=faint[0])
    return look


def ancestors_of(wanted: Collection[str]) -> list[str]:
    """As they are stored: each once."""
    return sorted({frame_ancestor(origin) for origin in wanted})


async def found(db: Database, origin_id: str) -> Origin:
    """The origin as SQL has it now. Raises OriginRefused."""
    for row in await origins.listed(db):
        if row.id == origin_id:
            return row
    raise OriginRefused("origin_unknown", origin_id=origin_id)


@dataclass(frozen=True, slots=True)
class OriginControl:
    """Every method raises OriginRefused, after which nothing was changed, and StoreError."""

    db: Database
    sealer: Sealer
    now: Callable[[], datetime]
    random_bytes: RandomBytes

    async def create(self, who: str, wanted: OriginWanted) -> Shown:
        now = self.now()
        secret, api_key = self._new()
        made = Origin(
            id=wanted.id,
            name=wanted.name.strip(),
            hosts=sorted(set(wanted.hosts)),
            target_url=check_target(wanted.target_url, wanted.hosts),
            customer_id=wanted.customer_id,
            look=check_look(wanted.look),
            logo=None,
            frame_ancestors=ancestors_of(wanted.frame_ancestors),
            bind_tokens=wanted.bind_tokens,
            secret=self.sealer.seal(secret, wanted.id),
            secret_before=None,
            api_key=hash_of(api_key),
            api_key_before=None,
            before_until=None,
            version=1,
            created_at=now,
        )
        by = AdminAction(who, "origin.create", msgspec.to_builtins(wanted))
        _check(await origins.create(self.db, made, by, now), wanted.id)
        return Shown(made, secret, api_key)

    async def edit(self, who: str, origin_id: str, wanted: OriginEdit) -> Origin:
        """A host that is taken away takes the addresses with it that were checked against it."""
        before = await found(self.db, origin_id)
        hosts = before.hosts if wanted.hosts is UNSET else sorted(set(wanted.hosts))
        target = before.target_url if wanted.target_url is UNSET else wanted.target_url
        values: dict[str, Any] = {"hosts": list(hosts), "target_url": check_target(target, hosts)}
        for room in await origins.listed_rooms(self.db):
            if room.origin_id == origin_id and room.target_url is not None:
                check_target(room.target_url, hosts)
        if wanted.name is not UNSET:
            values["name"] = wanted.name.strip()
        if wanted.customer_id is not UNSET:
            values["customer_id"] = wanted.customer_id
        if wanted.look is not UNSET:
            values["look"] = check_look(wanted.look)
        if wanted.frame_ancestors is not UNSET:
            values["frame_ancestors"] = ancestors_of(wanted.frame_ancestors)
        if wanted.bind_tokens is not UNSET:
            values["bind_tokens"] = wanted.bind_tokens
        version = before.version if wanted.version is UNSET else wanted.version  # what was checked is what is changed
        by = AdminAction(who, "origin.edit", msgspec.to_builtins(wanted))
        _check(await origins.edit(self.db, origin_id, values, by, self.now(), version), origin_id)
        return await found(self.db, origin_id)

    async def rotate(self, who: str, origin_id: str) -> Shown:
        """Another secret and key; what was before is good for OVERLAP, what was before that is not any more."""
        before, now = await found(self.db, origin_id), self.now()
        secret, api_key = self._new()
        values = {
            "secret": self.sealer.seal(secret, origin_id),
            "secret_before": before.secret,
            "api_key": hash_of(api_key),
            "api_key_before": before.api_key,
            "before_until": now + OVERLAP,
        }
        by = AdminAction(who, "origin.rotate", {})
        _check(await origins.edit(self.db, origin_id, values, by, now, before.version), origin_id)
        return Shown(await found(self.db, origin_id), secret, api_key)

    async def remove(self, who: str, origin_id: str) -> None:
        by = AdminAction(who, "origin.delete", {})
        _check(await origins.remove(self.db, origin_id, by, self.now()), origin_id)

    async def put_logo(self, who: str, origin_id: str, data: bytes) -> Origin:
        """Draw the picture anew and give it to the origin as its logo."""
        made = await logo_of(data)
        if isinstance(made, PictureFault):
            raise OriginRefused("logo_refused", reason=made.value, field="file")
        logo = {"name": made.name, "width": made.width, "height": made.height}
        return await self._set_logo(AdminAction(who, "origin.logo", {}), origin_id, logo, made.data)

    async def remove_logo(self, who: str, origin_id: str) -> Origin:
        return await self._set_logo(AdminAction(who, "origin.logo_remove", {}), origin_id, None, b"")

    async def _set_logo(self, by: AdminAction, origin_id: str, logo: dict[str, Any] | None, data: bytes) -> Origin:
        if not await origin_logos.put(self.db, origin_id, logo, data, by, self.now()):
            raise OriginRefused("origin_unknown", origin_id=origin_id)
        return await found(self.db, origin_id)

    def _new(self) -> tuple[str, str]:
        return new_secret(self.random_bytes), new_api_key(self.random_bytes)


def _check(refused: NotMade | None, origin_id: str) -> None:
    if refused is not None:
        raise refusal(NotMade.unknown_origin if refused is NotMade.unknown else refused, origin_id)

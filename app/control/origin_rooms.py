"""What an admin does to the rooms of origins, in SQL and in Redis: make, change and delete one, for the pages, the API
and the command line alike. How its line moves is changed by `RoomControl` (rooms.py), as of every room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog
from msgspec import UNSET

from app.connect.rules import Rules, RulesError
from app.control import origins as control
from app.control.origins import OriginRefused, check_target
from app.control.rooms import RefusedChange, RoomChange, RoomControl, UnknownRoom
from app.control.sale_schedule import sync_room_with_sale
from app.domain.line import Door, RoomState
from app.domain.local_time import BadTime, moment_of
from app.ledger import origins, room_windows
from app.ledger.events import AdminAction
from app.ledger.origins import NotMade, OriginRoom
from app.origins.wanted import OriginRoomEdit, OriginRoomWanted
from app.room.epochs import expire_epochs
from app.room.errors import RoomUnavailable
from app.room.live_rooms import leave_working_set
from app.room.record import read_record

log = structlog.get_logger()
_SETTINGS = ("opening", "lobby_minutes", "door", "rate_per_second", "burst", "max_active")  # of the line itself
OF_THE_LINE = frozenset(  # the same as the API calls them
    field.encode_name for field in msgspec.structs.fields(OriginRoomEdit) if field.name in _SETTINGS
)


@dataclass(frozen=True, slots=True)
class OriginRooms:
    """Every method raises OriginRefused, after which nothing was changed, and StoreError."""

    control: RoomControl

    async def found(self, room_id: str) -> OriginRoom:
        for row in await origins.listed_rooms(self.control.db):
            if row.id == room_id:
                return row
        raise OriginRefused("room_unknown", room_id=room_id)

    async def create(self, who: str, wanted: OriginRoomWanted) -> OriginRoom:
        db, now = self.control.db, self.control.now()
        origin = await control.found(db, wanted.origin)
        opens_at = now.replace(microsecond=0) if wanted.opens_at is None else _moment("opensAt", wanted.opens_at)
        closes_at = None if wanted.closes_at is None else _moment("closesAt", wanted.closes_at)
        if closes_at is not None and closes_at <= opens_at:
            raise control.refusal(NotMade.window_empty, wanted.id)
        made = OriginRoom(
            id=wanted.id,
            origin_id=wanted.origin,
            name=wanted.name.strip(),
            translations=msgspec.to_builtins(wanted.translations),
            opens_at=opens_at,
            closes_at=closes_at,
            mode=wanted.mode,
            pass_s=wanted.pass_seconds,
            pass_algorithm=wanted.pass_algorithm,
            target_url=None if wanted.target_url is None else check_target(wanted.target_url, origin.hosts),
            rules=check_rules(wanted.rules),
            version=1,
            created_at=now,
            config=_config_of(wanted),
        )
        by = AdminAction(who, "origin_room.create", msgspec.to_builtins(wanted))
        if refused := await origins.create_room(db, made, by, now):
            raise control.refusal(refused, wanted.origin if refused is NotMade.unknown_origin else wanted.id)
        await self._follow(wanted.id)
        return await self.found(wanted.id)

    async def edit(self, who: str, room_id: str, wanted: OriginRoomEdit) -> OriginRoom:
        """What the room is first, then how its line moves: each with its own entry in the audit log."""
        before = await self.found(room_id)
        values = await self._values(before, wanted)
        version = before.version if wanted.version is UNSET else wanted.version
        asked = {name: value for name, value in msgspec.to_builtins(wanted).items() if name not in OF_THE_LINE}
        by = AdminAction(who, "origin_room.edit", asked)
        if refused := await origins.edit_room(self.control.db, room_id, values, by, self.control.now(), version):
            raise control.refusal(refused, room_id)
        await self._follow(room_id)
        settings = {name: getattr(wanted, name) for name in _SETTINGS if getattr(wanted, name) is not UNSET}
        if settings:
            await self._set(who, room_id, settings)
        return await self.found(room_id)

    async def remove(self, who: str, room_id: str) -> None:
        """Delete a room: whoever is in line is told that it is closed. Its row in `rooms` stays, so that its id is not
        given again: tickets and passes of it are in browsers, and numbers go on from it. Raises RoomUnavailable.

        Redis first: what is begun here is begun again until SQL knows.
        """
        await self.found(room_id)
        redis, now = self.control.redis, self.control.now()
        record = await read_record(redis, room_id)
        if record is not None and record.state is not RoomState.closed:
            await self._set(who, room_id, {"state": RoomState.closed})
            record = await read_record(redis, room_id)
        if record is not None:
            await expire_epochs(redis, room_id, record, record.epoch)
            await leave_working_set(redis, room_id)
        admitted = 0 if record is None else record.admitted_total
        by = AdminAction(who, "origin_room.delete", {})
        if refused := await origins.remove_room(self.control.db, room_id, admitted, by, now):
            raise control.refusal(refused, room_id)
        await leave_working_set(redis, room_id)  # a keeper that read SQL before may have listed it again

    async def _follow(self, room_id: str) -> None:
        """Let everyone know of the room as it is now. Is Redis away, the keeper does its part once it is back."""
        of_all = self.control
        window = await room_windows.get(of_all.db, room_id)
        if window is None:
            return  # somebody has just deleted it
        try:
            await sync_room_with_sale(of_all.rooms.scripts, of_all.db, window, of_all.now())
            await of_all.rooms.reload(room_id)
        except RoomUnavailable as error:
            log.warning("room_not_told", event_id=room_id, error=repr(error))

    async def _values(self, before: OriginRoom, wanted: OriginRoomEdit) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if wanted.name is not UNSET:
            values["name"] = wanted.name.strip()
        if wanted.translations is not UNSET:
            values["translations"] = msgspec.to_builtins(wanted.translations)
        if wanted.mode is not UNSET:
            values["mode"] = wanted.mode.value
        if wanted.opens_at is not UNSET:
            values["opens_at"] = _moment("opensAt", wanted.opens_at)
        if wanted.closes_at is not UNSET:
            values["closes_at"] = None if wanted.closes_at is None else _moment("closesAt", wanted.closes_at)
        if wanted.pass_seconds is not UNSET:
            values["pass_s"] = wanted.pass_seconds
        if wanted.pass_algorithm is not UNSET:
            values["pass_algorithm"] = wanted.pass_algorithm.value
        if wanted.rules is not UNSET:
            values["rules"] = check_rules(wanted.rules)
        if wanted.target_url is not UNSET:
            hosts = (await control.found(self.control.db, before.origin_id)).hosts
            values["target_url"] = None if wanted.target_url is None else check_target(wanted.target_url, hosts)
        return values

    async def _set(self, who: str, room_id: str, settings: dict[str, Any]) -> None:
        if "door" in settings:
            settings["door"] = Door(settings["door"])
        try:
            await self.control.change(room_id, who, RoomChange(**settings))
            await self.control.rooms.reload(room_id)
        except UnknownRoom:
            raise OriginRefused("line_unavailable.new") from None
        except RefusedChange as error:
            raise OriginRefused("change_refused", why=str(error).capitalize()) from None


def check_rules(objects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules as they are stored. Raises OriginRefused for what is none."""
    try:
        return Rules(objects).objects
    except RulesError as error:
        raise OriginRefused("rules_invalid", at=error.at, why=error.wrong, field="rules") from None


def _moment(field: str, text: str) -> datetime:
    try:
        return moment_of(text, "UTC")
    except BadTime as error:
        raise OriginRefused(error.code, where=field, why=str(error), field=field) from None


def _config_of(wanted: OriginRoomWanted) -> dict[str, Any]:
    """The settings with which a room begins, as `rooms` keeps them."""
    return {
        "opening": wanted.opening.value,
        "lobby_ms": wanted.lobby_minutes * 60_000,
        "door": wanted.door,
        "rate_per_s": wanted.rate_per_second,
        "burst": wanted.burst,
        "max_active": wanted.max_active,
    }

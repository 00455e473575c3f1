"""What happens at a site behind rooms and in each of them, for admins: once, and as a live feed. Of all web processes.

Redis is asked in two round trips, once in KEPT_S by each process, however many look; who is inside is in memory anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.control.rooms import RoomControl
from app.http.accounts.admins import require_admin
from app.http.admin.feeds import admin_feed
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.i18n import TEXTS
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import origins
from app.ledger.origins import Origin, OriginRoom
from app.metrics.sites import CONNECTOR, FAILED, UNBELIEVED, SiteError, SiteFigures, quantile_s, read
from app.origins.check import Denied
from app.origins.connector.tokens import visit_s_of
from app.origins.directory import may_need_proxy
from app.room.record import RoomRecord, read_records
from app.room.view import LineView

KEPT_S = 1.0
FEED_EVERY_S = 2.0
INSIDE_MAX = 10_000  # of those inside whose time is looked at
LET_THROUGH = ("let_through", "cleaned", "needs_none", "let_in")
SENT = tuple(Denied)
REFUSED = ("refused",)
CHECKED = (*LET_THROUGH, *SENT, *REFUSED)


class SiteWarning(StrEnum):
    """What is set in a way that cannot work. `proxies_none`: no proxy is trusted at all; `proxy_unknown`: whoever asks
    about this room is none that is; `secret_unreadable`: the site's secret was sealed with other keys."""

    proxies_none = "proxies_none"
    proxy_unknown = "proxy_unknown"
    secret_unreadable = "secret_unreadable"  # noqa: S105 - a word, not a secret


class Warned(Shape, frozen=True, kw_only=True):
    """`room`: null if it is about the whole site."""

    warning: SiteWarning
    room: str | None
    what_to_do: str


class ErrorShown(Shape, frozen=True, kw_only=True):
    """`at`: when it happened last; `inLastHour`: how often."""

    error: SiteError
    room: str | None
    at: datetime
    in_last_hour: int
    happened: str
    what_to_do: str


class Flows(Shape, frozen=True, kw_only=True):
    """Rates are of the last minute, `letThrough` and `sentToRoom` of the last hour. `live` are inside now; `ended` and
    `expired` count visits since Redis was last made. `stay…`: of visits that the site ended within the hour;
    `inside…`: how long those are inside who are now. Null where nobody was."""

    checks_per_second: float
    let_through_per_second: float
    sent_to_room_per_second: float
    let_through: int
    sent_to_room: int
    waiting: int
    live: int
    ended: int
    expired: int
    stay_median_seconds: float | None
    stay_p90_seconds: float | None
    inside_median_seconds: float | None
    inside_p90_seconds: float | None


class RoomFlows(Flows, frozen=True, kw_only=True):
    room: str
    name: str


class SiteFiguresShown(Shape, frozen=True, kw_only=True):
    """`refused`: of the last hour, why requests were not let through; `connectorRefused`: why a connector of the site
    did not take a visitor. `connectorAheadSeconds`: its clock before ours, as it said last within the hour."""

    origin: str
    updated_at: datetime
    totals: Flows
    rooms: list[RoomFlows]
    refused: dict[str, int]
    connector_refused: dict[str, int]
    connector_ahead_seconds: float | None
    warnings: list[Warned]
    errors: list[ErrorShown]


class SiteFiguresAnswer(Shape, frozen=True, kw_only=True):
    figures: SiteFiguresShown


async def figures_of(state: State, origin_id: str) -> SiteFiguresShown:
    """Never older than KEPT_S. Raises Problem 404, StoreError, RoomUnavailable."""

    async def load() -> SiteFiguresShown:
        row = next((each for each in await origins.listed(state["db"]) if each.id == origin_id), None)
        if row is None:
            raise Problem("origin_unknown", origin_id=origin_id)
        rooms = [each for each in await origins.listed_rooms(state["db"]) if each.origin_id == origin_id]
        site = Site(row, rooms, state["rooms"].views, row.id in state["origins"].origins)
        return await made(state["room_control"], site, bool(state["settings"].trusted_proxies))

    found: SiteFiguresShown = await state["cache"].get(f"figures:{origin_id}", (), KEPT_S, load)
    return found


class Site(NamedTuple):
    """`is_readable`: its secret was sealed with our keys."""

    row: Origin
    rooms: Sequence[OriginRoom]
    views: Mapping[str, LineView]
    is_readable: bool = True


async def made(control: RoomControl, site: Site, trusts_proxies: bool) -> SiteFiguresShown:
    """Raises RoomUnavailable."""
    row, rooms, redis, now = site.row, site.rooms, control.redis, control.now()
    counted = await read(redis, row.id, now.timestamp())
    records = await read_records(redis, [each.id for each in rooms])
    inside = {each.id: _inside_s(site.views.get(each.id), _visit_s(row, each), now) for each in rooms}
    views = [view for each in rooms if (view := site.views.get(each.id)) is not None]
    everybody = [stay for stays in inside.values() for stay in stays]
    return SiteFiguresShown(
        origin=row.id,
        updated_at=now,
        totals=_flows(counted, None, views, list(records.values()), everybody),
        rooms=[_of_room(each, counted, site, records.get(each.id), inside[each.id]) for each in rooms],
        refused={why: counted.in_hour((why,)) for why in (*SENT, *REFUSED)},
        connector_refused=counted.by(CONNECTOR),
        connector_ahead_seconds=counted.ahead_s,
        warnings=list(_warnings(site, counted, trusts_proxies)),
        errors=[_error(each.error, each.room, each.at_s, counted) for each in counted.errors],
    )


def _of_room(
    room: OriginRoom, counted: SiteFigures, site: Site, record: RoomRecord | None, inside_s: Sequence[float]
) -> RoomFlows:
    view = site.views.get(room.id)
    flows = _flows(counted, room.id, [view] if view else [], [record] if record else [], inside_s)
    return RoomFlows(room=room.id, name=room.name, **msgspec.structs.asdict(flows))


def _visit_s(row: Origin, room: OriginRoom) -> int:
    return room.pass_s if row.customer_id is None else visit_s_of(room.pass_s)


def _inside_s(view: LineView | None, visit_s: int, now: datetime) -> list[float]:
    """For how long those are inside who are, the first INSIDE_MAX of them; shortest first."""
    if view is None:
        return []
    began = now.timestamp() + visit_s
    return sorted(max(0.0, began - until_ms / 1000) for until_ms in islice(view.active.values(), INSIDE_MAX))


def _flows(
    counted: SiteFigures,
    room: str | None,
    views: Sequence[LineView],
    records: Sequence[RoomRecord],
    inside_s: Sequence[float],
) -> Flows:
    stays, inside = counted.stays(room), sorted(inside_s)
    return Flows(
        checks_per_second=round(counted.per_s(CHECKED, room), 2),
        let_through_per_second=round(counted.per_s(LET_THROUGH, room), 2),
        sent_to_room_per_second=round(counted.per_s(SENT, room), 2),
        let_through=counted.in_hour(LET_THROUGH, room),
        sent_to_room=counted.in_hour(SENT, room),
        waiting=sum(view.waiting for view in views),
        live=sum(len(view.active) for view in views),
        ended=sum(record.visits_ended for record in records),
        expired=sum(record.visits_expired for record in records),
        stay_median_seconds=quantile_s(stays, 0.5),
        stay_p90_seconds=quantile_s(stays, 0.9),
        inside_median_seconds=_at_share(inside, 0.5),
        inside_p90_seconds=_at_share(inside, 0.9),
    )


def _at_share(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None


def _warnings(site: Site, counted: SiteFigures, trusts_proxies: bool) -> Iterator[Warned]:
    if not site.is_readable:
        yield _warned(SiteWarning.secret_unreadable)
    if site.rooms and not trusts_proxies and may_need_proxy(site.row.hosts):
        yield _warned(SiteWarning.proxies_none)
    for room in site.rooms:
        if _is_asked_by_strangers_only(counted, room.id):
            yield _warned(SiteWarning.proxy_unknown, room.id)


def _is_asked_by_strangers_only(counted: SiteFigures, room: str) -> bool:
    """Of the last minute, if anybody asked in it, else of the hour."""
    for counts in (counted.flows, counted.hour):
        asked = sum(counts[room, outcome] for outcome in CHECKED)
        if asked:
            return counts[room, UNBELIEVED] >= asked
    return False


def _warned(warning: SiteWarning, room: str | None = None) -> Warned:
    return Warned(warning=warning, room=room, what_to_do=TEXTS["en"](f"admin.figures.warning.{warning}"))


def _error(error: SiteError, room: str, at_s: float, counted: SiteFigures) -> ErrorShown:
    key, room_id = f"admin.figures.error.{error}", room or None
    return ErrorShown(
        error=error,
        room=room_id,
        at=datetime.fromtimestamp(at_s, UTC),
        in_last_hour=counted.in_hour((f"{FAILED}{error}",), room),
        happened=TEXTS["en"](key),
        what_to_do=TEXTS["en"](f"{key}.do"),
    )


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(SiteFiguresAnswer(figures=await figures_of(request.state, request.path_params["origin_id"])))


async def feed(request: Request[State]) -> Response:
    """Server-Sent Events: `figures` every two seconds."""
    state, origin_id = request.state, request.path_params["origin_id"]

    async def now() -> msgspec.Struct:
        return await figures_of(state, origin_id)

    return await admin_feed(request, "figures", FEED_EVERY_S, now)


routes = [
    ApiRoute(
        "GET",
        "/api/admin/origins/{origin_id}/figures",
        show,
        summary="What happens at an origin and in each of its rooms: flows, visits, refusals, and what went wrong.",
        who=Who.admin,
        answers={200: SiteFiguresAnswer},
    ),
    ApiRoute(
        "GET",
        "/api/admin/origins/{origin_id}/figures/stream",
        feed,
        summary="The same, as it changes",
        who=Who.admin,
        answers={200: "text/event-stream"},
    ),
]

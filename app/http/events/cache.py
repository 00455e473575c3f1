"""Events as everybody reads them, from this process's cache: what an admin wrote is kept, what the clock and the seats
say is added at every answer. A change is felt in all processes at once, through the tags of app/cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.cache.tags import EVENTS, event_tag
from app.domain.sale import Supply, supply_of
from app.http.events.shapes import detail, event_list
from app.http.kit.problems import Problem
from app.http.state import State
from app.lane.errors import LaneUnavailable
from app.ledger import events

EVENT_TTL_S = 60.0
LIST_TTL_S = 30.0
SUPPLY_TTL_S = 5.0

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


async def changed(state: State, *event_ids: str) -> None:
    """Call after the commit of any change to events: nobody is answered from before it any more."""
    await state["cache"].invalidate(EVENTS, *map(event_tag, event_ids))


async def map_changed(state: State, event_id: str, version: int) -> None:
    """Call after the commit of another map, or other prices: this process shows it when this returns. Is Redis away,
    the others are told by the next allocator.
    """
    await state["seats"].renew(event_id)
    try:
        await state["lane"].announce(event_id, version)
    except LaneUnavailable as error:
        log.warning("map_not_told", event_id=event_id, error=repr(error))


def phase(event: events.Event, now: datetime) -> tuple[bool, ...]:
    """Which of the event's moments have passed: between two of them the clock changes nothing."""
    moments = (event.opens_at, event.closes_at, event.starts_at)
    return tuple(moment is not None and moment <= now for moment in moments)


class Answer:
    """Bytes to be sent again and again, with the ETag of exactly these bytes."""

    __slots__ = ("body", "etag")

    def __init__(self, content: Any) -> None:
        self.body = _encode(content)
        self.etag = f'"{blake2b(self.body, digest_size=9).hexdigest()}"'

    def response(self, request: Request[State]) -> Response:
        """The bytes, or 304 for who has them. Always to be asked again: free seats and the clock move on."""
        headers = {"etag": self.etag, "cache-control": "no-cache"}
        if is_known(request.headers.get("if-none-match", ""), self.etag):
            return Response(None, 304, headers)
        return Response(self.body, 200, headers, "application/json")


class CachedEvent:
    """An event with its detail as the API answers it, encoded anew only when a seat count or the clock changes it."""

    __slots__ = ("_answer", "_said", "event")

    def __init__(self, event: events.Event) -> None:
        self.event = event
        self._said: object = None
        self._answer: Answer | None = None

    def answer(self, left: Mapping[str, int], now: datetime) -> Answer:
        saying = (left, phase(self.event, now))
        if self._answer is None or self._said != saying:
            self._answer = Answer(detail(self.event, left, now))
            self._said = saying
        return self._answer


class CachedList:
    """The first page of events with its answer, encoded anew only when the clock changes one of them."""

    __slots__ = ("_answer", "_said", "listed", "total")

    def __init__(self, listed: Sequence[events.Event], total: int) -> None:
        self.listed = listed
        self.total = total
        self._said: object = None
        self._answer: Answer | None = None

    def answer(self, now: datetime) -> Answer:
        saying = [phase(event, now) for event in self.listed]
        if self._answer is None or self._said != saying:
            self._answer = Answer(event_list(self.listed, self.total, now))
            self._said = saying
        return self._answer


async def cached_event(state: State, event_id: str) -> CachedEvent:
    """Raises Problem 404 for an unknown event."""

    async def load() -> CachedEvent | None:
        event = await events.get(state["db"], event_id)
        return None if event is None else CachedEvent(event)

    found = await state["cache"].get(f"event:{event_id}", (event_tag(event_id),), EVENT_TTL_S, load)
    if found is None:
        raise Problem("event_unknown", event_id=event_id)
    return found


async def known_event(state: State, event_id: str) -> events.Event:
    """Raises Problem 404 for an unknown event."""
    return (await cached_event(state, event_id)).event


async def cached_list(state: State) -> CachedList:
    async def load() -> CachedList:
        return CachedList(*await events.search(state["db"], events.Search(), state["clock"].now()))

    return await state["cache"].get("events", (EVENTS,), LIST_TTL_S, load)


async def supplies(state: State, listed: Sequence[events.Event]) -> dict[str, Supply]:
    """What there is to be had of each of the events: of an open map as it is now, of any other some seconds late."""
    return {event.id: supply(event, await seats_left(state, event)) for event in listed}


def supply(event: events.Event, left: Mapping[str, int]) -> Supply:
    """What there is to be had of an event with so many free seats per grade."""
    return supply_of(has_seats=any(grade.seats_total for grade in event.grades), has_free=any(left.values()))


async def seats_left(state: State, event: events.Event) -> Mapping[str, int]:
    """Free seats per grade: from its map if that is open, else from the counts. No map is opened for it.

    The counts of events on sale are at most SUPPLY_TTL_S old, those of others as old as the cached event: they change
    only when an admin cancels something.
    """
    view = state["seats"].get(event.id)
    if view is not None:
        return view.left()

    async def load() -> dict[str, dict[str, int]]:
        return await events.free_seats(state["db"], state["clock"].now())

    on_sale = await state["cache"].get("free_seats", (EVENTS,), SUPPLY_TTL_S, load)
    return on_sale.get(event.id) or {grade.name: grade.seats_left for grade in event.grades if grade.seats_total}


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client's copy is this one, by the weak comparison of RFC 9110: a proxy that compresses adds W/."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]

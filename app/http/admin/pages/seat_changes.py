"""Seats blocked, released, regraded, marked and added on a page, which names them by section, row and numbers.

Plain forms; what they do, the functions of the API do.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.added_seats import ADDED_MAX, NewSeat
from app.domain.reservation import SeatSnapshot, SeatStatus, seat_id
from app.domain.seat_choice import BadNumbers, Numbers, choose, each_of, numbers_of
from app.domain.seatplan import SEATS_MAX
from app.domain.seatvalues import MARKS, SeatMark
from app.http.accounts.tokens import Session
from app.http.admin import seat_changes
from app.http.admin.pages.gate import admin_route
from app.http.admin.seat_changes import SEATS_PER_CHANGE_MAX, SeatAdded, SeatsWanted
from app.http.events import cache as catalog
from app.http.events.view import event_view
from app.http.kit.fields import misfit_of
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.line.lookup import room_of
from app.http.state import State
from app.ledger import events as events_ledger
from app.ledger.seat_changes import SeatAction

SECTIONS_SHOWN_MAX = 200
COUNT_CHARS_MAX = 6


async def seats_page(request: Request[State], _: Session) -> Response:
    return await _show(request, {})


async def _show(request: Request[State], form: Form, refused: Problem | None = None) -> Response:
    state, t = request.state, texts_for(request)
    event = await catalog.known_event(state, request.path_params["event_id"])
    hall = await _hall(state, event.id)
    context = {
        "event": event_view(event, room_of(state, event), None, state["clock"].now(), lang_of(request)),
        "fixed": event.cancelled_at is not None,
        "sections": _sections(hall),
        "more": max(0, len({seat.section for seat in hall.seats}) - SECTIONS_SHOWN_MAX),
        "names": list(dict.fromkeys(seat.section for seat in hall.seats)),
        "grades": [grade.name for grade in event.grades],
        "marks": MARKS,
        "actions": [action.value for action in SeatAction],
        "form": {name: first(form, name) for name in ("do", "section", "row", "numbers", "grade")},
        "marked": form.get("mark", []),
        "refused": problem_words(t, refused) if refused else "",
        "done": {name: _count(request, name) for name in ("changed", "kept", "added")},
        "is_done": "changed" in request.query_params or "added" in request.query_params,
    }
    return page(request, "admin/seat_changes.html", context, status=refused.status if refused else 200)


async def _hall(state: State, event_id: str) -> SeatSnapshot:
    hall = await events_ledger.seat_snapshot(state["db"], event_id)
    assert hall is not None, "a known event has a lane, and so a map, if an empty one"
    return hall


def _sections(hall: SeatSnapshot) -> list[dict[str, Any]]:
    """How the seats of each section stand, in the order of the map."""
    counts: dict[str, Counter[str]] = {}
    for seat, status in zip(hall.seats, hall.statuses, strict=True):
        counts.setdefault(seat.section, Counter())[SeatStatus(status).name] += 1
    shown = islice(counts.items(), SECTIONS_SHOWN_MAX)
    return [
        {"name": name, "seats": count.total(), **{s.name: count[s.name] for s in SeatStatus}} for name, count in shown
    ]


def _count(request: Request[State], name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= COUNT_CHARS_MAX else 0


async def change(request: Request[State], admin: Session) -> Response:
    """`do` is an action, or `add`."""
    event_id, form = request.path_params["event_id"], await read_form(request)
    try:
        if first(form, "do") == "add":
            told = f"added={await _add(request.state, event_id, form, admin)}"
        else:
            told = await _change(request.state, event_id, form, admin)
    except Problem as problem:
        if problem.code == "event_unknown":
            raise
        return await _show(request, form, problem)
    return see_other(f"/admin/events/{event_id}/seats?{told}")


async def _change(state: State, event_id: str, form: Form, admin: Session) -> str:
    do = first(form, "do")
    if do not in {action.value for action in SeatAction}:
        raise Problem("payload_invalid", why=f"{do[:20]!r} is nothing that can be done to seats")
    event = await catalog.known_event(state, event_id)
    hall = await _hall(state, event.id)
    seats = choose(hall.seats, first(form, "section"), first(form, "row").strip(), _numbers(form))
    if not seats:
        raise Problem("seats_none")
    changed, kept = 0, 0
    for start in range(0, len(seats), SEATS_PER_CHANGE_MAX):
        some = tuple(seat_id(idx) for idx in seats[start : start + SEATS_PER_CHANGE_MAX])
        wanted = SeatsWanted(action=SeatAction(do), seat_ids=some, grade=first(form, "grade"), marks=_marks(form))
        done = await seat_changes.change(state, event_id, wanted, admin.email)
        changed, kept = changed + done.changed, kept + len(done.reserved_seat_ids)
    return f"changed={changed}&kept={kept}"


async def _add(state: State, event_id: str, form: Form, admin: Session) -> int:
    await catalog.known_event(state, event_id)
    numbers = list(islice(each_of(_numbers(form)), ADDED_MAX + 1))
    if not numbers:
        raise Problem("numbers_invalid", given="")
    if len(numbers) > ADDED_MAX:
        raise Problem("hall_full", limit=SEATS_MAX)
    section, row = first(form, "section").strip(), first(form, "row").strip()
    of_all = {"section": section, "row": row, "grade": first(form, "grade"), "marks": _marks(form)}
    shapes = [{**of_all, "number": n.number, **({"name": n.written} if n.written else {})} for n in numbers]
    return len((await seat_changes.add(state, event_id, _shaped(shapes), admin.email)).seat_ids)


def _shaped(seats: list[dict[str, Any]]) -> list[NewSeat]:
    """The seats as the API takes them. Raises Problem."""
    try:
        return [seat_changes.new_seat(seat) for seat in msgspec.convert(seats, list[SeatAdded])]
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.form", why=misfit_of(error, list[SeatAdded], seats).words) from None


def _numbers(form: Form) -> Numbers:
    try:
        return numbers_of(first(form, "numbers"))
    except BadNumbers as error:
        raise Problem("numbers_invalid", given=str(error)) from None


def _marks(form: Form) -> tuple[SeatMark, ...]:
    return tuple(mark for mark in MARKS if mark in form.get("mark", []))


routes = [
    admin_route("/admin/events/{event_id}/seats", seats_page),
    admin_route("/admin/events/{event_id}/seats", change, "POST"),
]

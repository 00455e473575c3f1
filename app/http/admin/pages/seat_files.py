"""An event's seat map and poster for admins: what there is, and forms that replace it, all without a script.

The forms carry files, so their token is read here, from the file's own form. What they do, the API's functions do.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.domain.pictures import UploadStatus
from app.domain.seatplan import SeatPlan, count_sections
from app.http.accounts.tokens import Session
from app.http.admin import seat_files as seatmaps
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.preview import preview
from app.http.admin.seat_files import SeatReport, Taken, UploadQuery
from app.http.events import cache as catalog
from app.http.events import posters
from app.http.events.view import event_view
from app.http.kit.csrf import FIELD, check_csrf
from app.http.kit.i18n import Texts, lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.kit.uploads import Upload, read_upload
from app.http.line.lookup import room_of
from app.http.state import State
from app.ledger import posters as posters_ledger
from app.ledger import seat_maps

SECTIONS_SHOWN_MAX = 60
SKIPPED_SHOWN_MAX = 5
REFRESH_S = 2  # while a worker has a picture
NO_OPTIONS = UploadQuery()


async def files_page(request: Request[State], _: Session) -> Response:
    return await _show(request)


async def _show(
    request: Request[State],
    *,
    seats: Problem | None = None,
    poster: Problem | None = None,
    taken: Taken | None = None,
    options: UploadQuery = NO_OPTIONS,
) -> Response:
    """The page; after a form, with what became of it."""
    state, t = request.state, texts_for(request)
    event = await catalog.known_event(state, request.path_params["event_id"])
    found = await seat_maps.current(state["db"], event.id)
    assert found is not None, "an event has a lane and so a map, if an empty one"
    now = found[0]
    upload = await posters_ledger.last_upload(state["db"], event.id)
    working = upload is not None and upload.status in (UploadStatus.waiting, UploadStatus.working)
    refused = seats or poster
    status = refused.status if refused else 422 if taken and taken.faults else 200
    shown = (taken.plan if taken else None) or now
    context = {
        "event": event_view(event, room_of(state, event), None, state["clock"].now(), lang_of(request)),
        "fixed": event.cancelled_at is not None or await seat_maps.is_reserved(state["db"], event.id),
        "map": _map(shown),
        "drawing": preview(shown),
        "report": taken.report if taken else None,
        "faults": [(fault.line, seatmaps.fault_words(t, fault)) for fault in taken.faults] if taken else [],
        "seats_refused": problem_words(t, seats) if seats else "",
        "poster_refused": _poster_words(t, poster) if poster else "",
        "example": _example(t, taken) if taken else "",
        "told": _told(t, taken.report) if taken else [],
        "options": options,
        "imported": taken.report.seats if taken and taken.report.imported else _imported(request),
        "working": working,
        "refresh_s": REFRESH_S if working and request.method == "GET" else 0,
        "poster_failed": t(f"events.picture.{upload.reason}") if upload and upload.reason else "",
    }
    words = ("admin.files.seats.unsent",)
    return page(request, "admin/seat_files.html", context, script={}, words=words, status=status)


def _map(plan: SeatPlan) -> dict[str, Any]:
    counts = plan.by_grade()
    sections = count_sections(plan.seats)
    return {
        "seats": len(plan.seats),
        "grades": [(name, price, counts[name]) for name, price in plan.grades.items()],
        "sections": sections[:SECTIONS_SHOWN_MAX],
        "more": max(0, len(sections) - SECTIONS_SHOWN_MAX),
    }


def _example(t: Texts, taken: Taken) -> str:
    """What the first label was taken for: `grade VIP, floor 1F, row A, number 12`."""
    return ", ".join(f"{t(f'admin.files.field.{kind}')} {value}" for kind, value in taken.report.read.example.items())


def _told(t: Texts, report: SeatReport) -> list[str]:
    """What became of parts of the file that are no seats on sale, in sentences."""
    read, found = report.read, []
    if read.ignored:
        found.append(t("admin.files.report.ignored", text=", ".join(read.ignored)))
    for each in read.twice:
        field = t(f"admin.files.field.{each.field}")
        found.append(t("admin.files.report.twice", field=field, taken=each.taken, left=each.left))
    if read.skipped_total:
        lines = "; ".join(f"{skipped.line}: {skipped.text}" for skipped in read.skipped[:SKIPPED_SHOWN_MAX])
        found.append(t("admin.files.report.skipped", n=read.skipped_total, text=lines))
    if report.blocked:
        found.append(t("admin.files.report.blocked", n=report.blocked))
    found += [f"{t(f'shop.seats.mark.{mark}')}: {t('common.seats', n=count)}" for mark, count in report.marks.items()]
    return found


def _poster_words(t: Texts, problem: Problem) -> str:
    reason = problem.extra.get("reason")
    return t(f"events.picture.{reason}") if problem.code == "picture_refused" else problem_words(t, problem)


def _imported(request: Request[State]) -> int:
    text = request.query_params.get("imported", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


async def send_seats(request: Request[State], who: Session) -> Response:
    """Check a file or make it the map; with bad lines, the page tells them all."""
    event_id = request.path_params["event_id"]
    options = NO_OPTIONS
    try:
        await seatmaps.require_replaceable(request.state, event_id)
        sent = await _sent(request, request.state["settings"].seat_file_bytes_max)
        options = seatmaps.options_of(NO_OPTIONS, sent)
        taken = await seatmaps.take_file(request.state, event_id, sent, options, who.email)
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        return await _show(request, seats=problem, options=options)
    if taken.report.imported and not taken.report.grades_gone and not _told(texts_for(request), taken.report):
        return see_other(f"/admin/events/{event_id}/files?imported={taken.report.seats}")
    return await _show(request, taken=taken, options=options)


async def send_poster(request: Request[State], who: Session) -> Response:
    event_id = request.path_params["event_id"]
    try:
        await catalog.known_event(request.state, event_id)
        sent = await _sent(request, request.state["settings"].poster_bytes_max)
        await posters.take_picture(request.state, event_id, sent, who.email)
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        return await _show(request, poster=problem)
    return see_other(f"/admin/events/{event_id}/files")


async def _sent(request: Request[State], limit: int) -> Upload:
    """The form's file, after its token was found to be ours. Raises Problem."""
    sent = await read_upload(request, limit, frozenset())
    check_csrf(request, sent.fields.get(FIELD, ""))
    return sent


async def remove_poster(request: Request[State], who: Session) -> Response:
    event_id = request.path_params["event_id"]
    await posters.take_away(request.state, event_id, who.email)
    return see_other(f"/admin/events/{event_id}/files")


routes = [
    admin_route("/admin/events/{event_id}/files", files_page),
    admin_route("/admin/events/{event_id}/files/seats", send_seats, "POST", "checked_by_page"),
    admin_route("/admin/events/{event_id}/files/poster", send_poster, "POST", "checked_by_page"),
    admin_route("/admin/events/{event_id}/files/poster/remove", remove_poster, "POST"),
]

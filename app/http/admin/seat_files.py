"""Seat maps from files, for admins: upload (or only check) a CSV or JSON, download the map there is.

Reading a file and storing a map happen in threads, and a map is replaced whole or not at all. The pages use the same
functions.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.labels import PARTS_MAX, Dimension
from app.domain.seatfile import Sheet, clean, read_sheet
from app.domain.seatfile_errors import Fault
from app.domain.seatplan import GRADES_MAX, LENGTH_MAX, Given, Reading, SeatPlan, read_plan
from app.domain.seatrows import rows_of
from app.domain.seatvalues import price_of
from app.http.accounts.admins import require_admin
from app.http.events import cache as catalog
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.i18n import TEXTS, Texts
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.kit.uploads import Upload, read_upload
from app.http.state import State
from app.ledger import audit_log, events, seat_maps

SECTIONS_TOLD_MAX = 500
CSV_TYPES = frozenset(
    {"text/csv", "application/csv", "text/tab-separated-values", "text/plain", "application/vnd.ms-excel"}
)
ACCEPTED = CSV_TYPES | {"application/json"}


class UploadQuery(Shape, frozen=True, kw_only=True):
    """`check`: only tell what would be made. `prices`: `VIP=150000;R=120000`. `grade`: of seats whose line names none.
    `dimensions`: what a label's parts name, as `grade,floor,row,number`, where that cannot be seen.
    """

    check: bool = False
    prices: str = ""
    grade: str = ""
    dimensions: str = ""


class SeatFile(Shape, frozen=True, kw_only=True):
    """Labels, or objects with members such as `grade`, `floor`, `section`, `row`, `number`, `price`, `x`, `y`."""

    seats: list[str | dict[str, str | int | float | None]]
    grades: dict[str, int] = msgspec.field(default_factory=dict)


class GradeTold(Shape, frozen=True, kw_only=True):
    name: str
    price: int
    seats: int


class SectionTold(Shape, frozen=True, kw_only=True):
    name: str
    rows: int
    seats: int


class FaultTold(Shape, frozen=True, kw_only=True):
    """`line` of a CSV, or the place of an item in JSON, from 1; 0 is the file as a whole."""

    line: int
    code: str
    reason: str


class ColumnTwice(Shape, frozen=True, kw_only=True):
    """Two columns that mean the same `field`: the heading that was taken, and the one that was not."""

    field: str
    taken: str
    left: str


class LineSkipped(Shape, frozen=True, kw_only=True):
    """A line that is no seat: a title, a rule, a total."""

    line: int
    text: str


class FileRead(Shape, frozen=True, kw_only=True):
    """How the file was understood: its columns, what divides its labels, and what the first label was taken for.

    `ignored`: headings that name nothing known. The first lines that are no seats are told, all are counted.
    """

    kind: str
    encoding: str
    fields: list[str]
    ignored: list[str]
    twice: list[ColumnTwice]
    skipped: list[LineSkipped]
    skipped_total: int
    separator: str | None
    dimensions: list[str]
    example: dict[str, str]


class SeatReport(Shape, frozen=True, kw_only=True):
    """`imported`: whether this is the event's map now. With faults, nothing is; the first are told, all are counted.

    `blocked`: seats that are not put on sale, by their state or type; `marks`: how many seats have each.
    `grades_gone`: those of the event that no seat of the file has; with their seats they go, and their prices.
    """

    imported: bool
    seats: int
    grades: list[GradeTold]
    sections: list[SectionTold]
    sections_total: int
    read: FileRead
    faults: list[FaultTold]
    faults_total: int
    version: int | None = None
    blocked: int = 0
    marks: dict[str, int] = msgspec.field(default_factory=dict)
    grades_gone: tuple[str, ...] = ()


async def upload(request: Request[State]) -> Response:
    """201 with what was made; 200 with what would be for `?check=1`; 422 with every bad line otherwise."""
    admin = await require_admin(request)
    event_id = request.path_params["event_id"]
    await require_replaceable(request.state, event_id)
    query = query_of(request, UploadQuery)
    sent = await read_upload(request, request.state["settings"].seat_file_bytes_max, ACCEPTED)
    options = options_of(query, sent)
    report = (await take_file(request.state, event_id, sent, options, admin.email)).report
    if report.faults and not options.check:
        raise _bad_file(report)
    return json_answer(report, 201 if report.imported else 200)


def options_of(query: UploadQuery, sent: Upload) -> UploadQuery:
    """What the form says, where it says something, else the query. Raises Problem 422."""
    said = {name: sent.fields[name] for name in ("check", "prices", "grade", "dimensions") if sent.fields.get(name)}
    if "check" in said:
        return msgspec.structs.replace(query, **{**said, "check": said["check"] not in ("0", "false")})
    return msgspec.structs.replace(query, **said)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file: with `faults`, nothing."""

    report: SeatReport
    plan: SeatPlan | None
    faults: list[Fault]


async def take_file(state: State, event_id: str, sent: Upload, options: UploadQuery, who: str) -> Taken:
    """Read a file and, unless it is faulty or only to be checked, make it the event's map. Raises Problem for anything
    but the file's own faults.
    """
    given = await _given(state, event_id, options)
    kind = "" if not sent.media_type else "json" if sent.media_type == "application/json" else "csv"
    sheet, reading = await asyncio.to_thread(_read, sent.data, kind, given)
    version = None
    if reading.plan is not None and not options.check:
        version = await _store(state, event_id, reading.plan, who)
    removed = () if reading.plan is None else tuple(name for name in given.grades if name not in reading.plan.grades)
    report = msgspec.structs.replace(report_of(sheet, reading, version), grades_gone=removed)
    return Taken(report, reading.plan, reading.faults.kept)


def _read(data: bytes, kind: str, given: Given) -> tuple[Sheet, Reading]:
    sheet = read_sheet(data, kind)
    return sheet, read_plan(sheet, given)


async def _store(state: State, event_id: str, plan: SeatPlan, who: str) -> int:
    """Replace the map, then tell every process; this one shows it when this returns."""
    version = await seat_maps.replace(state["db"], event_id, plan, who=who, now=state["clock"].now())
    if isinstance(version, seat_maps.Unchanged):
        raise _cannot(version, event_id)
    await catalog.changed(state, event_id)
    await catalog.map_changed(state, event_id, version)
    return version


async def require_replaceable(state: State, event_id: str) -> events.Event:
    """The event, if its map may still change. Raises Problem 404 or 409."""
    event = await catalog.known_event(state, event_id)
    if event.cancelled_at is not None:
        raise _cannot(seat_maps.Unchanged.cancelled, event_id)
    if await seat_maps.is_reserved(state["db"], event_id):
        raise _cannot(seat_maps.Unchanged.reserved, event_id)
    return event


def _cannot(why: seat_maps.Unchanged, event_id: str) -> Problem:
    match why:
        case seat_maps.Unchanged.unknown_event:
            return Problem("event_unknown", event_id=event_id)
        case seat_maps.Unchanged.cancelled:
            return Problem("event_cancelled.admin")
        case seat_maps.Unchanged.reserved:
            return Problem("event_has_reservations")


def _bad_file(report: SeatReport) -> Problem:
    first = report.faults[0]
    detail = f"Nothing was imported: {report.faults_total} bad lines. The first, line {first.line}: {first.reason}"
    told = msgspec.to_builtins(report)
    extra = {name: told[name] for name in ("faults", "faultsTotal", "read")}
    return Problem("seat_file_invalid", why=detail if detail.endswith((".", "?", "!")) else f"{detail}.", **extra)


async def _given(state: State, event_id: str, options: UploadQuery) -> Given:
    event = await catalog.known_event(state, event_id)
    now = await seat_maps.current(state["db"], event_id)
    if now is None:
        raise _cannot(seat_maps.Unchanged.unknown_event, event_id)
    plan, _ = now
    return Given(
        grades={grade.name: grade.price for grade in event.grades},
        prices=prices_in(options.prices),
        grade=_grade(options.grade),
        order=_order(options.dimensions),
        current=plan.seats,
        drawing=plan.drawing,
    )


def prices_in(text: str) -> dict[str, int]:
    """`VIP=150,000원; R=120000` or one a line. Raises Problem 422."""
    prices: dict[str, int] = {}
    for part in filter(str.strip, re.split(r"[;\n\r]|,(?!\d{3}(?!\d))", text)):
        name, found, price_text = part.rpartition("=") if "=" in part else part.rpartition(":")
        price = price_of(price_text)
        if not found or price is None or not clean(name):
            raise Problem("prices_invalid", given=part.strip()[:60])
        prices[_grade(name)] = price
    if len(prices) > GRADES_MAX:
        raise Problem("prices_invalid.many", limit=GRADES_MAX)
    return prices


def _grade(name: str) -> str:
    name = clean(name)
    if len(name) > LENGTH_MAX["grade"] or not name.isprintable():
        raise Problem("grade_invalid", limit=LENGTH_MAX["grade"])
    return name


def _order(text: str) -> tuple[Dimension, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in Dimension.__members__]
    if unknown or len(names) > PARTS_MAX or len(set(names)) < len(names):
        allowed = ", ".join(Dimension)
        raise Problem("dimensions_invalid", allowed=allowed)
    return tuple(Dimension(name) for name in names)


def report_of(sheet: Sheet, reading: Reading, version: int | None = None) -> SeatReport:
    plan, scheme = reading.plan, reading.scheme
    sections = plan.sections() if plan else []
    by_grade = plan.by_grade() if plan else {}
    grades = plan.grades.items() if plan else ()
    return SeatReport(
        imported=version is not None,
        version=version,
        seats=len(plan.seats) if plan else 0,
        blocked=len(plan.blocked) if plan else 0,
        marks=dict(Counter(mark for seat in plan.seats for mark in seat.marks)) if plan else {},
        grades=[GradeTold(name=name, price=price, seats=by_grade[name]) for name, price in grades],
        sections=[SectionTold(name=s.name, rows=s.rows, seats=s.seats) for s in sections[:SECTIONS_TOLD_MAX]],
        sections_total=len(sections),
        read=FileRead(
            kind=sheet.kind,
            encoding=sheet.encoding,
            fields=list(sheet.fields),
            ignored=list(sheet.ignored),
            twice=[ColumnTwice(field=field, taken=taken, left=left) for field, taken, left in sheet.twice],
            skipped=[LineSkipped(line=line, text=text) for line, text in sheet.skipped.kept],
            skipped_total=sheet.skipped.total,
            separator=scheme.separator if scheme else None,
            dimensions=[kind.value for kind in scheme.dimensions] if scheme else [],
            example=reading.example[1] if reading.example else {},
        ),
        faults=[
            FaultTold(line=fault.line, code=fault.code, reason=fault_words(TEXTS["en"], fault))
            for fault in reading.faults.kept
        ],
        faults_total=reading.faults.total,
    )


def fault_words(t: Texts, fault: Fault) -> str:
    """The fault as a sentence."""
    named = t(f"admin.files.field.{fault.field}") if fault.field else ""
    return t(f"admin.files.fault.{fault.code}", value=fault.value, field=named, other=fault.other)


async def download(request: Request[State]) -> Response:
    """The map as CSV, to be changed and uploaded again. UTF-8 with its mark, so that Excel reads the Korean. Who took
    it is kept in the trail, as of every export.
    """
    admin = await require_admin(request)
    event_id = request.path_params["event_id"]
    now = await seat_maps.current(request.state["db"], event_id)
    if now is None:
        raise _cannot(seat_maps.Unchanged.unknown_event, event_id)
    await audit_log.record(
        request.state["db"],
        who=admin.email,
        action="seats.export",
        subject=event_id,
        event_id=event_id,
        change={"seats": len(now[0].seats)},
        now=request.state["clock"].now(),
    )
    body = await asyncio.to_thread(_as_csv, now[0])
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''seats-{quote(event_id, safe='')}.csv",
        "cache-control": "no-store",
    }
    return Response(body, 200, headers, "text/csv; charset=utf-8")


def _as_csv(plan: SeatPlan) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows_of(plan))
    return text.getvalue().encode("utf-8-sig")


_FILE_REFUSALS = (
    *("media_type_unsupported", "encoding_unsupported", "file_missing", "form_malformed"),
    *("seat_file_invalid", "prices_invalid", "grade_invalid", "dimensions_invalid"),
)

routes = [
    ApiRoute(
        "POST",
        "/api/admin/events/{event_id}/seats",
        upload,
        summary="Replace the seat map by that of a CSV or JSON file; every bad line is told.",
        who=Who.admin,
        query=UploadQuery,
        body=SeatFile,
        answers={200: SeatReport, 201: SeatReport},
        refusals=(*_FILE_REFUSALS, "event_cancelled.admin", "event_has_reservations"),
    ),
    ApiRoute(
        "GET",
        "/api/admin/events/{event_id}/seats",
        download,
        summary="The seat map as CSV, which can be uploaded again.",
        who=Who.admin,
        answers={200: "text/csv"},
    ),
]

"""`tiketi seats`: blocks, releases, regrades, marks and adds seats, during a sale too; what is reserved stays as it is.

Works on SQL alone, in one transaction; where Redis answers, running processes show it at once.
"""

from __future__ import annotations

import argparse
import asyncio
from itertools import islice

from app.cache.notices import Notices
from app.connections import REDIS_FAILURES, open_redis, store_of_command, utc_now
from app.control.changed_maps import tell_map_changed
from app.domain.added_seats import ADDED_MAX, NewSeat, Refusal, WhyNot
from app.domain.reservation import SeatSnapshot, seat_id
from app.domain.seat_choice import BadNumbers, Numbers, choose, each_of, numbers_of
from app.domain.seatplan import SEATS_MAX
from app.domain.seatvalues import MARKS
from app.lane.streams import LaneStreams
from app.ledger import events, seat_additions, seat_changes
from app.ledger.database import Database
from app.ledger.seat_changes import Changed, Refused, SeatAction, SeatChange
from app.run.console import ConsoleError, who
from app.run.telling import Tell
from config.settings import Settings

REDIS_ANSWER_S = 2.0
NOT_TOLD = "Redis does not answer: open maps show it after the next hold, the event's pages within a minute."


async def change(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    """Do to the seats what the arguments say, and tell how many. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        hall = await events.seat_snapshot(db, args.event)
        if hall is None:
            raise ConsoleError(f"There is no event {args.event!r}.")
        done = await _done(db, hall, args, _numbers(args.numbers))
    kept = len(done.reserved)
    words = f"{args.event}: {len(done.changed)} seats {'added' if args.action == 'add' else 'changed'}"
    tell(
        {
            "event": args.event,
            "seatIds": [seat_id(idx) for idx in done.changed],
            "reservedSeatIds": [seat_id(idx) for idx in done.reserved],
            "version": done.version,
        },
        f"{words}; {kept} are held or sold and stay as they are." if kept else f"{words}.",
    )
    if not await _told(settings, args.event, done.version):
        tell.words(NOT_TOLD)


async def _done(db: Database, hall: SeatSnapshot, args: argparse.Namespace, numbers: Numbers) -> Changed:
    if args.action == "add":
        wanted = [
            NewSeat(
                section=args.section,
                row=args.row,
                number=name.number,
                name=name.written,
                grade=args.grade,
                marks=tuple(mark for mark in MARKS if mark in args.mark),
            )
            for name in islice(each_of(numbers), ADDED_MAX + 1)
        ]
        if not wanted or not args.row:
            raise ConsoleError("Seats are added by --row and --numbers.")
        done = await seat_additions.add(db, args.event, wanted, who=who(), now=utc_now())
    else:
        seats = choose(hall.seats, args.section, args.row, numbers)
        if not seats:
            raise ConsoleError("There is no such seat in this hall.")
        spec = SeatChange(
            action=SeatAction(args.action),
            seats=seats,
            grade=args.grade,
            marks=[mark for mark in MARKS if mark in args.mark],
        )
        done = await seat_changes.change(db, args.event, spec, who=who(), now=utc_now())
    if isinstance(done, Changed):
        return done
    raise ConsoleError(_why_not(done, args.grade))


def _why_not(refused: Refused | Refusal, grade: str) -> str:
    why = refused.why if isinstance(refused, Refusal) else refused
    match why:
        case Refused.unknown_event:
            return "There is no such event."
        case Refused.cancelled:
            return "This event is cancelled: nothing of it can be changed."
        case Refused.unknown_seat:
            return "The map was replaced meanwhile. Say it again."
        case Refused.unknown_grade | WhyNot.grade:
            return f"This event has no grade {grade!r}: say one with --grade."
        case WhyNot.twice:
            return "The hall has such a seat already."
        case WhyNot.point_taken:
            return "Another seat stands where one of these would, or it would be outside of the drawing."
        case WhyNot.too_many:
            return f"A map may have {SEATS_MAX:,} seats, and {ADDED_MAX:,} may be added at a time."


def _numbers(text: str) -> Numbers:
    try:
        return numbers_of(text)
    except BadNumbers as error:
        raise ConsoleError(f"{error} names no seats. Write 1-10,12,12A.") from None


async def _told(settings: Settings, event_id: str, version: int) -> bool:
    """Whether Redis took it."""
    redis = open_redis(settings)
    try:
        async with asyncio.timeout(REDIS_ANSWER_S):
            await tell_map_changed(Notices(redis), LaneStreams(redis), event_id, version)
    except (*REDIS_FAILURES, OSError):  # TimeoutError is an OSError
        return False
    finally:
        await redis.aclose()
    return True

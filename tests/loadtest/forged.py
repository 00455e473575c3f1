"""A small run that is in order in every respect, and ways to forge it, for tests of the verdict.

Five people: 1 polls, 2 streams, 3 leaves, 4 is away and comes back, 5 polls. Numbers are sessions. Rate 2 per second,
burst 2, capacity 3. 1 buys seats 0 and 1, 2 lets a hold of seat 2 run out, then 5 buys seat 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from loadtest.plan import Ending, Kind, Visit
from loadtest.records import (
    Call,
    CrowdLine,
    Held,
    Joined,
    LaneEntry,
    LaneOutcome,
    PositionSeen,
    Records,
    RoomEntry,
    RoomSettings,
    RoomStart,
    Run,
    Sale,
    SessionEnded,
    Settled,
    Stores,
    Streamed,
)

T0 = 1_700_000_000_000
KINDS = (Kind.poll, Kind.stream, Kind.abandon, Kind.away, Kind.poll)
SETTINGS = RoomSettings(state="open", rate_per_s=2.0, burst=2, max_active=3)
REV = 100


def at(seconds: float) -> int:
    return T0 + round(seconds * 1000)


def visit(session: int, kind: Kind) -> Visit:
    return Visit(
        session=session,
        person=session,
        kind=kind,
        arrives_s=0.1 * session,
        ending=Ending.pay,
        wish=None,
        quantity=1,
        picks_seats=False,
        think_s=1.0,
        gives_up_after_s=1.0,
    )


def joined(number: int, sent_s: float, session: int = 0, **given: Any) -> Joined:
    session = session or number
    fields = {"status": 201, "holder": f"holder-{session}", **given}
    return Joined(session=session, number=number, sent_ms=at(sent_s), received_ms=at(sent_s + 0.05), **fields)


def polled(number: int, at_s: float, state: str = "waiting", session: int = 0, **given: Any) -> PositionSeen:
    session = session or number
    return PositionSeen(
        session=session, via="poll", sent_ms=at(at_s - 0.01), at_ms=at(at_s), number=number, state=state, **given
    )


def clean() -> Records:
    return Records(
        run=Run(
            started="2023-11-14T22:13:20+00:00",
            host="http://127.0.0.1:8000",
            event_id="gig",
            users=5,
            seed=1,
            duration_s=30,
            rate_per_s=5,
            own=True,
            opening_ms=at(0),
            ended_ms=at(30),
            presence_window_s=8,
            presence_flush_s=1,
        ),
        visits=[visit(session, kind) for session, kind in enumerate(KINDS, start=1)],
        crowd=_crowd(),
        room_start=RoomStart(at_ms=at(-1), rev=REV, epoch=1, cursor=0, number=0, settings=SETTINGS),
        room=_room(),
        lane=_lane(),
        stores=_stores(),
    )


def _crowd() -> list[CrowdLine]:
    return [
        *(joined(number, 0.1 * number) for number in range(1, 6)),
        Call(session=1, call="join", sent_ms=at(0.1), received_ms=at(0.15), status=201),
        joined(1, 0.9, status=200, again=True),
        polled(4, 1.0, ahead=3, eta_s=(5, 30)),
        Streamed(session=2, opened_ms=at(0.3), closed_ms=at(1.1)),
        PositionSeen(session=2, via="stream", sent_ms=at(0.3), at_ms=at(1.05), number=2, state="admitted", rev=REV + 1),
        polled(1, 1.2, "admitted"),
        Held(
            session=1, sent_ms=at(1.4), received_ms=at(1.5), reservation="r_1", seats=["s0", "s1"], expires_ms=at(9.4)
        ),
        Settled(session=1, how="paid", sent_ms=at(2), received_ms=at(2.1), reservation="r_1"),
        SessionEnded(session=1, at_ms=at(2.1), how="paid"),
        Held(session=2, sent_ms=at(1.5), received_ms=at(1.6), reservation="r_2", seats=["s2"], expires_ms=at(9.5)),
        SessionEnded(session=3, at_ms=at(0.8), how="leave"),
        polled(5, 11.5),
        polled(5, 12.1, "admitted"),
        polled(4, 14.0),
        Held(session=5, sent_ms=at(12.2), received_ms=at(12.3), reservation="r_5", seats=["s2"], expires_ms=at(20.2)),
        Settled(session=5, how="paid", sent_ms=at(12.5), received_ms=at(12.6), reservation="r_5"),
        polled(4, 14.7, "admitted"),
    ]


def _room() -> list[RoomEntry]:
    return [
        RoomEntry(rev=REV + 1, kind="admit", at_ms=at(1), cursor=2, number=5, admitted=[1, 2]),
        RoomEntry(rev=REV + 2, kind="left", at_ms=at(1.1), number=3, ended=[3]),
        RoomEntry(rev=REV + 3, kind="claim", at_ms=at(1.3), number=1),
        RoomEntry(rev=REV + 4, kind="left", at_ms=at(2.1), number=1, ended=[1]),
        RoomEntry(rev=REV + 5, kind="admit", at_ms=at(12), cursor=5, number=5, admitted=[5], skipped=[4]),
        RoomEntry(rev=REV + 6, kind="left", at_ms=at(12.6), number=5, ended=[5]),
        RoomEntry(rev=REV + 7, kind="admit", at_ms=at(14.5), cursor=5, number=5, admitted=[4]),
        RoomEntry(rev=REV + 8, kind="lapse", at_ms=at(20.5), ended=[2]),
    ]


def _lane() -> list[LaneEntry]:
    def did(at_s: float, version: int, status: str, reservation: str, *seats: int) -> LaneEntry:
        outcome = LaneOutcome(command=f"{status}:{reservation}", status=status, reservation=reservation, seats=[*seats])
        return LaneEntry(at_ms=at(at_s), version=version, outcomes=[outcome])

    return [
        did(1.45, 1, "held", "r_1", 0, 1),
        did(1.55, 2, "held", "r_2", 2),
        did(2.05, 3, "confirmed", "r_1", 0, 1),
        did(9.8, 4, "expired", "r_2", 2),
        did(12.25, 5, "held", "r_5", 2),
        did(12.55, 6, "confirmed", "r_5", 2),
    ]


def sale(number: int, status: str, made_s: float, *seats: int, ended_s: float | None = None) -> Sale:
    return Sale(
        id=f"r_{number}",
        status=status,
        holder=f"holder-{number}",
        created_ms=at(made_s),
        expires_ms=at(made_s + 8),
        ended_ms=None if ended_s is None else at(ended_s),
        seats=[*seats],
        live_seats=[*seats] if status in ("pending", "confirmed") else [],
        epoch=1,
        number=number,
        payments=["captured"] if status == "confirmed" else [],
    )


def _stores() -> Stores:
    return Stores(
        at_ms=at(30),
        epoch=1,
        number=5,
        cursor=5,
        rev=REV + 8,
        ended_places={1, 2, 3, 5},
        lapsed={2},
        admitted={4},
        holders={f"holder-{number}": number for number in range(1, 6)},
        sales=[
            sale(1, "confirmed", 1.4, 0, 1),
            sale(2, "expired", 1.5, 2, ended_s=9.7),
            sale(5, "confirmed", 12.2, 2),
        ],
        seats=[2, 2, 2, 0],
    )


Forge = Callable[[Records], Records]


def with_crowd(*lines: CrowdLine) -> Forge:
    """The same run, in which this happened too."""
    return lambda run: replace(run, crowd=[*run.crowd, *lines])


def with_room(rev: int, **fields: Any) -> Forge:
    """The same run, with this entry of the room log (counted from 1) changed."""
    return lambda run: replace(
        run, room=[replace(entry, **fields) if entry.rev == REV + rev else entry for entry in run.room]
    )


def with_stores(**fields: Any) -> Forge:
    def forge(run: Records) -> Records:
        assert run.stores is not None
        return replace(run, stores=replace(run.stores, **fields))

    return forge


def with_sales(*sales: Sale, seats: list[int] | None = None) -> Forge:
    """The same run, with these reservations in place of those of the same id, or beside them."""

    def forge(run: Records) -> Records:
        assert run.stores is not None
        by_id = {sale.id: sale for sale in (*run.stores.sales, *sales)}
        stores = replace(run.stores, sales=list(by_id.values()), seats=seats or run.stores.seats)
        return replace(run, stores=stores)

    return forge


def with_lane(*entries: LaneEntry) -> Forge:
    return lambda run: replace(run, lane=[*run.lane, *entries])

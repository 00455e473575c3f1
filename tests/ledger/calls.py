"""A call of every function of the ledger that talks to the database, on the data that `loadtest.past_sales` makes.

`CALLS` is by `module.function`, with one more part to the name where a function has several ways. `done` says which
functions that covers, so that a test can ask for those that are missing.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import app.ledger
from app.domain.added_seats import NewSeat
from app.domain.charge import Charge, ChargeStatus, Refund, SimulatedCharge
from app.domain.hall import Drawing
from app.domain.passing import Mode, PassAlgorithm
from app.domain.pictures import PictureFault
from app.domain.reservation import (
    Batch,
    Payment,
    PaymentStatus,
    Reservation,
    ReservationStatus,
    SeatStatus,
)
from app.domain.sale import SaleStatus
from app.domain.seatplan import SeatPlan
from app.domain.wish import Wish
from app.ledger import (
    account_admin,
    audit,
    audit_log,
    charges,
    draws,
    editing,
    events,
    figures,
    gateway_book,
    money_audit,
    origin_logos,
    origins,
    places,
    posters,
    reservation_search,
    reservations,
    retention,
    room_windows,
    rooms,
    seat_additions,
    seat_changes,
    seat_maps,
    seats,
    statistics,
    users,
    waitlist,
)
from app.ledger.audit_log import AuditFilter
from app.ledger.database import Database
from app.ledger.events import AdminAction, EventSpec, GradeSpec, Search
from app.ledger.reservation_search import ReservationFilter
from loadtest.past_sales import Size, Sold, When, charge_id, holder_id, reservation_id

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AGO = NOW - timedelta(hours=1)
SIZE = Size(
    sold=(
        Sold(when=When.past, events=6, seats=300, reservations=300),
        Sold(when=When.live, events=2, seats=600, reservations=600, pending=20),
        Sold(when=When.coming, events=3, seats=100),
    ),
    users=100,
    audit_entries=300,
)
LIVE, PAST, COMING = "live-0", "past-0", "coming-0"
MARKS = rooms.RoomMarks(event_id=LIVE, epoch=1, generation=0, number=9, cursor=7, revision=1)
SOLD = reservation_id(LIVE, 0)
HELD = reservation_id(LIVE, 590)
HOLDERS = [holder_id(LIVE, n) for n in range(3)]
PAGE = (AGO, SOLD)
ELSEWHERE = users.LoginElsewhere(issuer="https://id.example.com", subject="1")
BY = AdminAction("a@example.com", "event.edit", {})
KEPT = timedelta(days=399, hours=22)
KEEP = retention.Keep(sales=timedelta(days=1), audit=KEPT)
WHO: dict[str, Any] = {"who": "a@example.com", "now": NOW}

Call = Callable[[Database], Awaitable[object]]


def charge(name: str = "c-new", of: str = HELD, **values: Any) -> Charge:
    given = {"status": ChargeStatus.started, "created_at": NOW, "next_at": NOW, "key": name, **values}
    return Charge(id=name, reservation_id=of, event_id=LIVE, method="kakao_pay", amount=1, **given)


KNOWN = charge(charge_id(LIVE, 0), SOLD, status=ChargeStatus.settled)
REFUND = Refund(id=1, part=0, reference="c-0", amount=1, tries=0, next_at=NOW, provider="simulator")
BOOKED = SimulatedCharge(
    charge_id=charge_id(LIVE, 0),
    method="kakao_pay",
    amount=1,
    status="captured",
    reason="",
    settles_at=None,
    webhook_at=None,
    webhooks_left=0,
)
MADE = posters.Made(hash="p1", width=1, height=1, large=b"1", thumb=b"1")
TAKEN = posters.Taken("up-1", LIVE, "src", b"1")
PLAN = SeatPlan(grades={"R": 1}, seats=[], drawing=Drawing((0.0, 0.0), {}))
DRAW = draws.Draw(
    event_id=LIVE,
    epoch=1,
    seed=bytes(32),
    secret=bytes(32),
    entries=None,
    people=None,
    root=None,
    round=None,
    signature=None,
    drawn_at=None,
)

ORIGIN = origins.Origin(
    id="shop",
    name="Shop",
    hosts=["shop.example"],
    target_url="https://shop.example/",
    customer_id="shop",
    look={},
    logo=None,
    frame_ancestors=[],
    bind_tokens=False,
    secret=b"sealed",
    secret_before=None,
    api_key=bytes(32),
    api_key_before=None,
    before_until=None,
    version=1,
    created_at=NOW,
)
LOGO = {"name": "name", "width": 120, "height": 40}
ORIGIN_ROOM = origins.OriginRoom(
    id="shop-sale",
    origin_id="shop",
    name="Sale",
    translations={},
    opens_at=NOW,
    closes_at=None,
    mode=Mode.always,
    pass_s=600,
    pass_algorithm=PassAlgorithm.EdDSA,
    target_url=None,
    rules=[],
    version=1,
    created_at=NOW,
    config={},
)


def spec(event_id: str) -> EventSpec:
    ends_at = NOW + timedelta(days=9)
    return EventSpec(
        id=event_id,
        title="A",
        venue="B",
        starts_at=ends_at,
        opens_at=NOW,
        grades=[GradeSpec(name="R", price=1)],
        seats=[events.SeatSpec(section="A", row="1", number=1, grade="R", x=0, y=0)],
    )


@dataclass
class Decided:
    batch: Batch


async def apply(db: Database) -> None:
    """A batch with one of each write."""
    fenced = await seats.take_fence(db, LIVE)
    assert fenced is not None
    made = Reservation(
        id="r-new",
        event_id=LIVE,
        holder="h-new",
        status=ReservationStatus.pending,
        seats=(500,),
        prices=(1,),
        total_price=1,
        created_at=NOW,
        expires_at=NOW,
        epoch=1,
        number=1_000,
    )
    paid = Payment(reservation_id=HELD, method="m", reference="c", amount=1, status=PaymentStatus.captured)
    late = Payment(reservation_id=SOLD, method="m", reference="c2", amount=1, status=PaymentStatus.refund_due)
    (entry, _) = await waitlist.join(db, LIVE, "h-offered", Wish(quantity=1), NOW)
    batch = Batch(
        version=fenced.version + 1,
        moves={(SeatStatus.available, SeatStatus.held): [500]},
        transitions={
            (ReservationStatus.pending, ReservationStatus.confirmed): [HELD],
            (ReservationStatus.confirmed, ReservationStatus.refunded): [reservation_id(LIVE, 1)],
        },
        made=[made],
        payments=[paid, late],
        refunds=[reservation_id(LIVE, 1)],
        replies=[("hold:new", "{}")],
        offers=[(entry.id, "r-new")],
    )
    known = [reservation_id(LIVE, 1)]
    decided = await seats.apply(db, fenced, LIVE, ["hold:1"], known, lambda _: Decided(batch), NOW, HOLDERS, [HELD])
    assert decided is not None


async def read_through(portions: AsyncIterator[object]) -> None:
    """Every portion of them."""
    async for _ in portions:
        pass


CALLS: dict[str, Call] = {
    "account_admin.search": lambda db: account_admin.search(db, words=None, role=None, after=PAGE, limit=20),
    "account_admin.search.words": lambda db: account_admin.search(db, words="u-1", role="buyer", after=None, limit=20),
    "account_admin.get": lambda db: account_admin.get(db, "u-1"),
    "account_admin.set_role": lambda db: account_admin.set_role(db, "u-1", "admin", **WHO),
    "account_admin.set_role.back": lambda db: account_admin.set_role(db, "u-1", "buyer", **WHO),
    "account_admin.disable": lambda db: account_admin.disable(db, "u-1", **WHO),
    "account_admin.enable": lambda db: account_admin.enable(db, "u-1", **WHO),
    "account_admin.set_password": lambda db: account_admin.set_password(db, "u-1", "", **WHO),
    "account_admin.verify": lambda db: account_admin.verify(db, "u-1", **WHO),
    "account_admin.unverify": lambda db: account_admin.unverify(db, "u-1", **WHO),
    "account_admin.ended_since": lambda db: account_admin.ended_since(db, AGO),
    "audit.books": lambda db: read_through(audit.books(db, LIVE, NOW)),
    "audit.number_bound": lambda db: audit.number_bound(db, LIVE),
    "audit_log.record": lambda db: audit_log.record(
        db, action="event.edit", subject=LIVE, event_id=LIVE, change={}, **WHO
    ),
    "audit_log.listed": lambda db: audit_log.listed(db, AuditFilter(), 50),
    "audit_log.listed.who": lambda db: audit_log.listed(db, AuditFilter(who="a@example.com", before=100), 50),
    "audit_log.listed.action": lambda db: audit_log.listed(db, AuditFilter(action="event.edit"), 50),
    "audit_log.listed.subject": lambda db: audit_log.listed(db, AuditFilter(subject=LIVE), 50),
    "audit_log.listed.event": lambda db: audit_log.listed(db, AuditFilter(event_id=LIVE), 50),
    "audit_log.listed.time": lambda db: audit_log.listed(db, AuditFilter(since=AGO, until=NOW), 50),
    "audit_log.last_of": lambda db: audit_log.last_of(db, ("user.role",), AGO, 50),
    "audit_log.room_changes": lambda db: audit_log.room_changes(db, LIVE, 50),
    "charges.begin": lambda db: charges.begin(db, charge()),
    "charges.get": lambda db: charges.get(db, KNOWN.id),
    "charges.transition": lambda db: charges.transition(db, KNOWN, ChargeStatus.settled),
    "charges.note_returned": lambda db: charges.note_returned(db, KNOWN, NOW),
    "charges.due": lambda db: charges.due(db, NOW, 50),
    "charges.claim": lambda db: charges.claim(db, KNOWN, NOW),
    "charges.payment_of": lambda db: charges.payment_of(db, KNOWN),
    "charges.due_refunds": lambda db: charges.due_refunds(db, NOW, 50),
    "charges.paid_back": lambda db: charges.paid_back(db, KNOWN),
    "charges.claim_refund": lambda db: charges.claim_refund(db, REFUND, NOW),
    "charges.refund_done": lambda db: charges.refund_done(db, REFUND, NOW),
    "charges.postpone_refund": lambda db: charges.postpone_refund(db, REFUND, NOW),
    "charges.money_of": lambda db: charges.money_of(db, [SOLD, HELD]),
    "draws.get": lambda db: draws.get(db, LIVE, 1),
    "draws.commit": lambda db: draws.commit(db, LIVE, 1, DRAW.seed, DRAW.secret),
    "draws.name_round": lambda db: draws.name_round(db, DRAW, None),
    "draws.fix": lambda db: draws.fix(db, DRAW, 0, 0, bytes(32), None),
    "draws.take": lambda db: draws.take(db, DRAW, b""),
    "draws.reveal": lambda db: draws.reveal(db, DRAW, NOW),
    "origins.create": lambda db: origins.create(db, ORIGIN, BY, NOW),
    "origins.edit": lambda db: origins.edit(db, "shop", {"name": "B"}, BY, NOW, 1),
    "origin_logos.put": lambda db: origin_logos.put(db, "shop", LOGO, b"picture", BY, NOW),
    "origin_logos.read": lambda db: origin_logos.read(db, ["name"]),
    "origins.has_room": lambda db: origins.has_room(db, ORIGIN_ROOM.id),
    "origins.create_room": lambda db: origins.create_room(db, ORIGIN_ROOM, BY, NOW),
    "origins.edit_room": lambda db: origins.edit_room(db, "shop-sale", {"name": "B"}, BY, NOW),
    "origins.listed": lambda db: origins.listed(db),
    "origins.listed_rooms": lambda db: origins.listed_rooms(db),
    "origins.stamps": lambda db: origins.stamps(db),
    "origins.remove_room": lambda db: origins.remove_room(db, "other-sale", 7, BY, NOW),
    "origins.remove": lambda db: origins.remove(db, "other", BY, NOW),
    "editing.edit": lambda db: editing.edit(
        db, LIVE, editing.Edit(values={"title": "B"}, grades=[GradeSpec(name="R", price=2)]), BY, NOW
    ),
    "editing.cancel": lambda db: editing.cancel(db, "coming-1", BY, NOW),
    "room_windows.open_now": lambda db: room_windows.open_now(db, "coming-2", NOW),
    "events.create": lambda db: events.create(db, spec("new"), NOW, BY),
    "events.search": lambda db: events.search(db, Search(), NOW),
    "events.search.text": lambda db: events.search(db, Search(text="hall"), NOW),
    "events.search.status": lambda db: events.search(db, Search(text="hall", status=SaleStatus.on_sale), NOW),
    "events.free_seats": lambda db: events.free_seats(db, NOW),
    "events.get": lambda db: events.get(db, LIVE),
    "room_windows.with_room": lambda db: room_windows.with_room(db, NOW),
    "room_windows.get": lambda db: room_windows.get(db, LIVE),
    "events.seat_snapshot": lambda db: events.seat_snapshot(db, LIVE),
    "figures.read": lambda db: figures.read(db, [LIVE, "live-1"]),
    "gateway_book.record": lambda db: gateway_book.record(db, BOOKED, NOW),
    "gateway_book.find": lambda db: gateway_book.find(db, BOOKED.charge_id),
    "gateway_book.changed_since": lambda db: gateway_book.changed_since(db, AGO, "", 100),
    "gateway_book.refund": lambda db: gateway_book.refund(db, BOOKED, NOW),
    "gateway_book.refund_part": lambda db: gateway_book.refund_part(db, BOOKED.charge_id, 1, 1, NOW),
    "gateway_book.capture_due": lambda db: gateway_book.capture_due(db, NOW, 50),
    "gateway_book.claim_webhooks": lambda db: gateway_book.claim_webhooks(db, NOW, timedelta(seconds=1), 50),
    "gateway_book.webhook_sent": lambda db: gateway_book.webhook_sent(
        db, BOOKED, accepted=True, again_in=timedelta(seconds=1), now=NOW
    ),
    "gateway_book.fault_profiles": lambda db: gateway_book.fault_profiles(db),
    "gateway_book.set_fault_profile": lambda db: gateway_book.set_fault_profile(db, "kakao_pay", {}),
    "money_audit.charge_pages": lambda db: read_through(money_audit.charge_pages(db, LIVE)),
    "money_audit.charges_of": lambda db: money_audit.charges_of(db, LIVE, [KNOWN.id]),
    "money_audit.first_charge_at": lambda db: money_audit.first_charge_at(db, [LIVE]),
    "money_audit.charge_records": lambda db: money_audit.charge_records(db, LIVE),
    "money_audit.not_ours": lambda db: money_audit.not_ours(db, "simulator", [KNOWN.id]),
    "money_audit.undone": lambda db: money_audit.undone(db, LIVE, NOW),
    "money_audit.undone.all": lambda db: money_audit.undone(db, LIVE),
    "places.records": lambda db: places.records(db, LIVE, 1),
    "places.replies": lambda db: places.replies(db, LIVE, ["hold:1"]),
    "posters.begin": lambda db: posters.begin(db, "up-1", LIVE, "src", b"1", **WHO),
    "posters.upload": lambda db: posters.upload(db, "up-1"),
    "posters.last_upload": lambda db: posters.last_upload(db, LIVE),
    "posters.take": lambda db: posters.take(db, NOW),
    "posters.known": lambda db: posters.known(db, "src"),
    "posters.finish": lambda db: posters.finish(db, TAKEN, MADE, NOW),
    "posters.finish.fault": lambda db: posters.finish(db, TAKEN, PictureFault.given_up, NOW),
    "posters.read": lambda db: posters.read(db, "p1", thumb=True),
    "posters.remove": lambda db: posters.remove(db, LIVE, **WHO),
    "posters.prune": lambda db: posters.prune(db, NOW),
    "reservation_search.search": lambda db: reservation_search.search(db, ReservationFilter(), 50),
    "reservation_search.search.id": lambda db: reservation_search.search(db, ReservationFilter(id="r-live-0-1"), 50),
    "reservation_search.search.event": lambda db: reservation_search.search(
        db, ReservationFilter(event_id=LIVE, after=PAGE), 50
    ),
    "reservation_search.search.status": lambda db: reservation_search.search(
        db, ReservationFilter(status=ReservationStatus.pending), 50
    ),
    "reservation_search.search.event_status": lambda db: reservation_search.search(
        db, ReservationFilter(event_id=LIVE, status=ReservationStatus.pending), 50
    ),
    "reservation_search.search.holder": lambda db: reservation_search.search(db, ReservationFilter(holder="h-1"), 50),
    "reservation_search.search.holders": lambda db: reservation_search.search(
        db, ReservationFilter(holders=HOLDERS), 50
    ),
    "reservation_search.search.time": lambda db: reservation_search.search(
        db, ReservationFilter(since=AGO, until=NOW), 50
    ),
    "reservation_search.paid": lambda db: reservation_search.paid(db, SOLD),
    "reservation_search.email_of": lambda db: reservation_search.email_of(db, HOLDERS[0]),
    "reservation_search.seats_of": lambda db: reservation_search.seats_of(db, [SOLD, HELD]),
    "reservation_search.methods_of": lambda db: reservation_search.methods_of(db, [SOLD, HELD]),
    "reservation_search.titles": lambda db: reservation_search.titles(db, [LIVE], "en"),
    "reservations.get": lambda db: reservations.get(db, SOLD),
    "reservations.seats_of": lambda db: reservations.seats_of(db, [SOLD, HELD]),
    "reservations.by_number": lambda db: reservations.by_number(db, LIVE, 1, 1),
    "reservations.served": lambda db: reservations.served(db, LIVE, 1, [1, 2, 3]),
    "reservations.by_holders": lambda db: reservations.by_holders(db, HOLDERS, 20),
    "reservations.by_holders.after": lambda db: reservations.by_holders(db, HOLDERS, 20, PAGE),
    "reservations.live_of": lambda db: reservations.live_of(db, LIVE, HOLDERS),
    "reservations.due": lambda db: reservations.due(db, NOW, 50),
    "reservations.mark_emptied": lambda db: reservations.mark_emptied(db, NOW + timedelta(days=1)),
    "reservations.of_cancelled_events": lambda db: reservations.of_cancelled_events(db, 50),
    "retention.would_prune": lambda db: retention.would_prune(db, KEEP, NOW),
    "retention.ended_sales": lambda db: retention.ended_sales(db, AGO),
    "retention.count_sale": lambda db: retention.count_sale(db, PAST),
    "audit_log.count": lambda db: audit_log.count(db, "event.1", NOW - KEPT),
    "audit_log.prunable_actions": lambda db: audit_log.prunable_actions(db),
    "retention.prune_holds": lambda db: retention.prune_holds(db, PAST, ReservationStatus.expired, retention.START),
    "retention.prune_waitlist": lambda db: retention.prune_waitlist(db, PAST),
    "retention.mark_pruned": lambda db: retention.mark_pruned(db, PAST, NOW),
    "audit_log.prune": lambda db: audit_log.prune(db, "event.1", NOW - KEPT),
    "retention.prune": lambda db: read_through(retention.prune(db, KEEP, NOW)),
    "rooms.get": lambda db: rooms.get(db, LIVE),
    "rooms.listed": lambda db: rooms.listed(db),
    "rooms.working": lambda db: rooms.working(db),
    "rooms.working.near": lambda db: rooms.working(db, NOW),
    "rooms.retire": lambda db: rooms.retire(db, PAST, 1, NOW),
    "rooms.bring_back": lambda db: rooms.bring_back(db, PAST, anew=True),
    "rooms.reserve_numbers": lambda db: rooms.reserve_numbers(db, LIVE, 5_000, generation=0),
    "rooms.begin_generation": lambda db: rooms.begin_generation(db, LIVE, 0, 10),
    "rooms.store_marks": lambda db: rooms.store_marks(db, [MARKS]),
    "rooms.set_config": lambda db: rooms.set_config(db, LIVE, {}),
    "rooms.follow_epoch": lambda db: rooms.follow_epoch(db, LIVE, 2, 5),
    "seat_maps.is_reserved": lambda db: seat_maps.is_reserved(db, LIVE),
    "seat_maps.current": lambda db: seat_maps.current(db, LIVE),
    "seat_maps.sold_between": lambda db: seat_maps.sold_between(db, AGO, NOW),
    "seat_maps.replace": lambda db: seat_maps.replace(db, COMING, PLAN, **WHO),
    "seat_changes.change": lambda db: seat_changes.change(
        db, LIVE, seat_changes.SeatChange(action=seat_changes.SeatAction.block, seats=[0]), **WHO
    ),
    "gateway_book.change_fault_profile": lambda db: gateway_book.change_fault_profile(db, "kakao_pay", {}, {}, **WHO),
    "seat_additions.add": lambda db: seat_additions.add(
        db, LIVE, [NewSeat(section="new", row="1", number=1, grade="R")], **WHO
    ),
    "seats.take_fence": lambda db: seats.take_fence(db, LIVE),
    "seats.load": lambda db: seats.load(db, LIVE),
    "seats.apply": apply,
    "seats.prune_commands": lambda db: seats.prune_commands(db, AGO),
    "seats.busy_lanes": lambda db: seats.busy_lanes(db, NOW),
    "seats.some_lanes": lambda db: seats.some_lanes(db, "", 20),
    "statistics.read": lambda db: statistics.read(db, NOW),
    "users.create": lambda db: users.create(
        db, user_id="u-new", email="new@example.com", name="N", password="a password", role="buyer", now=NOW
    ),
    "users.add": lambda db: users.add(
        db,
        users.User(id="u-new2", email="n2@example.com", name="N", role="buyer", password_hash="", created_at=NOW),
    ),
    "users.find": lambda db: users.find(db, "u-1@example.com"),
    "users.get": lambda db: users.get(db, "u-1"),
    "users.link_holder": lambda db: users.link_holder(db, "h-linked", "u-1", NOW),
    "users.holder_owner": lambda db: users.holder_owner(db, "h-linked"),
    "users.owners_of": lambda db: users.owners_of(db, HOLDERS),
    "users.holders_of_user": lambda db: users.holders_of_user(db, "u-1"),
    "users.link_subject": lambda db: users.link_subject(db, ELSEWHERE, "u-1", NOW),
    "users.of_subject": lambda db: users.of_subject(db, ELSEWHERE),
    "waitlist.join": lambda db: waitlist.join(db, LIVE, "h-listed", Wish(quantity=1), NOW),
    "waitlist.own": lambda db: waitlist.own(db, LIVE, ["h-listed"]),
    "waitlist.of_holders": lambda db: waitlist.of_holders(db, ["h-listed"]),
    "waitlist.events_waiting": lambda db: waitlist.events_waiting(db, "", 50),
    "waitlist.settle": lambda db: waitlist.settle(db, [LIVE], NOW + timedelta(days=30)),
    "waitlist.leave": lambda db: waitlist.leave(db, 1, NOW),
}


WHOLE = ("table_files.",)  # read and write all there is, for an operator who waits


def functions() -> Iterator[str]:
    """`module.function` of every function that is given the database, but for those that read all there is."""
    for module in pkgutil.iter_modules(app.ledger.__path__):
        loaded = importlib.import_module(f"app.ledger.{module.name}")
        for name, function in vars(loaded).items():
            is_ours = inspect.isfunction(function) and function.__module__ == loaded.__name__ and name[0] != "_"
            if f"{module.name}.".startswith(WHOLE):
                continue
            if is_ours and next(iter(inspect.signature(function).parameters), "") in ("db", "store"):
                yield f"{module.name}.{name}"


def done() -> set[str]:
    """`module.function` of those that CALLS has."""
    return {".".join(name.split(".")[:2]) for name in CALLS}

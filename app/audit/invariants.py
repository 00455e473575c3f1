"""Checks over the stores that what must always hold does hold: the invariants I1 to I7 and I10 of the design.

Read-only, safe beside a running system, and shared by tests, fault runs, the swarm's verdict and operators. Order,
rate and capacity are replayed from the room log (see `replay`); only who was absent is believed: nothing else notes it.
A log that was cut (the room keeps the last entries only) is judged from where it begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from app import redis_keys
from app.audit.line_replay import Entry, Violation, rate_violations, replay, with_ranks
from app.audit.money import is_wrong, money_violations, provider_violations, stuck_violations
from app.audit.provider_records import ProviderRecords, read_records
from app.domain.line import Bits, RoomState
from app.ledger import audit, money_audit, rooms
from app.ledger.audit import Books
from app.ledger.database import Database
from app.ledger.money_audit import ChargeRecord
from app.payments.provider import PaymentProvider
from app.redis_nodes import keys_like
from app.room.draws import read_ranks
from app.room.record import read_record
from app.room.scripts import HOLDER_BUCKETS

__all__ = ["Violation", "check", "check_all", "rate_violations"]

END_GRACE = timedelta(seconds=1)  # I6: a hold is ended and its seats are free within this
SEEN_TO_WITHIN = timedelta(minutes=1)  # I7: the payer works on whatever is due
SHOWN_MAX = 20  # of one kind of violation; a store that is broken is broken in thousands of places
KEYS_PER_CALL = 500
NO_EVENT = "redis"  # no id of an event: where keys are judged that belong to none
MOMENT_TRIES = 5  # a room that is closed and opened meanwhile is read again
EXPECTED_SEAT = {"pending": "held", "confirmed": "sold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What Redis says of one line. `held` are the numbers people hold; `ended` those whose position has
    ended: `ended_before` was read before `held` and `ended` after, so that neither a join nor a leave in between looks
    wrong."""

    epoch: int
    closed: bool
    opened_after: int
    first_number: int  # the last number given when reading began; people who join meanwhile are not judged
    number: int
    bound: int
    cursor: int
    epochs_expired: int
    held: Sequence[int]
    ended_before: Bits
    ended: Bits


async def check_all(
    redis: Redis,
    db: Database,
    now: datetime | None = None,
    providers: Collection[PaymentProvider] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[Violation]]:
    """The violations of every event, by event; only events that have some. `NO_EVENT`: of keys and money of none.

    However much was ever sold: it takes the memory of one portion, and transactions that each end soon. `progress` is
    told how many events were checked, of how many.
    """
    now = now or datetime.now(UTC)
    event_ids = [row.event_id for row in await rooms.listed(db)]
    found: dict[str, list[Violation]] = {}
    first_at = await money_audit.first_charge_at(db, event_ids)
    with closing(await read_records(db, providers, first_at, now)) as theirs:
        for number, event_id in enumerate(event_ids):
            progress(number, len(event_ids))
            found[event_id] = await _check(redis, db, event_id, now, theirs, providers)
        found[NO_EVENT] = [*await other_key_violations(redis, event_ids), *_shown(provider_violations(theirs))]
    return {event_id: violations for event_id, violations in found.items() if violations}


async def check(
    redis: Redis,
    db: Database,
    event_id: str,
    now: datetime | None = None,
    providers: Collection[PaymentProvider] = (),
) -> list[Violation]:
    """What does not hold for one event; empty is good. `now`, in UTC, is when holds are looked at.

    `providers` are asked what they took: it is a violation if one that has charges of the event is missing.
    """
    now = now or datetime.now(UTC)
    first_at = await money_audit.first_charge_at(db, [event_id])
    with closing(await read_records(db, providers, first_at, now)) as theirs:
        found = await _check(redis, db, event_id, now, theirs, providers)
        return [*found, *_shown(provider_violations(theirs))]


async def _check(
    redis: Redis,
    db: Database,
    event_id: str,
    now: datetime,
    theirs: ProviderRecords,
    providers: Collection[PaymentProvider],
) -> list[Violation]:
    log = await redis.xrange(redis_keys.room_log(event_id))
    line = await _line(redis, event_id)
    found = replay(await _in_order(redis, event_id, log))
    async for books in audit.books(db, event_id, now - END_GRACE):
        found += book_violations(books)
    found = [*_shown(found), *await _money_violations(db, event_id, now, theirs, providers)]
    if line is not None:
        found += line_violations(line, await audit.number_bound(db, event_id))
    found += await _memory_violations(redis, db, event_id)
    found += await _key_violations(redis, event_id, line.epochs_expired if line else 0)
    return found


async def _in_order(redis: Redis, event_id: str, log: list[tuple[bytes, Entry]]) -> list[tuple[bytes, Entry]]:
    """The log with each drawn number's rank in its place, as far as the log and the room tell of draws."""
    ranks: dict[int, int] = {}
    record = await read_record(redis, event_id)
    draws = {(record.epoch, record.opened_after, record.drawn)} if record else set()
    draws |= {(int(entry[b"of"]), int(entry[b"after"]), int(entry[b"drawn"])) for _, entry in log if b"of" in entry}
    for epoch, after, drawn in draws:
        table = await read_ranks(redis, event_id, epoch, drawn)
        ranks |= {after + entry: after + rank for entry, rank in enumerate(table, 1)}
    return [(log_id, with_ranks(entry, ranks)) for log_id, entry in log] if ranks else log


async def _money_violations(
    db: Database, event_id: str, now: datetime, theirs: ProviderRecords, providers: Collection[PaymentProvider]
) -> list[Violation]:
    """I7 over our records and the providers'."""
    found = stuck_violations(await money_audit.undone(db, event_id, now - SEEN_TO_WITHIN))
    async for page in money_audit.charge_pages(db, event_id):
        suspects = [record for record in page if is_wrong(record, theirs)]
        if suspects:
            found += await _confirmed(db, event_id, now, suspects, providers)
    return _shown(found)


async def _confirmed(
    db: Database, event_id: str, now: datetime, suspects: list[ChargeRecord], providers: Collection[PaymentProvider]
) -> list[Violation]:
    """What is still wrong of these when the providers are asked again, of those that do not change meanwhile."""
    first_at = min(record.created_at for record in suspects)
    with closing(await read_records(db, providers, first_at, now)) as theirs:
        unchanged = set(await money_audit.charges_of(db, event_id, [record.id for record in suspects]))
        same = [record for record in suspects if record in unchanged or record.charge is None]
        return money_violations(same, theirs)


def line_violations(line: Line, bound_reserved: int) -> list[Violation]:
    """I1 and I2: who holds which number. `bound_reserved` is the bound that SQL knows."""
    found = [
        Violation("I1", f"number {number} of epoch {line.epoch} is held by {people} people")
        for number, people in Counter(line.held).items()
        if people > 1
    ]
    outside = sorted(n for n in line.held if not line.opened_after < n <= line.number)
    found += [
        Violation("I1", f"number {n} is held, but epoch {line.epoch} gave {line.opened_after + 1}..{line.number}")
        for n in outside
    ]
    ordered = line.opened_after <= line.cursor <= line.number <= line.bound <= bound_reserved
    if not ordered:
        found.append(
            Violation(
                "I1",
                f"not opened_after {line.opened_after} <= cursor {line.cursor} <= number {line.number} "
                f"<= bound {line.bound} <= bound in SQL {bound_reserved}",
            )
        )
    # A holder has one entry: a place in line that no entry names belongs to someone who was given a second number.
    # Nobody is in a line that is closed, and what is known of its people goes away.
    held = set(line.held)
    judged = range(0) if line.closed else range(line.opened_after + 1, line.first_number + 1)
    live = (n for n in judged if n not in held)
    found += [
        Violation("I2", f"number {n} is in line, but its holder has another number")
        for n in live
        if n not in line.ended and n not in line.ended_before
    ]
    return _shown(found)


def book_violations(books: Books) -> list[Violation]:
    """I5, I6 and I7: seats, holds and money agree."""
    claims = Counter(idx for idx, _, reservation, _ in books.taken if reservation is not None)
    found = [Violation("I5", f"seat {idx} has {count} live reservations") for idx, count in claims.items() if count > 1]
    for idx, status, reservation, is_now in books.taken:
        if reservation is None:
            rule = "I6" if status == "held" else "I5"
            found.append(Violation(rule, f"seat {idx} is {status}, but nobody has reserved it"))
        elif EXPECTED_SEAT.get(is_now or "") != status:
            found.append(Violation("I5", f"seat {idx} is {status}, but its reservation {reservation} is {is_now}"))
    found += [
        Violation("I5", f"reservation {held} is live, but seat {idx} is not its") for held, idx in books.unclaimed
    ]
    found += [Violation("I6", f"hold {reservation} should have ended") for reservation in books.overdue]
    found += [
        Violation("I5", f"grade {grade} counts {counted} seats in all, held, sold and blocked, but there are {there}")
        for grade, counted, there in books.counts
    ]
    for reservation, is_now, captured in books.money:
        if captured != (is_now == "confirmed"):
            found.append(Violation("I7", f"reservation {reservation} is {is_now} with {captured} captured payments"))
    return found


async def _memory_violations(redis: Redis, db: Database, event_id: str) -> list[Violation]:
    """I14: what Redis knows of a room is not behind what SQL heard of it."""
    row = await rooms.get(db, event_id)
    record = await read_record(redis, event_id)
    if row is None or record is None:
        return []
    behind = [
        f"{name} {is_now} in Redis, {was} in SQL"
        for name, is_now, was in (
            ("generation", record.generation, row.generation),
            ("number", record.number, row.number),
            ("cursor", record.cursor, row.cursor),
            ("revision", record.rev, row.revision),
        )
        if is_now < was and (name != "revision" or record.generation == row.generation)
    ]
    return [Violation("I14", f"Redis has forgotten something of the line: {'; '.join(behind)}")] if behind else []


async def _line(redis: Redis, event_id: str) -> Line | None:
    """The line as it is now; None if there is no room."""
    for _ in range(MOMENT_TRIES):
        first = await read_record(redis, event_id)
        if first is None:
            return None
        ended_key = redis_keys.of_epoch(event_id, first.epoch, "gone")
        ended_before = Bits(await redis.get(ended_key) or b"")
        held = await _held(redis, event_id, first.epoch)
        ended = Bits(await redis.get(ended_key) or b"")
        last = await read_record(redis, event_id)
        if last is not None and last.epoch == first.epoch:
            return Line(
                epoch=last.epoch,
                closed=RoomState.closed in (first.state, last.state),
                opened_after=last.opened_after,
                first_number=first.number,
                number=last.number,
                bound=last.bound,
                cursor=last.cursor,
                epochs_expired=last.epochs_expired,
                held=held,
                ended_before=ended_before,
                ended=ended,
            )
    return None


async def _held(redis: Redis, event_id: str, epoch: int) -> list[int]:
    pipe = redis.pipeline(transaction=False)
    for bucket in range(HOLDER_BUCKETS):
        pipe.hvals(redis_keys.holders(event_id, epoch, bucket))
    return [int(number) for numbers in await pipe.execute() for number in numbers]


async def _key_violations(redis: Redis, event_id: str, epochs_expired: int) -> list[Violation]:
    """I10: a key is permanent or has a TTL; those of an epoch that is over have one."""
    lasting = await _without_ttl(redis, redis_keys.pattern_of_event(event_id))
    expired = range(1, epochs_expired + 1)
    return _stay(name for name in lasting if redis_keys.epoch_of(name) in expired or not redis_keys.is_permanent(name))


async def other_key_violations(redis: Redis, event_ids: Collection[str]) -> list[Violation]:
    """I10 for every key that is of none of these events: our own ones, arq's, and what a lost event left."""
    lasting = [name for pattern in redis_keys.ALL_PATTERNS for name in await _without_ttl(redis, pattern)]
    known = frozenset(event_ids)
    return _stay(
        name for name in lasting if redis_keys.event_of(name) not in known and not redis_keys.is_permanent(name)
    )


async def _without_ttl(redis: Redis, pattern: str) -> list[str]:
    found: list[str] = []
    async for names in _batches(redis, pattern):
        pipe = redis.pipeline(transaction=False)
        for name in names:
            pipe.ttl(name)
        found += [name for name, ttl_s in zip(names, await pipe.execute(), strict=True) if ttl_s == -1]
    return found


def _stay(names: Iterable[str]) -> list[Violation]:
    return _shown(Violation("I10", f"{name} would stay for ever") for name in sorted(names))


async def _batches(redis: Redis, pattern: str) -> Any:
    batch: list[str] = []
    async for name in keys_like(redis, pattern):
        batch.append(name)
        if len(batch) == KEYS_PER_CALL:
            yield batch
            batch = []
    if batch:
        yield batch


def _shown(found: Iterable[Violation]) -> list[Violation]:
    """The first few of each invariant, and how many more there are."""
    by_rule: dict[str, list[Violation]] = {}
    for violation in found:
        by_rule.setdefault(violation.invariant, []).append(violation)
    shown = []
    for rule, some in by_rule.items():
        shown += some[:SHOWN_MAX]
        if len(some) > SHOWN_MAX:
            shown.append(Violation(rule, f"and {len(some) - SHOWN_MAX} more"))
    return shown

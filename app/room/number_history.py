"""Reads what Redis stores about one number: the entries of the room log, and the keys of the number's epoch.

Reads only, for the trace of one number. The log is bounded by its writers, so old steps may be missing; the result says
where the log begins. Holders are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from app import redis_keys
from app.room.errors import as_room_unavailable
from app.room.record import read_record
from app.room.samples import line_samples
from app.room.scripts import LOG_ENTRIES_MAX, WISH_BUCKET, RoomScripts
from app.room.timing import PRESENCE_SLOTS

LOG_SCANNED_MAX = LOG_ENTRIES_MAX + 2_000  # Redis trims in whole blocks, so it keeps more than the maximum
LOG_PAGE = 1_000  # entries per read
SLOTS_READ = 2 * PRESENCE_SLOTS + 1  # the lifetime of a presence bitmap, in slots

Entry = Mapping[bytes, bytes]


class LogStep(StrEnum):
    """What an entry of the log says about one number."""

    admitted = "admitted"
    passed_over = "passed_over"
    claimed = "claimed"
    left = "left"
    lapsed = "lapsed"
    room_lost = "room_lost"  # the room was made again after a loss of Redis
    restored = "restored"
    not_restored = "not_restored"


class LoggedStep(NamedTuple):
    """`until_ms`: the end of the claim window (admitted) or of the pass (claimed), else 0."""

    what: LogStep
    at_ms: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberLog:
    """The number was given between `joined_after_ms` and `joined_by_ms`. `begins_ms`: time of the oldest entry of the
    log; `is_whole`: that is the first one ever. `epoch`: the number's, if the log shows it."""

    steps: list[LoggedStep]
    joined_after_ms: int | None
    joined_by_ms: int | None
    begins_ms: int | None
    is_whole: bool
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberKeys:
    """The number in the keys of its epoch. `ended`: it left, lapsed or was served, or it is `unproven`: nobody has
    shown its ticket since a loss of Redis. `returned`: it was passed over and is let in next. `wish`: packed, or "".
    `seen_ms`, `seen_until_ms`: the newest presence slot in which it was seen."""

    exist: bool
    ended: bool
    lapsed: bool
    unproven: bool
    skipped: bool
    returned: bool
    admitted_until_ms: int | None
    claimed_until_ms: int | None
    wish: str
    seen_ms: int | None
    seen_until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberHistory:
    """`epoch` and `last_number` are the room's; `own_epoch` is the number's. `keys` is None if that is unknown."""

    epoch: int
    last_number: int
    own_epoch: int | None
    log: NumberLog
    keys: NumberKeys | None


async def read(scripts: RoomScripts, event_id: str, number: int, known_epoch: int | None) -> NumberHistory | None:
    """Everything about a number; None if there is no such room. `known_epoch`: the number's, if the caller knows it.

    Raises RoomUnavailable.
    """
    with as_room_unavailable():
        record = await read_record(scripts.redis, event_id)
        if record is None:
            return None
        epoch, opened_after, last_number = record.epoch, record.opened_after, record.number
        log = number_log(await _entries(scripts, event_id), number)
        own_epoch = epoch if number > opened_after else known_epoch or log.epoch or (1 if epoch == 2 else None)
        if number > last_number:
            own_epoch = None
        if log.joined_by_ms is None and own_epoch is not None:
            log = await _with_samples(scripts, event_id, own_epoch, number, log)
        keys = None if own_epoch is None else await _keys(scripts, event_id, own_epoch, number)
    return NumberHistory(epoch=epoch, last_number=last_number, own_epoch=own_epoch, log=log, keys=keys)


def number_log(entries: Iterable[tuple[bytes, Entry]], number: int) -> NumberLog:
    """What the entries of a log say about one number. `entries` begin with the oldest. No I/O."""
    entries = list(entries)
    steps = [step for _, entry in entries for step in _steps(entry, number)]
    after_ms, by_ms = _joined(entries, number)
    first = entries[0][1] if entries else None
    return NumberLog(
        steps=steps,
        joined_after_ms=after_ms,
        joined_by_ms=by_ms,
        begins_ms=None if first is None else int(first[b"t"]),
        is_whole=first is not None and _is_first(first),
        epoch=_epoch(entries, number),
    )


def _steps(entry: Entry, number: int) -> Iterable[LoggedStep]:
    at_ms = int(entry[b"t"])
    match entry[b"k"]:
        case b"admit" if _has(entry[b"a"], number):
            yield LoggedStep(LogStep.admitted, at_ms, int(entry[b"d"]))
        case b"admit" if _has(entry[b"s"], number):
            yield LoggedStep(LogStep.passed_over, at_ms)
        case b"claim" if _has(entry[b"n"], number):
            yield LoggedStep(LogStep.claimed, at_ms, int(entry[b"e"]))
        case b"left" if int(entry[b"n"]) == number:
            yield LoggedStep(LogStep.left, at_ms)
        case b"lapse" if _has(entry[b"l"], number):
            yield LoggedStep(LogStep.lapsed, at_ms)
        case b"back" if _has(entry[b"b"], number):
            yield LoggedStep(LogStep.restored, at_ms)
        case b"back" if _has(entry[b"l"], number):
            yield LoggedStep(LogStep.not_restored, at_ms)
        case b"config" if int(entry.get(b"kept", b"0")) < number <= int(entry.get(b"lost", b"0")):
            yield LoggedStep(LogStep.room_lost, at_ms)


def _joined(entries: Iterable[tuple[bytes, Entry]], number: int) -> tuple[int | None, int | None]:
    """The times of the last entry before the number was given and of the first after it; None if the log lacks it."""
    after_ms = None
    for _, entry in entries:
        at_ms = int(entry[b"t"])
        if entry[b"k"] == b"admit" and int(entry[b"n"]) >= number:
            return after_ms, at_ms
        if int(entry.get(b"lost", b"0")) >= number:
            return after_ms, at_ms
        if entry[b"k"] == b"admit" or _is_first(entry):
            after_ms = at_ms
    return after_ms, None


def _is_first(entry: Entry) -> bool:
    """Whether the entry was written when the room was first made, not when it was made again after a loss."""
    return entry.get(b"lost") == b"0" and entry[b"state"] != b"closed"


def _epoch(entries: Iterable[tuple[bytes, Entry]], number: int) -> int | None:
    """The epoch in which the number was given, if the log has the entry that began it; None if not."""
    configs = [entry for _, entry in entries if entry[b"k"] == b"config" and b"epoch" in entry]
    begun = [
        (int(entry[b"epoch"]), int(entry[b"c"]))
        for before, entry in pairwise(configs)
        if before[b"epoch"] != entry[b"epoch"]
    ]
    earlier = [epoch for epoch, first_after in begun if first_after < number]
    if earlier:
        return earlier[-1]
    return begun[0][0] - 1 if begun and begun[0][0] == 2 else None


def _has(csv: bytes, number: int) -> bool:
    return b",%d," % number in b",%s," % csv


async def _entries(scripts: RoomScripts, event_id: str) -> list[tuple[bytes, Entry]]:
    """The newest entries of the log, oldest first, at most LOG_SCANNED_MAX."""
    found: list[tuple[bytes, Entry]] = []
    before = "+"
    while len(found) < LOG_SCANNED_MAX:
        page = await scripts.redis.xrevrange(redis_keys.room_log(event_id), max=before, count=LOG_PAGE)
        found += page
        if len(page) < LOG_PAGE:
            break
        before = f"({page[-1][0].decode()}"
    return found[::-1]


async def _with_samples(scripts: RoomScripts, event_id: str, epoch: int, number: int, log: NumberLog) -> NumberLog:
    """`log` with the time of joining taken from the line's samples, of which a worker takes one a second."""
    samples = await line_samples(scripts.redis, event_id, epoch)
    given = next((index for index, sample in enumerate(samples) if sample.number >= number), None)
    after_ms = samples[given - 1].at_ms if given else log.joined_after_ms
    return replace(log, joined_after_ms=after_ms, joined_by_ms=None if given is None else samples[given].at_ms)


async def _keys(scripts: RoomScripts, event_id: str, epoch: int, number: int) -> NumberKeys:
    slot_ms = scripts.timing.slot_ms
    seconds, microseconds = await scripts.redis.time()
    newest = (seconds * 1000 + microseconds // 1000) // slot_ms
    slots = [newest - back for back in range(SLOTS_READ)]

    def name(of: str) -> str:
        return redis_keys.of_epoch(event_id, epoch, of)

    pipe = scripts.redis.pipeline(transaction=False)
    pipe.exists(*(name(of) for of in ("gone", "skipped", "admitted", "active", "marks")))
    for bitmap in ("gone", "lapsed", "lost", "skipped"):
        pipe.getbit(name(bitmap), number)
    for turns in ("returned", "admitted", "active"):
        pipe.zscore(name(turns), str(number))
    pipe.hget(redis_keys.wishes(event_id, epoch, number // WISH_BUCKET), str(number))
    for slot in slots:
        pipe.getbit(name(f"seen:{slot}"), number)
        pipe.get(name(f"seen:{slot}:after"))
    async with pipe:  # returns its connection to the pool even if the call is cancelled
        exist, ended, lapsed, unproven, skipped, returned, admitted, active, wish, *presence = await pipe.execute()
    seen = _seen_slot(slots, presence, number)
    return NumberKeys(
        exist=exist > 0,
        ended=bool(ended),
        lapsed=bool(lapsed),
        unproven=bool(unproven),
        skipped=bool(skipped),
        returned=returned is not None,
        admitted_until_ms=None if admitted is None else int(admitted),
        claimed_until_ms=None if active is None else int(active),
        wish=wish.decode().partition(" ")[2] if wish else "",
        seen_ms=None if seen is None else seen * slot_ms,
        seen_until_ms=None if seen is None else (seen + 1) * slot_ms,
    )


def _seen_slot(slots: list[int], presence: list[Any], number: int) -> int | None:
    """The newest slot in which the number was seen: it is in the bitmap, or joined in that slot."""
    for slot, bit, joined_after in zip(slots, presence[::2], presence[1::2], strict=True):
        if bit or (joined_after is not None and number > int(joined_after)):
            return slot
    return None

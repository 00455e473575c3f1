"""The draw of an opening, computed again from what the system published of it, with code of its own.

People who come to a draw are given an entry, and in the line's order a number that the draw decides. The judges of
the order work by that number, `by_rank`; those of the numbers as they were given, `by_number`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator

import msgspec

from loadtest.judge.finding import Finding
from loadtest.records import CrowdLine, Draw, Joined, LaneEntry, PositionSeen, Records, RoomEntry, Stores

Change = Callable[[int], int]


def order_of(draw: Draw) -> list[int]:
    """The entries in the order of the draw."""
    message = bytes.fromhex(draw.root) + bytes.fromhex(draw.randomness)
    words = _words(hmac.new(bytes.fromhex(draw.seed), message, hashlib.sha256).digest())
    order = list(range(1, draw.entries + 1))
    for last in range(draw.entries, 1, -1):
        word = next(word for word in words if word < 2**64 - 2**64 % last)
        at = word % last
        order[last - 1], order[at] = order[at], order[last - 1]
    return order


def _words(key: bytes) -> Iterator[int]:
    counter = 0
    while True:
        block = hashlib.sha256(key + counter.to_bytes(8, "big")).digest()
        for at in range(0, len(block), 8):
            yield int.from_bytes(block[at : at + 8], "big")
        counter += 1


def judge_draw(records: Records) -> Finding:
    """I11, by ranks: the seed is the one that was committed to, and buyers were told what follows from it."""
    finding = Finding(topic="draw", invariant="I11")
    draw = records.run.draw
    if draw is None:
        return Finding(topic="draw", text="there was none")
    if hashlib.sha256(bytes.fromhex(draw.seed)).hexdigest() != draw.commitment:
        finding.breach("the seed is not the one that was committed to", "the draw")
    last = draw.after + draw.entries
    ranks = {join.session: join.number for join in records.of(Joined) if join.entry and join.number <= last}
    told = 0
    for seen in records.of(PositionSeen):
        if seen.session in ranks:
            told += 1
            if seen.number != ranks[seen.session]:
                finding.breach(f"was told number {seen.number}, drawn {ranks[seen.session]}", f"session {seen.session}")
    finding.text = f"{draw.entries} drawn, {len(ranks)} of them ours, told {told} times"
    finding.claim = "; the order follows from seed and root"
    return finding


def by_rank(records: Records) -> Records:
    """Every number as its place in the order of the line."""
    draw = records.run.draw
    if draw is None:
        return records
    ranks = {draw.after + entry: draw.after + rank for rank, entry in enumerate(order_of(draw), 1)}

    def rank(number: int) -> int:
        return ranks.get(number, number)

    crowd = _joins(records.crowd, lambda join: rank(draw.after + join.number) if join.entry else join.number)
    return msgspec.structs.replace(renumbered(records, rank), crowd=crowd)


def renumbered(records: Records, change: Change) -> Records:
    """What the stores recorded, with other numbers."""
    return msgspec.structs.replace(
        records,
        room=[_entry(entry, change) for entry in records.room],
        lane=[_lane(entry, change) for entry in records.lane],
        stores=records.stores and _stores(records.stores, change),
    )


def by_number(records: Records) -> Records:
    """The numbers of joins as they were given."""
    draw = records.run.draw
    if draw is None:
        return records
    given = {draw.after + rank: draw.after + entry for rank, entry in enumerate(order_of(draw), 1)}
    joins = _joins(
        records.crowd, lambda join: draw.after + join.number if join.entry else given.get(join.number, join.number)
    )
    return msgspec.structs.replace(records, crowd=joins)


def _joins(crowd: Iterable[CrowdLine], number_of: Callable[[Joined], int]) -> list[CrowdLine]:
    return [
        msgspec.structs.replace(line, number=number_of(line)) if isinstance(line, Joined) else line for line in crowd
    ]


def _entry(entry: RoomEntry, rank: Change) -> RoomEntry:
    names = ("admitted", "skipped", "ended", "back")
    lists = {name: [rank(number) for number in getattr(entry, name)] for name in names}
    return msgspec.structs.replace(entry, **lists)


def _lane(entry: LaneEntry, rank: Change) -> LaneEntry:
    outcomes = [msgspec.structs.replace(outcome, number=rank(outcome.number)) for outcome in entry.outcomes]
    return msgspec.structs.replace(entry, outcomes=outcomes)


def _stores(stores: Stores, rank: Change) -> Stores:
    names = ("ended_places", "lapsed", "skipped", "admitted", "active")
    sets = {name: {rank(number) for number in getattr(stores, name)} for name in names}
    holders = {holder: rank(number) for holder, number in stores.holders.items()}
    sales = [msgspec.structs.replace(sale, number=sale.number and rank(sale.number)) for sale in stores.sales]
    return msgspec.structs.replace(stores, holders=holders, sales=sales, **sets)

"""I5 and I6: a seat has one owner at a time, and every hold ends in time.

Three witnesses that must agree: SQL at the end, the lane's batches as Redis took them, and what buyers were told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from loadtest.judge.finding import Finding, People, percentile
from loadtest.records import Call, Held, Records, Sale, Settled

LIVE = ("pending", "confirmed")
AVAILABLE, HELD, SOLD = 0, 1, 2
FREE_WITHIN_MS = 1_000.0
Span = tuple[float, float, str, int]  # from, to, reservation, session


def judge_seats(records: Records, people: People) -> Finding:
    """I5: at most one live reservation per seat; what was sold stays sold."""
    finding = Finding(topic="seats", invariant="I5")
    told = _check_told(records, people, finding)
    if records.stores is None:
        finding.unproven = f"the stores were not read; {told} answers to buyers do not contradict each other"
        return finding
    sold = _check_sql(records.stores.sales, records.stores.seats, finding)
    _check_lane(records, finding)
    _check_promises(records, {sale.id: sale for sale in records.stores.sales}, people, finding)
    finding.text = f"{sold} seats sold; {told} holds told to buyers, {len(records.lane)} batches of the lane"
    finding.claim = "; none twice"
    return finding


def _check_told(records: Records, people: People, finding: Finding) -> int:
    """No two buyers were told that the same seat is theirs at the same time; neighbours that were required are some."""
    ends: dict[str, float] = {}
    given_up_ms = {
        call.session: call.sent_ms for call in reversed(records.of(Call)) if call.call in ("cancel", "leave")
    }
    for held in records.of(Held):
        ends[held.reservation] = min(held.expires_ms, given_up_ms.get(held.session, held.expires_ms))
    for settled in records.of(Settled):
        ends[settled.reservation] = float("inf") if settled.how == "paid" else settled.sent_ms
    by_seat: defaultdict[str, dict[str, Span]] = defaultdict(dict)
    for held in records.of(Held):
        if held.is_torn:
            finding.breach(f"{held.reservation} is not side by side", f"{people.session(held.session)} required it")
        until_ms = ends[held.reservation]
        for seat in held.seats:
            by_seat[seat].setdefault(held.reservation, (held.received_ms, until_ms, held.reservation, held.session))
    for seat, spans in sorted(by_seat.items()):
        ordered = sorted(spans.values())
        for before, after in pairwise(ordered):
            if after[0] < before[1]:
                both = " and ".join(f"{people.session(span[3])} by {span[2]}" for span in (before, after))
                finding.breach(f"seat {seat} was promised twice", both)
    return len(records.of(Held))


def _check_sql(sales: list[Sale], statuses: list[int], finding: Finding) -> int:
    owners: defaultdict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        if sale.status in LIVE:
            for idx in sale.seats:
                owners[idx].append(sale)
        if sale.live_seats != (sale.seats if sale.status in LIVE else []):
            finding.breach(f"its rows keep the seats {sale.live_seats} though it is {sale.status}", sale.id)
    for idx, several in sorted(owners.items()):
        if len(several) > 1:
            finding.breach(f"seat s{idx} has {len(several)} live reservations", ", ".join(sale.id for sale in several))
    for idx, status in enumerate(statuses):
        owner = owners[idx][0] if idx in owners else None
        wanted = AVAILABLE if owner is None else SOLD if owner.status == "confirmed" else HELD
        if status != wanted:
            names = ("available", "held", "sold")
            finding.breach(
                f"seat s{idx} is {names[status]}, should be {names[wanted]}", owner.id if owner else "nobody's"
            )
    return sum(len(sale.seats) for sale in sales if sale.status == "confirmed")


def _check_lane(records: Records, finding: Finding) -> None:
    """As the batches were published: a hold only takes seats that nobody has. What Redis lost of them is not judged."""
    owner: dict[int, str] = {}
    known: set[str] = set()
    version = records.lane[0].version if records.lane else 0
    at_ms = 0
    for entry in records.lane:
        if entry.version > version + 1 and records.run.was_disturbed(at_ms, entry.at_ms):
            owner.clear()
        elif entry.version > version + 1 and not finding.unproven:
            finding.unproven = f"the lane's batches jump from version {version} to {entry.version}"
        at_ms = entry.at_ms
        version = max(version, entry.version)
        for outcome in entry.outcomes:
            if outcome.status == "held" and outcome.reservation not in known:
                known.add(outcome.reservation)
                for idx in outcome.seats:
                    if idx in owner:
                        both = f"{outcome.reservation} while {owner[idx]} had it"
                        finding.breach(f"the lane gave seat s{idx} away twice", both)
                    owner[idx] = outcome.reservation
            elif outcome.status in ("cancelled", "expired"):
                for idx in outcome.seats:
                    if owner.get(idx) == outcome.reservation:
                        del owner[idx]


def _check_promises(records: Records, sales: dict[str, Sale], people: People, finding: Finding) -> None:
    """What a buyer was told is in SQL: the hold with these seats, and a paid one as sold and paid for."""
    for held in records.of(Held):
        sale = sales.get(held.reservation)
        if sale is None or [f"s{idx}" for idx in sale.seats] != sorted(held.seats, key=lambda seat: int(seat[1:])):
            has = "no such reservation" if sale is None else f"seats {sale.seats}"
            finding.breach(
                f"{held.reservation} was told with {held.seats}, SQL has {has}", people.session(held.session)
            )
    for settled in records.of(Settled):
        sale = sales.get(settled.reservation)
        wanted = ("confirmed", "refunded") if settled.how == "paid" else ("cancelled", "refunded")
        if sale is None or sale.status not in wanted:
            is_now = sale.status if sale else "unknown"
            detail = f"{settled.reservation} was answered as {settled.how}, SQL says {is_now}"
            finding.breach(detail, people.session(settled.session))


def judge_holds(records: Records) -> Finding:
    """I6: every hold is confirmed, cancelled or expired, and its seats are free within a second of its end."""
    finding = Finding(topic="holds", invariant="I6")
    stores = records.stores
    if stores is None:
        finding.unproven = "the stores were not read"
        return finding
    freed_ms = {
        outcome.reservation: entry.at_ms
        for entry in reversed(records.lane)
        for outcome in entry.outcomes
        if outcome.status == "expired"
    }
    delays = []
    for sale in stores.sales:
        if sale.status == "pending" and sale.due_ms + FREE_WITHIN_MS < stores.at_ms:
            over_s = (stores.at_ms - sale.due_ms) / 1000
            finding.breach(f"still holds seats {sale.seats} {over_s:.1f} s after its end", sale.id)
        if sale.status == "expired":
            over_ms = max(sale.ended_ms or 0.0, freed_ms.get(sale.id, 0)) - sale.expires_ms
            delays.append(max(0.0, over_ms - (sale.due_ms - sale.expires_ms)))
            _check_expired(records, sale, delays[-1], finding)
        if sale.status not in LIVE and sale.ended_ms is None:
            finding.breach(f"is {sale.status}, and nothing says since when", sale.id)
    counts = Counter(sale.status for sale in stores.sales)
    shown = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    worst = f"; seats free {percentile(sorted(delays), 1):.0f} ms after the end at worst" if delays else ""
    finding.text = f"{len(stores.sales)} holds: {shown or 'none'}{worst}"
    return finding


def _check_expired(records: Records, sale: Sale, delay_ms: float, finding: Finding) -> None:
    if delay_ms > FREE_WITHIN_MS and records.run.in_time:
        finding.breach(f"its seats were free only {delay_ms:.0f} ms after its end", sale.id)
    elif sale.ended_ms is not None and sale.ended_ms < sale.expires_ms:
        finding.breach(f"expired {sale.expires_ms - sale.ended_ms:.0f} ms before its end", sale.id)

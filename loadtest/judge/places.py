"""I1 and I2, and that no ticket is lost: numbers given once and in order, one per holder, each one accounted for."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import pairwise

from loadtest.judge.finding import Finding, People
from loadtest.judge.order import inversions
from loadtest.judge.replay import Replay
from loadtest.records import Call, Joined, PositionSeen, Records, Stores


def judge_numbers(records: Records, people: People, played: Replay | None) -> Finding:
    """I1: numbers are unique, never reused, and increase in order of arrival."""
    finding = Finding(topic="numbers", invariant="I1")
    joins = records.of(Joined)
    holders: defaultdict[int, set[str]] = defaultdict(set)
    for joined in joins:
        holders[joined.number].add(joined.holder)
    for number, several in sorted(holders.items()):
        if len(several) > 1:
            named = ", ".join(people.session(session) for session in people.sessions[number])
            finding.breach(f"number {number} was given to {len(several)} holders", named)
    if played is not None:
        for number in sorted(holders):
            if number <= played.start.number:
                finding.breach(f"the last number was {played.start.number} before the run", people.number(number))
    new = [joined for joined in joins if joined.status == 201]
    _check_precedence(new, people, finding)
    later = [joined for joined in new if joined.sent_ms >= records.run.drawn_until_ms]
    crossed = inversions([joined.number for joined in sorted(later, key=lambda joined: joined.sent_ms)])
    drawn = f", {len(new) - len(later)} of them drawn at the opening" if len(later) < len(new) else ""
    finding.text = f"{len(holders)} numbers{drawn}, {crossed} pairs of joins crossed on their way"
    finding.claim = "; each given once, in order"
    return finding


def _check_precedence(new: list[Joined], people: People, finding: Finding) -> None:
    """Who was answered before another asked has the smaller number. Joins under way together may come in any order."""
    answered: list[tuple[float, int]] = []
    highest = 0
    for joined in sorted(new, key=lambda joined: joined.sent_ms):
        while answered and answered[0][0] < joined.sent_ms:
            highest = max(highest, heapq.heappop(answered)[1])
        if joined.number < highest:
            finding.breach(
                f"joined after number {highest} had been answered, and got {joined.number}",
                people.session(joined.session),
            )
        heapq.heappush(answered, (joined.received_ms, joined.number))


def judge_holders(records: Records, people: People, played: Replay | None) -> Finding:
    """I2: a holder has one number for as long as their place lasts, and the stores agree on it."""
    finding = Finding(topic="one place each", invariant="I2")
    by_holder: defaultdict[str, list[Joined]] = defaultdict(list)
    for joined in sorted(records.of(Joined), key=lambda joined: joined.received_ms):
        by_holder[joined.holder].append(joined)
    again = 0
    for joins in by_holder.values():
        again += len(joins) - 1
        for before, after in pairwise(joins):
            over = played is not None and played.over_by(before.number, after.received_ms)
            if after.number != before.number and not over:
                finding.breach(
                    f"number {before.number} still stood when number {after.number} was given",
                    people.session(after.session),
                )
        if played is None or not played.of_old_line(joins[-1].number):
            _check_store(records.stores, joins[-1], people, finding, has_lost=played is not None and played.has_lost)
    _check_told(records, people, finding)
    finding.text = f"{len(by_holder)} holders, {again} reloads"
    finding.claim = ", each answered with the number it had"
    return finding


def _check_store(
    stores: Stores | None, last: Joined, people: People, finding: Finding, *, has_lost: bool = False
) -> None:
    """What Redis lost of whoever did not come back it cannot say; their place has ended until they do."""
    if stores is None or not stores.holders:
        return
    known = stores.holders.get(last.holder)
    is_lost = known is None and has_lost and last.number in stores.ended_places
    if known != last.number and not is_lost:
        has = f"number {known}" if known else "no number"
        finding.breach(f"was told number {last.number}, the store has {has} for them", people.session(last.session))


def _check_told(records: Records, people: People, finding: Finding) -> None:
    given: defaultdict[int, set[int]] = defaultdict(set)
    for joined in records.of(Joined):
        given[joined.session].add(joined.number)
    for told in records.of(PositionSeen):
        if told.number not in given[told.session]:
            finding.breach(f"was told the position of number {told.number}", people.session(told.session))


def judge_tickets(records: Records, people: People, played: Replay | None) -> Finding:
    """Every number we were given is waiting, inside, left or lapsed in the stores; none is lost, none is extra."""
    finding = Finding(topic="tickets", invariant="I3")
    stores, ours = records.stores, sorted(people.sessions)
    if stores is None or played is None:
        finding.unproven = "the stores were not read"
        return finding
    if ours and not stores.holders:
        finding.unproven = "the stores that were read are not those of this system"
        return finding
    counts: Counter[str] = Counter()
    for number in ours:
        where = "of a line that is over" if played.of_old_line(number) else place(stores, number)
        counts[where] += 1
        if where == "lost":
            finding.breach(
                "the cursor has passed this ticket, and nothing says what became of it", people.number(number)
            )
        elif where == "unknown":
            finding.breach("the store never gave this number", people.number(number), invariant="I1")
    for told in records.of(PositionSeen):
        if told.state == "admitted" and told.number not in played.admitted_ms:
            finding.breach("was told it is their turn, and was never let in", people.number(told.number))
    _count_extra(records, stores, played, people, finding)
    shown = ", ".join(f"{count} {where}" for where, count in sorted(counts.items(), key=lambda one: -one[1]))
    finding.text = f"{len(ours)} tickets: {shown}" if ours else "no tickets"
    finding.claim = "; all accounted for"
    return finding


def _count_extra(records: Records, stores: Stores, played: Replay, people: People, finding: Finding) -> None:
    """Numbers nobody here was told. Behind them may be joins without an answer, or other people's."""
    extra = sum(not people.is_ours(number) for number in range(played.start.number + 1, stores.number + 1))
    unanswered = sum(call.call == "join" and call.status not in (200, 201) for call in records.of(Call))
    if extra > unanswered:
        whose = "that nobody was told" if records.run.own else "of other people"
        finding.warnings.append(f"{extra} numbers {whose}; {unanswered} joins had no answer")


def place(stores: Stores, number: int) -> str:
    """What the stores say of a number; `lost` if nothing, `unknown` if they never gave it."""
    if number > stores.number:
        return "unknown"
    if number in stores.ended_places:
        return "lapsed" if number in stores.lapsed else "left or served"
    if number in stores.admitted or number in stores.active:
        return "inside"
    if number > stores.cursor:
        return "waiting"
    return "absent" if number in stores.skipped else "lost"

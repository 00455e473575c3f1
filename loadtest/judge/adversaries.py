"""What an adversary gained against honest people who want as many seats and come in the same second.

Measured and shown; none of it decides the verdict, but what is more than it may be is a warning.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, median

from loadtest.judge.finding import Finding
from loadtest.judge.replay import Replay
from loadtest.options import Adversary
from loadtest.plan import SCALPED, Ending, Kind, Visit
from loadtest.records import Flood, Held, Joined, Records, Settled

OPENING_MS = 1_000.0
UNSOLVED_MAX = 20  # places of one address without work
DELAY_MAX = 0.05  # of an honest person's wait
ADVANTAGE_MAX = 1.05  # of a macro whose person has one place


def judge_adversary(records: Records, played: Replay | None) -> Finding:
    match records.run.adversary:
        case Adversary.macro:
            return _judge_macro(records, played)
        case Adversary.repeater:
            return _judge_repeater(records)
        case Adversary.flooder:
            return _judge_flooder(records, played)
    return Finding(topic="adversary", text="there was none")


def _joined(records: Records) -> dict[int, Joined]:
    """Each session's first place."""
    found: dict[int, Joined] = {}
    for join in records.of(Joined):
        found.setdefault(join.session, join)
    return found


def _rivals(records: Records, joined: dict[int, Joined]) -> list[Visit]:
    """The honest who came within the opening's first second; those who want as many seats and mean to pay, if any."""
    early = [
        visit
        for visit in records.visits
        if visit.kind not in (Kind.macro, Kind.repeater)
        and visit.session in joined
        and joined[visit.session].sent_ms < records.run.opening_ms + OPENING_MS
    ]
    alike = [visit for visit in early if visit.quantity == SCALPED and visit.ending is Ending.pay]
    return alike or early


def _judge_macro(records: Records, played: Replay | None) -> Finding:
    """A scalper with ten sessions, all from one address, at the opening millisecond."""
    finding = Finding(topic="macro")
    joined = _joined(records)
    macro = [joined[visit.session] for visit in records.visits if visit.kind is Kind.macro and visit.session in joined]
    rivals = _rivals(records, joined)
    if not macro or not rivals:
        finding.text = "there was none to compare"
        return finding
    seats = _seats_paid(records)
    got = sum(seats.get(join.session, 0) for join in macro)
    each = mean(seats.get(visit.session, 0) for visit in rivals)
    places = len({join.number for join in macro})
    ratio = got / each if each else 0.0
    finding.text = (
        f"{len(macro)} sessions of one address, {places} places, the best {min(join.number for join in macro)}; "
        f"{_waits(macro, [joined[visit.session] for visit in rivals], records, played)}"
        f"{got} seats bought; {len(rivals)} honest people of the first second who want as many: {each:.1f} each, "
        f"{ratio:.1f} ×"
    )
    if places == 1 and ratio > ADVANTAGE_MAX:
        finding.warnings.append(f"with one place it got {ratio:.2f} times an honest buyer's seats")
    return finding


def _judge_repeater(records: Records) -> Finding:
    """One browser that joined by the hundred through the opening."""
    finding = Finding(topic="repeater")
    joined = _joined(records)
    (repeater,) = (visit.session for visit in records.visits if visit.kind is Kind.repeater)
    if repeater not in joined:
        finding.text = "it had no place"
        return finding
    times = sum(join.session == repeater for join in records.of(Joined))
    numbers = {join.number for join in records.of(Joined) if join.session == repeater}
    rivals = sorted(joined[visit.session].number for visit in _rivals(records, joined))
    behind = sum(number > joined[repeater].number for number in rivals)
    finding.text = (
        f"{times} joins, {len(numbers)} place, number {joined[repeater].number}: "
        f"before {behind} of {len(rivals)} honest people of the first second"
    )
    if len(numbers) > 1:
        finding.warnings.append(f"one browser had {len(numbers)} places")
    return finding


def _judge_flooder(records: Records, played: Replay | None) -> Finding:
    """One address without cookies, as fast as it can."""
    finding = Finding(topic="flooder")
    flood = records.flood
    if flood is None:
        finding.unproven = "the flooder left nothing behind"
        return finding
    delay = _delay(records, flood, played)
    solving_s = max(0.0, flood.ended_ms - flood.solves_from_ms) / 1000
    finding.text = (
        f"{flood.asked:,} joins: {len(flood.unsolved)} places without work; then on two cores {len(flood.solved)} more "
        f"in {solving_s:.0f} s, {_per_minute(flood.solved):.0f} a minute at the end; "
        f"honest people wait {delay:.1%} longer for the places without work"
    )
    if len(flood.unsolved) > UNSOLVED_MAX:
        finding.warnings.append(f"{len(flood.unsolved)} places without work, {UNSOLVED_MAX} are free")
    if delay > DELAY_MAX:
        finding.warnings.append(f"honest people wait {delay:.0%} longer")
    return finding


def _delay(records: Records, flood: Flood, played: Replay | None) -> float:
    """How much longer honest people wait for those of its places that are let in: one that is absent is passed over."""
    numbers = [number for _, number in flood.unsolved]
    ghosts = [number for number in numbers if played is None or number in played.admitted_ms]
    before = [(sum(ghost < join.number for ghost in ghosts), join.number - 1) for join in _joined(records).values()]
    others = sum(people - each for each, people in before)
    return sum(each for each, _ in before) / others if others else 0.0


def _per_minute(places: list[tuple[float, int]]) -> float:
    """By the last ten places: the work for each grows with what the address has."""
    last = [at_ms for at_ms, _ in places[-11:]]
    return (len(last) - 1) * 60_000 / (last[-1] - last[0]) if len(last) > 1 else 0.0


def _waits(macro: list[Joined], early: list[Joined], records: Records, played: Replay | None) -> str:
    """When each got in, in seconds after the opening."""
    let_in = played.admitted_ms if played else {}
    opening = records.run.opening_ms
    first = [(let_in[join.number] - opening) / 1000 for join in macro if join.number in let_in]
    other = [(let_in[join.number] - opening) / 1000 for join in early if join.number in let_in]
    if not first or not other:
        return ""
    return f"let in after {min(first):.1f} s, the others after {median(other):.1f} s; "


def _seats_paid(records: Records) -> dict[int, int]:
    paid = {settled.reservation for settled in records.of(Settled) if settled.how == "paid"}
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for held in records.of(Held):
        if held.reservation in paid:
            found[held.session][held.reservation] = len(held.seats)
    return {session: sum(seats.values()) for session, seats in found.items()}

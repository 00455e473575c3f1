"""What the run was like: latencies, how fast news of a turn travels, how honest the predicted waits were, and what came
of it. Measured and shown; none of it decides the verdict.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from loadtest.judge.finding import Finding, percentile, spread
from loadtest.judge.replay import Replay
from loadtest.records import Call, Joined, PositionSeen, Records, SessionEnded

CALLS = ("join", "position", "stream", "claim", "reserve", "pay", "cancel", "leave", "seats", "reservation")
ERRORS_SHOWN = 5
OPENING_MS = 1_000.0
BUSY_MS = 100.0


def latencies(records: Records) -> list[tuple[str, int, float, float, float, float]]:
    """(call, how many answered, p50, p95, p99, max) in ms; of a stream, until its first message."""
    by_call: defaultdict[str, list[float]] = defaultdict(list)
    for call in records.of(Call):
        if call.status:
            by_call[call.call].append(call.received_ms - call.sent_ms)
    rows = []
    for name in CALLS:
        took = sorted(by_call.get(name, ()))
        if took:
            p50, p95, p99 = (percentile(took, share) for share in (0.5, 0.95, 0.99))
            rows.append((name, len(took), p50, p95, p99, took[-1]))
    return rows


def judge_arrivals(records: Records) -> Finding:
    """How far behind the plan people arrived: the crowd's own process was too busy, and its latencies are too long."""
    planned = {visit.session: records.run.opening_ms + visit.arrives_s * 1000 for visit in records.visits}
    late = sorted(
        joined.sent_ms - planned[joined.session]
        for joined in records.of(Joined)
        if not joined.again and joined.session in planned
    )
    finding = Finding(topic="arrivals", text=f"behind the plan: {spread(late)}")
    if late and percentile(late, 0.95) > BUSY_MS:
        finding.warnings.append("the crowd's process was too busy: what follows is slower than the system was")
    return finding


def judge_endings(records: Records) -> Finding:
    """How the visits ended; `cut off` are those whom the end of the run found still at it."""
    counts = Counter(ended.how for ended in records.of(SessionEnded))
    came = len(
        {joined.session for joined in records.of(Joined)} | {ended.session for ended in records.of(SessionEnded)}
    )
    counts["cut off"] = came - counts.total()
    shown = ", ".join(f"{count} {how}" for how, count in counts.most_common() if count)
    away = len(records.visits) - came
    return Finding(topic="visits", text=shown + (f"; {away} did not come" if away else ""))


def judge_errors(records: Records) -> Finding:
    """Calls without an answer, or with one that says the system is at fault."""
    calls = records.of(Call)
    failed: defaultdict[tuple[str, int, str], int] = defaultdict(int)
    refused = 0
    for call in calls:
        if call.status == 0 or call.status >= 500:
            failed[call.call, call.status, call.code] += 1
        refused += 400 <= call.status < 500
    finding = Finding(topic="errors", text=f"{sum(failed.values())} of {len(calls)} calls; {refused} refusals")
    for (name, status, code), count in sorted(failed.items(), key=lambda one: -one[1])[:ERRORS_SHOWN]:
        finding.warnings.append(f"{count} × {name}: {f'{status} {code}'.strip() if status else 'no answer'}")
    return finding


def judge_news(records: Records, played: Replay | None) -> Finding:
    """From a move of the cursor, at Redis's time, to the message in the browser."""
    finding = Finding(topic="news by stream")
    if played is None:
        finding.text = "the room's log was not read"
        return finding
    moved_ms = {step.entry.rev: step.entry.at_ms for step in played.steps if step.entry.kind == "admit"}
    first_seen: dict[int, float] = {}
    moves: list[float] = []
    last_rev: dict[int, int] = {}
    for told in records.of(PositionSeen):
        if told.via != "stream":
            continue
        if told.state == "admitted":
            first_seen.setdefault(told.number, told.at_ms)
        if told.session in last_rev and told.rev > last_rev[told.session] and told.rev in moved_ms:
            moves.append(told.at_ms - moved_ms[told.rev])
        last_rev[told.session] = told.rev
    turns = [at_ms - played.admitted_ms[number] for number, at_ms in first_seen.items() if number in played.admitted_ms]
    finding.text = f"of a turn: {spread(turns)} ({len(turns)}); of a move: {spread(moves)} ({len(moves)})"
    return finding


def judge_eta(records: Records, played: Replay | None) -> Finding:
    """How often the range a person was told held the wait they had. Without those who were absent at their turn."""
    finding = Finding(topic="predicted waits")
    let_in: dict[int, float] = dict(played.admitted_ms) if played else {}
    if not let_in:
        for told in records.of(PositionSeen):
            if told.state == "admitted":
                let_in.setdefault(told.number, told.at_ms)
    absent = played.skips if played else {}
    sides: dict[str, int] = {"within": 0, "sooner": 0, "later": 0}
    firsts: dict[int, bool] = {}
    for told in records.of(PositionSeen):
        if told.state != "waiting" or told.eta_s is None or told.number not in let_in or told.number in absent:
            continue
        actual_s = (let_in[told.number] - told.at_ms) / 1000
        side = "sooner" if actual_s < told.eta_s[0] else "later" if actual_s > told.eta_s[1] else "within"
        sides[side] += 1
        firsts.setdefault(told.number, side == "within")
    total = sum(sides.values())
    if total:
        shares = ", ".join(f"{count / total:.0%} {side}" for side, count in sides.items())
        first = sum(firsts.values()) / len(firsts)
        finding.text = f"{total} ranges: {shares}; the first one told: {first:.0%} within ({len(firsts)})"
    else:
        finding.text = "nobody was told one"
    return finding

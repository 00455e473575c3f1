"""The verdict on a run, from its folder alone: `python -m loadtest.audit runs/20261120-200000`.

Exit code 1 if an invariant I1–I7 is broken, and it says which and by whom; 2 if something could not be judged; else 0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from loadtest import records
from loadtest.judge import adversaries, draw, money, order, places, rate, seats, waits
from loadtest.judge.finding import Finding, People
from loadtest.judge.replay import replay
from loadtest.options import Adversary
from loadtest.records import Records

BREACHES_SHOWN = 10
WARNINGS_SHOWN = 5
WIDTH = 16
CLEAN, BROKEN, UNPROVEN = 0, 1, 2

Say = Callable[[str], None]

BESIDE = {
    Adversary.macro: "a macro of ten sessions",
    Adversary.repeater: "a browser that joins by the hundred",
    Adversary.flooder: "an address that floods the line",
    Adversary.none: "nobody else",
}


def judge(run: Records) -> list[Finding]:
    """Every finding, in the order in which it is read."""
    given, run = draw.by_number(run), draw.by_rank(run)
    people, played = People(run), replay(run)
    return [
        places.judge_numbers(given, People(given), played),
        draw.judge_draw(run),
        places.judge_holders(run, people, played),
        order.judge_order(run, people, played),
        places.judge_tickets(run, people, played),
        rate.judge_rate(played, people),
        rate.judge_capacity(played, people),
        seats.judge_seats(run, people),
        seats.judge_holds(run),
        money.judge_money(run),
        judge_stores(run),
        waits.judge_arrivals(run),
        waits.judge_endings(run),
        waits.judge_errors(run),
        waits.judge_news(run, played),
        waits.judge_eta(run, played),
        adversaries.judge_adversary(run, played),
    ]


def judge_stores(run: Records) -> Finding:
    """What the product's own check of its stores said when the run was over."""
    finding = Finding(topic="stores")
    if run.stores is None:
        finding.unproven = "the stores were not read"
        return finding
    for invariant, detail in run.stores.violations:
        finding.breach(detail, "the stores", invariant=invariant)
    finding.text = f"{run.stores.number} numbers and {len(run.stores.sales)} reservations in Redis and SQL"
    finding.claim = " agree"
    return finding


def code(findings: list[Finding]) -> int:
    if any(finding.breaches for finding in findings):
        return BROKEN
    return UNPROVEN if any(finding.unproven for finding in findings) else CLEAN


def show(folder: Path, say: Say = print) -> int:
    """Print the verdict; answers the exit code."""
    run = records.load(folder)
    findings = judge(run)
    say(_title(run, folder))
    say("")
    for finding in findings:
        say_finding(finding, say)
    say("")
    _say_latencies(run, say)
    say("")
    say(_conclusion(findings))
    return code(findings)


def _title(run: Records, folder: Path) -> str:
    took_s = (run.run.ended_ms - run.run.opening_ms) / 1000
    who = f"{run.run.users} people and {BESIDE[run.run.adversary]}"
    return f"Verdict on {folder}: {who} against {run.run.host}, seed {run.run.seed}, {took_s:.0f} s"


def say_finding(finding: Finding, say: Say) -> None:
    mark = "BROKEN" if finding.breaches else "?" if finding.unproven else "ok" if finding.invariant else ""
    text = finding.unproven or finding.text + ("" if finding.breaches else finding.claim)
    say(f"  {finding.invariant:<3} {finding.topic:<{WIDTH}} {mark:<7}{text}")
    indent = " " * (WIDTH + 14)
    for breach in finding.breaches[:BREACHES_SHOWN]:
        say(f"{indent}{breach.invariant}: {breach.by}: {breach.detail}")
    if len(finding.breaches) > BREACHES_SHOWN:
        say(f"{indent}and {len(finding.breaches) - BREACHES_SHOWN} more")
    for warning in finding.warnings[:WARNINGS_SHOWN]:
        say(f"{indent}{warning}")
    if len(finding.warnings) > WARNINGS_SHOWN:
        say(f"{indent}and {len(finding.warnings) - WARNINGS_SHOWN} more")


def _say_latencies(run: Records, say: Say) -> None:
    say(f"      {'latency in ms':<{WIDTH}} {'calls':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for name, calls, *values in waits.latencies(run):
        say(f"      {name:<{WIDTH}} {calls:>8,}" + "".join(f"{value:>9,.1f}" for value in values))


def _conclusion(findings: list[Finding]) -> str:
    match code(findings):
        case 0:
            return "Clean: I1 to I7 hold."
        case 1:
            broken = sorted({breach.invariant for finding in findings for breach in finding.breaches})
            return f"BROKEN: {', '.join(broken)}."
        case _:
            unproven = [finding.topic for finding in findings if finding.unproven]
            return f"Not proven: {', '.join(unproven)}. Nothing that could be judged is broken."


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: python -m loadtest.audit RUN_FOLDER", file=sys.stderr)
        return UNPROVEN
    try:
        return show(Path(argv[0]))
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        print(f"audit: {argv[0]} is not a run that can be read: {error}", file=sys.stderr)
        return UNPROVEN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

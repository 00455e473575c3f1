"""Who comes, when, and what each of them will do: all of it drawn before the first request, from one seed.

Open loop: an arrival time never depends on how the system answers the others. The times are those of an on-sale
spike: a share of `TRICKLE` comes evenly, the rest with an intensity that is highest at the opening and then decays.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from loadtest.options import TRICKLE, Adversary, Options

MACRO_SESSIONS = 10
BISECTIONS = 60
REPEATER_EARLY_S = 1.0
ADVERSARIES = frozenset({"macro", "repeater"})  # kinds


class Kind(StrEnum):
    poll = "poll"
    stream = "stream"
    reload = "reload"
    abandon = "abandon"
    away = "away"  # gone for longer than the presence window, then back
    macro = "macro"  # one browser session of the scalping macro
    repeater = "repeater"  # one browser that joins by the hundred through the opening


class Ending(StrEnum):
    """What a buyer does with their turn."""

    pay = "pay"
    cancel = "cancel"
    lapse = "lapse"  # holds seats and lets the hold run out
    vanish_inside = "vanish_inside"  # claims and is never heard of again
    vanish_admitted = "vanish_admitted"  # is let in and never claims
    vanish_waiting = "vanish_waiting"
    leave = "leave"  # says so while waiting


SHARES: Mapping[Kind, int] = {Kind.poll: 40, Kind.stream: 30, Kind.reload: 10, Kind.abandon: 12, Kind.away: 8}
ENDINGS: Mapping[Ending, int] = {Ending.pay: 80, Ending.cancel: 10, Ending.lapse: 10}
ABANDONS: Mapping[Ending, int] = {
    Ending.vanish_waiting: 35,
    Ending.leave: 20,
    Ending.vanish_admitted: 25,
    Ending.vanish_inside: 20,
}
QUANTITIES = (1, 2, 2, 2, 3, 4)
ADJACENT: tuple[str | bool, ...] = ("required", "preferred", True, True, False)
SCALPED = 4  # seats that an adversary wants
GRADES: tuple[tuple[str, ...], ...] = ((), (), ("VIP", "R"), ("R", "S"), ("S", "A"), ("A",))


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One browser session. `person` is whose it is: only a macro has several. Times are seconds from the opening."""

    session: int
    person: int
    kind: Kind
    arrives_s: float
    ending: Ending
    wish: dict[str, object] | None
    quantity: int
    picks_seats: bool
    think_s: float
    gives_up_after_s: float  # how long someone who vanishes or leaves waits before


def plan(options: Options) -> list[Visit]:
    """Every session of the run, by arrival. The same options give the same plan."""
    dice = random.Random(options.seed)
    visits = [
        _visit(dice, session, session, kind, at_s)
        for session, (at_s, kind) in enumerate(
            zip(arrivals(dice, options), _kinds(dice, options.users), strict=True), start=1
        )
    ]
    person = options.users + 1
    if options.adversary is Adversary.macro:
        visits += [_visit(dice, person + tab, person, Kind.macro, 0.0) for tab in range(MACRO_SESSIONS)]
    elif options.adversary is Adversary.repeater:
        visits.append(_visit(dice, person, person, Kind.repeater, -REPEATER_EARLY_S))
    return sorted(visits, key=lambda visit: (visit.arrives_s, visit.session))


def arrivals(dice: random.Random, options: Options) -> list[float]:
    """When each person arrives, in order, in seconds from the opening; the steepest second is about `rate_per_s`."""
    span_s = options.arrive_within_s
    late = round(options.users * TRICKLE)
    times = [dice.uniform(0, span_s) for _ in range(late)]
    early = options.users - late
    tau_s = decay_s(early, options.rate_per_s - late / span_s, span_s)
    whole = 1 - math.exp(-span_s / tau_s)
    times += [-tau_s * math.log(1 - dice.random() * whole) for _ in range(early)]
    return sorted(times)


def decay_s(people: int, peak_per_s: float, span_s: float) -> float:
    """How slowly the spike decays so that `people` come within `span_s` if it begins at `peak_per_s`."""
    low, high = 1e-6, span_s * 1e3
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        if peak_per_s * middle * (1 - math.exp(-span_s / middle)) < people:
            low = middle
        else:
            high = middle
    return high


def _kinds(dice: random.Random, users: int) -> list[Kind]:
    """In shares that are exact but for rounding, so that a small swarm has some of each."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(users * share / 100))]
    kinds = (kinds + [Kind.poll] * users)[:users]
    dice.shuffle(kinds)
    return kinds


def _visit(dice: random.Random, session: int, person: int, kind: Kind, arrives_s: float) -> Visit:
    endings = {Kind.abandon: ABANDONS, Kind.macro: {Ending.pay: 1}, Kind.repeater: {Ending.pay: 1}}.get(kind, ENDINGS)
    is_honest = kind not in ADVERSARIES
    quantity = dice.choice(QUANTITIES) if is_honest else SCALPED
    wish: dict[str, object] = {
        "quantity": quantity,
        "grades": dice.choice(GRADES),
        "adjacent": dice.choice(ADJACENT) if quantity < 4 else False,
    }
    return Visit(
        session=session,
        person=person,
        kind=kind,
        arrives_s=arrives_s,
        ending=dice.choices(list(endings), list(endings.values()))[0],
        wish=wish if is_honest and dice.random() < 0.5 else None,
        quantity=quantity,
        picks_seats=is_honest and dice.random() < 0.5,
        think_s=0.0 if not is_honest else dice.uniform(0.3, 3.0),
        gives_up_after_s=dice.uniform(0.5, 8.0),
    )

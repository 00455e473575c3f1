"""What a swarm is asked to do, read from the variables given to `make swarm`, and what follows from it.

Pure. Without HOST the swarm starts a system of its own, whose room and lifetimes are chosen here so that most people
get through within DURATION and every time limit is met by someone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from config.demo import SHOP

TRICKLE = 0.15  # of the people come later, evenly, instead of with the opening
ARRIVE_WITHIN = 0.5  # of DURATION: after it nobody arrives
SERVED_WITHIN = 0.7  # of DURATION: by then our own room has let everyone in
INSIDE_S = 8  # how long our own room expects a buyer to stay, at most
PRESENCE_MAX_S = 16  # so that people can be absent for longer than that and still come back in time
USERS_MAX = 20_000


class Adversary(StrEnum):
    """Who comes beside the honest people, to gain from it."""

    macro = "macro"  # ten sessions of one person
    repeater = "repeater"  # one browser that joins by the hundred
    flooder = "flooder"  # one address without cookies
    none = "none"


class OptionsError(ValueError):
    """A variable cannot be used; the message says which and what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`rate` is the peak of arrivals per second; `host` is "" for a system of our own.

    `lobby`: people may come before the opening, and its order is drawn; of a system of our own.
    `origin`: the site behind a room that is flooded, instead of the sale of an event: only the demo shop is ours.
    `accounts`: everybody has one, and only such people may join. `adversary`: who comes beside the honest people.
    """

    users: int = 200
    duration_s: float = 60.0
    rate_per_s: float = 50.0
    host: str = ""
    event_id: str = "demo"
    seed: int = 1
    accounts: bool = False
    adversary: Adversary = Adversary.macro
    lobby: bool = False
    origin: str = ""

    @property
    def arrive_within_s(self) -> float:
        return self.duration_s * ARRIVE_WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRoom:
    """How the room of a system of our own lets people in, and the lifetimes it is started with."""

    rate_per_s: float
    burst: int
    max_active: int
    presence_window_s: int
    presence_flush_s: float = 1.0
    claim_window_s: int = 6
    pass_s: int = 20
    hold_s: int = 8
    door: str = "open"
    opening: str = "first"


def read(environ: Mapping[str, str]) -> Options:
    """The options as variables: USERS, RATE and so on. Raises OptionsError naming the first bad one."""
    users = int(_number(environ, "USERS", 200, 1, USERS_MAX))
    duration_s = _number(environ, "DURATION", 60, 10, 3600)
    rate = _number(environ, "RATE", max(1.0, users / 4), 0.1, 10_000)
    if users > 1.01 * rate * duration_s * ARRIVE_WITHIN:
        least = math.ceil(users / (duration_s * ARRIVE_WITHIN))
        raise OptionsError(
            f"USERS={users} cannot all arrive within half of DURATION={duration_s:g} s at RATE={rate:g} per second: "
            f"RATE must be at least {least}"
        )
    host = environ.get("HOST", "").strip().rstrip("/")
    if host and urlsplit(host).scheme not in ("http", "https"):
        raise OptionsError(f"HOST={host!r} must be the address of a running system, such as http://127.0.0.1:8000")
    accounts = bool(_number(environ, "ACCOUNTS", 0, 0, 1))
    if host and accounts:
        raise OptionsError("ACCOUNTS=1 makes many accounts, which is for a system of the swarm's own: leave out HOST")
    lobby = bool(_number(environ, "LOBBY", 0, 0, 1))
    adversary = _adversary(environ.get("ADVERSARY", "").strip() or "macro")
    if host and adversary is Adversary.flooder:
        raise OptionsError("ADVERSARY=flooder is for a system of the swarm's own: leave out HOST")
    if lobby and (host or adversary is Adversary.flooder):
        raise OptionsError("LOBBY=1 is for a system of the swarm's own and not for the flooder, who reads no draw")
    origin = environ.get("ORIGIN", "").strip()
    if origin not in ("", SHOP):
        raise OptionsError(f"ORIGIN={origin!r} is no site of ours: {SHOP} is the only one that a swarm may flood")
    if origin and (lobby or accounts):
        raise OptionsError("LOBBY=1 and ACCOUNTS=1 are for the sale of an event: leave out ORIGIN")
    return Options(
        users=users,
        duration_s=duration_s,
        rate_per_s=rate,
        host=host,
        event_id=environ.get("EVENT", "").strip() or "demo",
        seed=int(_number(environ, "SEED", 1, 0, 2**31)),
        accounts=accounts,
        adversary=adversary,
        lobby=lobby,
        origin=origin,
    )


def own_room(options: Options) -> OwnRoom:
    """A room that lets all of these people in by `SERVED_WITHIN`, and is small enough for all its limits to matter."""
    rate = math.ceil((options.users + 10) / (options.duration_s * SERVED_WITHIN))
    poll_s = 1 + options.users / 100  # how rarely the last in line asks before the wait is known, which it soon is
    return OwnRoom(
        rate_per_s=rate,
        burst=max(2, rate),
        max_active=max(20, rate * INSIDE_S),
        door="accounts" if options.accounts else "open",
        opening="draw" if options.lobby else "first",
        presence_window_s=min(PRESENCE_MAX_S, max(8, math.ceil(2 * poll_s))),
    )


def _adversary(text: str) -> Adversary:
    try:
        return Adversary(text)
    except ValueError:
        raise OptionsError(f"ADVERSARY={text!r} is not one of {', '.join(Adversary)}") from None


def _number(environ: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        raise OptionsError(f"{name}={text!r} is not a number") from None
    if not low <= value <= high:
        raise OptionsError(f"{name}={text} is not between {low:g} and {high:g}")
    return value

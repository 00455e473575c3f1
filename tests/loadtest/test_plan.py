"""What a swarm is asked for and the plan that follows: the same from the same seed, and a spike that RATE bounds."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from pathlib import Path

import pytest

from config.settings import load
from loadtest.options import Adversary, Options, OptionsError, own_room, read
from loadtest.plan import MACRO_SESSIONS, Kind, arrivals, plan
from loadtest.system import own_environ


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan(Options(seed=7)) == plan(Options(seed=7))
    assert plan(Options(seed=7)) != plan(Options(seed=8))


def test_everyone_is_planned_once_and_the_macro_has_ten_sessions_at_the_opening() -> None:
    visits = plan(Options(users=200))
    assert sorted(visit.session for visit in visits) == list(range(1, 201 + MACRO_SESSIONS))
    macro = [visit for visit in visits if visit.kind is Kind.macro]
    assert {(visit.person, visit.arrives_s) for visit in macro} == {(201, 0.0)}
    assert len(macro) == MACRO_SESSIONS


def test_a_small_crowd_has_some_of_each_kind() -> None:
    crowds = (plan(Options(users=20, adversary=adversary)) for adversary in (Adversary.macro, Adversary.repeater))
    assert set(Counter(visit.kind for crowd in crowds for visit in crowd)) == set(Kind)


@pytest.mark.parametrize(("adversary", "more"), [("repeater", 1), ("flooder", 0), ("none", 0)])
def test_the_others_bring_no_ten_sessions(adversary: str, more: int) -> None:
    visits = plan(read({"USERS": "100", "ADVERSARY": adversary}))
    assert len(visits) == 100 + more
    assert sum(visit.kind is Kind.repeater for visit in visits) == more


@pytest.mark.parametrize(("users", "rate"), [(100, 20.0), (500, 125.0), (2000, 200.0)])
def test_the_opening_is_the_busiest_and_about_as_busy_as_asked(users: int, rate: float) -> None:
    options = Options(users=users, rate_per_s=rate, duration_s=60)
    times = arrivals(random.Random(3), options)
    seconds = [bisect_left(times, second + 1) - bisect_left(times, second) for second in range(30)]
    assert len(times) == users
    assert 0 <= times[0] <= times[-1] <= options.arrive_within_s
    assert max(seconds) == max(seconds[:3])
    assert 0.5 * rate < max(seconds) < 1.5 * rate


def test_a_rate_too_low_for_everyone_to_arrive_is_refused() -> None:
    with pytest.raises(OptionsError, match="RATE must be at least 17"):
        read({"USERS": "500", "RATE": "2"})


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"USERS": "many"}, "USERS='many' is not a number"),
        ({"USERS": "0"}, "USERS=0 is not between"),
        ({"ACCOUNTS": "1", "HOST": "http://127.0.0.1:8000"}, "leave out HOST"),
        ({"LOBBY": "1", "HOST": "http://127.0.0.1:8000"}, "of the swarm's own"),
        ({"LOBBY": "1", "ADVERSARY": "flooder"}, "not for the flooder"),
        ({"ADVERSARY": "hacker"}, "ADVERSARY='hacker' is not one of macro, repeater, flooder, none"),
        ({"ADVERSARY": "flooder", "HOST": "http://127.0.0.1:8000"}, "leave out HOST"),
        ({"DURATION": "1"}, "DURATION=1 is not between"),
        ({"HOST": "localhost:8000"}, "HOST='localhost:8000' must be the address"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        read(environ)


@pytest.mark.parametrize("users", [1, 200, 500, 5000])
def test_our_own_room_lets_everyone_in_within_the_run_and_its_settings_are_valid(users: int) -> None:
    options = read({"USERS": str(users)})
    room = own_room(options)
    assert room.rate_per_s * options.duration_s > users
    environ = {"TIKETI_HOLD_S": "77", "REDIS_URL": "redis://elsewhere", "HOST": "http://x", "WORKERS": "2", "PATH": "/"}
    env = own_environ(environ, room, Path("/somewhere"))
    settings = load(env)
    assert (settings.hold_s, settings.redis_url, settings.workers) == (room.hold_s, "", 2)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 0, Path("/somewhere"))
    assert env["PATH"] == "/"

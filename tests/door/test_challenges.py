"""Challenges that a browser solves, and what proves nothing: wrong, old, foreign, huge and hostile solutions."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import altcha
import pytest

from app.door.challenges import (
    COUNTERS_FIRST,
    COUNTERS_MAX,
    ITERATIONS,
    SOLUTION_CHARS_MAX,
    BadSolution,
    Challenges,
    Subject,
    counters_for,
)

KEYS = {1: b"k" * 32, 2: b"l" * 32}
HERE = Subject("gig", 1, "203.0.113.7")
LIFE_S = 300


def challenges(counter: int = 7) -> Challenges:
    return Challenges(KEYS, 2, lambda most: min(counter, most - 1))


def solved(sent: dict[str, Any]) -> dict[str, Any]:
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(sent))
    assert solution is not None
    return {"challenge": sent, "solution": solution.to_dict()}


def packed(payload: object) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


def made(expires_in_s: float = LIFE_S, **about: Any) -> dict[str, Any]:
    return challenges().make(HERE._replace(**about), COUNTERS_FIRST, int(time.time() + expires_in_s))


def read(payload: object, subject: Subject = HERE, now_s: float | None = None) -> str | BadSolution:
    return challenges().read(packed(payload), subject, time.time() if now_s is None else now_s)


def test_what_the_kept_library_solves_is_a_proof_named_by_its_nonce() -> None:
    sent = made()
    assert sent["parameters"]["algorithm"] == "PBKDF2/SHA-256"
    assert read(solved(sent)) == sent["parameters"]["nonce"]


def test_the_counter_is_the_one_that_was_drawn() -> None:
    assert solved(challenges(41).make(HERE, 100, int(time.time() + 9)))["solution"]["counter"] == 41


def test_a_challenge_does_not_tell_the_address() -> None:
    assert HERE.network not in json.dumps(made())


@pytest.mark.parametrize(
    "other", [HERE._replace(event_id="other"), HERE._replace(epoch=2), HERE._replace(network="203.0.113.8")]
)
def test_a_solution_is_for_its_room_line_and_address(other: Subject) -> None:
    assert read(solved(made()), other) is BadSolution.foreign


def test_a_solution_gets_old() -> None:
    payload = solved(made())
    assert read(payload, now_s=time.time() + LIFE_S + 1) is BadSolution.expired
    assert read(solved(made(expires_in_s=-5))) is BadSolution.expired


def test_a_key_that_came_later_is_known_once_it_was_learned() -> None:
    late = Challenges({3: b"m" * 32}, 3, lambda _: 1)
    payload = packed(solved(late.make(HERE, 10, int(time.time() + 9))))
    ours = challenges()
    assert ours.read(payload, HERE, time.time()) is BadSolution.invalid
    ours.learn({3: b"m" * 32})
    assert ours.read(payload, HERE, time.time()) not in list(BadSolution)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("solution", "derivedKey"), "00" * 32),
        (("solution", "derivedKey"), "zz"),
        (("solution", "derivedKey"), 5),
        (("solution", "counter"), "7"),
        (("challenge", "parameters", "cost"), 2**40),
        (("challenge", "parameters", "cost"), 1),
        (("challenge", "parameters", "keySignature"), None),
        (("challenge", "parameters", "keyPrefix"), ""),
        (("challenge", "parameters", "algorithm"), "SCRYPT"),
        (("challenge", "parameters", "expiresAt"), 9_999_999_999),
        (("challenge", "parameters", "expiresAt"), "soon"),
        (("challenge", "parameters", "data"), None),
        (("challenge", "parameters", "data"), [["key", 2]]),
        (("challenge", "parameters", "data", "key"), 9),
        (("challenge", "parameters", "data", "key"), "x"),
        (("challenge", "parameters", "data", "room"), "other"),
        (("challenge", "parameters", "data", "__proto__"), {}),
        (("challenge", "parameters"), {}),
        (("challenge", "signature"), ""),
        (("challenge", "signature"), "é"),
        (("challenge",), None),
    ],
)
def test_what_was_changed_proves_nothing(path: tuple[str, ...], value: object) -> None:
    payload = solved(made())
    at = payload
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    assert read(payload) is BadSolution.invalid


@pytest.mark.parametrize(
    "text",
    ["", "=", "é", "null", "e30=", "W10=", "A" * SOLUTION_CHARS_MAX, "A" * 1_000_000, packed([[]] * 9), "W1tb" * 999],
)
def test_noise_proves_nothing(text: str) -> None:
    assert challenges().read(text, HERE, time.time()) is BadSolution.invalid


def test_a_good_solution_that_is_padded_beyond_the_limit_proves_nothing() -> None:
    long = json.dumps(solved(made())) + " " * SOLUTION_CHARS_MAX
    assert challenges().read(base64.b64encode(long.encode()).decode(), HERE, time.time()) is BadSolution.invalid


def test_deep_noise_proves_nothing() -> None:
    deep = base64.b64encode(b"[" * 3_000).decode()
    assert challenges().read(deep, HERE, time.time()) is BadSolution.invalid


def test_the_work_grows_with_what_an_address_has_taken() -> None:
    work = [counters_for(taken, 20) for taken in (0, 20, 21, 100, 200, 10_000)]
    assert work == sorted(work)
    assert work[0] == work[1] == COUNTERS_FIRST < work[2]
    assert work[-2] == work[-1] == COUNTERS_MAX


def test_two_cores_find_no_more_than_sixty_places_a_minute_once_ten_shares_are_used_up() -> None:
    """Counters are drawn evenly, so a solver tries half of the most on average; one try takes as long as measured."""
    derivation_s = 153e-6  # PBKDF2-SHA-256 of ITERATIONS in OpenSSL, on the machine on which the limits were set
    assert ITERATIONS == 500, "measure derivation_s anew"
    for share in (1, 20, 500):
        places_per_minute = [
            2 * 60 / (derivation_s * counters_for(shares * share, share) / 2) for shares in (1, 3, 10, 30)
        ]
        assert places_per_minute == sorted(places_per_minute, reverse=True)
        assert places_per_minute[2] <= 60


def test_no_solution_is_derived_again_and_a_challenge_costs_one_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    """All this runs on the event loop, where one derivation is short and as many as a solver needs are not."""
    solution = solved(made())
    derived: list[int] = []
    derive = hashlib.pbkdf2_hmac

    def counting(name: str, password: bytes, salt: bytes, iterations: int, size: int | None = None) -> bytes:
        derived.append(iterations)
        return derive(name, password, salt, iterations, size)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counting)
    assert not isinstance(read(solution), BadSolution)
    other = {**solution["solution"], "derivedKey": "00" * 32}
    costly = {**solution["challenge"]["parameters"], "cost": 10_000_000}
    assert read({**solution, "solution": other}) is BadSolution.invalid
    assert read({**solution, "challenge": {**solution["challenge"], "parameters": costly}}) is BadSolution.invalid
    assert read(solution, HERE._replace(network="203.0.113.8")) is BadSolution.foreign
    assert read(solution, now_s=time.time() + 2 * LIFE_S) is BadSolution.expired
    assert derived == []
    made()
    assert derived == [ITERATIONS]

"""A proof of having waited: not before its time, not for another room or address, not made by anybody else."""

from __future__ import annotations

import pytest

from app.door.allowance import AT_ONCE_MAX, PER_S, Allowance
from app.door.challenges import Subject
from app.door.waits import Waits

HERE = Subject("gig", 1, "203.0.113.7")
READY_S, LIFE_S = 1_000, 300
waits = Waits({1: b"k" * 32}, 1, lambda count: b"\7" * count)


def test_a_proof_is_good_from_its_time_on_for_as_long_as_it_lives() -> None:
    token = waits.make(HERE, READY_S)
    assert waits.read(token, HERE, READY_S - 30, LIFE_S) == ("07" * 8, 30)
    assert waits.read(token, HERE, READY_S, LIFE_S) == ("07" * 8, 0)
    assert waits.read(token, HERE, READY_S + LIFE_S, LIFE_S) is None


@pytest.mark.parametrize(
    "other", [HERE._replace(event_id="other"), HERE._replace(epoch=2), HERE._replace(network="203.0.113.8")]
)
def test_a_proof_is_for_its_room_line_and_address(other: Subject) -> None:
    assert waits.read(waits.make(HERE, READY_S), other, READY_S, LIFE_S) is None


@pytest.mark.parametrize("token", ["", "é", "AAAA", "A" * 39, "A" * 64, "A" * 10_000, "=" * 20])
def test_noise_proves_nothing(token: str) -> None:
    assert waits.read(token, HERE, READY_S, LIFE_S) is None


def test_a_key_of_others_proves_nothing() -> None:
    token = Waits({1: b"x" * 32}, 1, bytes).make(HERE, READY_S)
    assert waits.read(token, HERE, READY_S, LIFE_S) is None


def test_an_address_is_made_so_many_challenges_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance()
    assert sum(allowance.take("a", 5.0) for _ in range(AT_ONCE_MAX + 50)) == AT_ONCE_MAX
    assert allowance.take("b", 5.0)
    assert sum(allowance.take("a", 6.0) for _ in range(AT_ONCE_MAX)) == PER_S

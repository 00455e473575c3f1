"""The judges of a line whose opening was drawn: they compute the draw again, and find whoever was moved in it."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from app.domain import draw as product
from loadtest import audit
from loadtest.judge.draw import order_of, renumbered
from loadtest.records import Draw, Joined, Records
from tests.loadtest.forged import at, clean, with_crowd

SEED = b"s" * 32
DRAW = Draw(after=0, commitment=hashlib.sha256(SEED).hexdigest(), entries=5, root=(b"r" * 32).hex(), seed=SEED.hex())


def drawn() -> Records:
    """The run that is in order, in a line whose five people came together and were drawn: ranks are sessions."""
    number = dict(enumerate(order_of(DRAW), 1))
    run = renumbered(clean(), lambda rank: number.get(rank, rank))
    crowd = [
        replace(line, number=number[line.number], entry=True, sent_ms=at(0.05), received_ms=at(0.06))
        if isinstance(line, Joined)
        else line
        for line in run.crowd
    ]
    return replace(run, run=replace(run.run, draw=DRAW), crowd=crowd)


def broken(run: Records) -> set[tuple[str, str]]:
    return {(finding.topic, breach.invariant) for finding in audit.judge(run) for breach in finding.breaches}


def test_a_drawn_line_in_order_is_clean() -> None:
    assert order_of(DRAW) != [1, 2, 3, 4, 5]
    assert broken(drawn()) == set()
    told = next(finding for finding in audit.judge(drawn()) if finding.topic == "draw")
    assert told.text.startswith("5 drawn, 5 of them ours, told ")


def test_the_judge_and_the_product_draw_alike() -> None:
    for randomness in (b"", b"b" * 32):
        ours = order_of(replace(DRAW, entries=1000, randomness=randomness.hex()))
        assert ours == product.order_of(product.key_of(SEED, b"r" * 32, randomness), 1000).tolist()


def test_a_seed_that_nobody_committed_to_is_found() -> None:
    run = drawn()
    assert ("draw", "I11") in broken(replace(run, run=replace(run.run, draw=replace(DRAW, commitment="00" * 32))))


def test_a_line_in_another_order_than_the_drawn_one_is_found() -> None:
    """People were let in as if another root had been drawn."""
    run = drawn()
    other = replace(DRAW, root=(b"q" * 32).hex())
    assert order_of(other) != order_of(DRAW)
    assert {("draw", "I11"), ("order", "I3")} <= broken(replace(run, run=replace(run.run, draw=other)))


def test_somebody_told_another_number_than_the_drawn_one_is_found() -> None:
    run = drawn()
    told = next(line for line in run.crowd if getattr(line, "state", "") == "waiting")
    assert ("draw", "I11") in broken(with_crowd(replace(told, number=told.number % 5 + 1))(run))  # type: ignore[union-attr]

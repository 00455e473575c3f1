"""How long best available takes in a hall of 20,000 seats: sold out wish by wish, and with scattered seats only.

In processor time of this process. The ratio is to a wish for one seat in an empty hall, which only looks at each row.
"""

from __future__ import annotations

import time
from random import Random
from statistics import mean

from app.domain.layout import SeatMap
from app.domain.seat import Seat
from app.domain.seating import Availability
from app.domain.wish import SEATS_PER_WISH_MAX, Adjacent, Wish
from loadtest.bench.report import Row, Say

SECTIONS, ROWS, SEATS_PER_ROW = 20, 25, 40
GRADES = ("VIP", "R", "S", "A")
SOLD_BEFORE = 0.7  # of the seats, at random, where only scattered ones are left
GIVEN_BACK = 0.35  # of the choices, one that was made before
WAYS: tuple[Adjacent, ...] = ("required", "preferred", "preferred", False)
AT_MOST_MS = 2.0


def measure(say: Say) -> list[Row]:
    seat_map = SeatMap(hall(), (125.0, -5.0))
    say(f"a hall of {len(seat_map.seats):,} seats")
    simple_ms = _times_ms(Availability(seat_map, bytes(len(seat_map.seats))), Random(1), most=1)
    rows = []
    for what, sold in (("sold from the first to the last", 0.0), ("with scattered seats only", SOLD_BEFORE)):
        dice = Random(2)
        free = Availability(seat_map, bytes(dice.random() < sold for _ in seat_map.seats))
        times = _times_ms(free, dice, most=SEATS_PER_WISH_MAX)
        say(f"{len(times):,} wishes, {what}")
        ratio, slow_ms = mean(times) / mean(simple_ms), sorted(times)[-len(times) // 100]
        note = f"{ratio:.0f} × a single seat; 99 of 100 within {slow_ms:.1f} ms"
        rows.append(Row(what=f"a wish, hall {what}", value=mean(times), unit="ms", at_most=AT_MOST_MS, note=note))
    return rows


def hall() -> list[Seat]:
    """Sections side by side in four tiers, a grade each, with an aisle in the middle of every row."""
    seats: list[Seat] = []
    for section in range(SECTIONS):
        across, tier = section % (SECTIONS // len(GRADES)), section // (SECTIONS // len(GRADES))
        for row in range(ROWS):
            for number in range(SEATS_PER_ROW):
                x = across * 50.0 + number + (2 if number >= SEATS_PER_ROW // 2 else 0)
                point = (x, tier * 35.0 + row * 1.2)
                seats.append(Seat(len(seats), f"S{section}", str(row), number + 1, GRADES[tier], 1, *point))
    return seats


def _times_ms(free: Availability, dice: Random, most: int) -> list[float]:
    """Of each wish, until fewer seats are left than the largest asks for."""
    times, chosen = [], []
    while sum(free.left().values()) >= most:
        grades = tuple(dice.sample(GRADES, dice.randint(0, 2)))
        wish = Wish(quantity=dice.randint(1, most), grades=grades, adjacent=dice.choice(WAYS))
        began_s = time.thread_time()
        found = free.choose(wish)
        times.append((time.thread_time() - began_s) * 1000)
        if found is None:
            continue
        free.take(found)
        chosen.append(found)
        if most > 1 and dice.random() < GIVEN_BACK:
            free.give_back(chosen.pop(dice.randrange(len(chosen))))
    return times

"""Which seats of a hall a person means who says a section, a row and numbers: `A`, `3`, `1-10, 12A`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.domain.seat import Seat
from app.domain.seatvalues import NUMBER_MAX, SeatName, seat_name_of

NUMBERS_CHARS_MAX = 400

_RANGE = re.compile(r"(\d{1,5})\s*[-–~]\s*(\d{1,5})")
_DIVIDES = re.compile(r"[,;\s]+")


class BadNumbers(ValueError):
    """The text names no seats. Its argument is the part that does not."""


class NumberRange(NamedTuple):
    """All seats whose numbers are from `first` to `last`."""

    first: int
    last: int


Numbers = Sequence[NumberRange | SeatName]


def numbers_of(text: str) -> Numbers:
    """What `1-10, 12, 12A` names; nothing for an empty text. Raises BadNumbers."""
    if len(text) > NUMBERS_CHARS_MAX:
        raise BadNumbers(text[:40])
    joined = _RANGE.sub(r"\1-\2", text).strip(" ,;\n\t")
    return [_part_of(part) for part in _DIVIDES.split(joined) if part]


def _part_of(part: str) -> NumberRange | SeatName:
    if found := _RANGE.fullmatch(part):
        first, last = int(found[1]), int(found[2])
        if first > last or last > NUMBER_MAX:
            raise BadNumbers(part)
        return NumberRange(first, last)
    name = seat_name_of(part)
    if name is None:
        raise BadNumbers(part)
    return name


def choose(seats: Sequence[Seat], section: str, row: str, numbers: Numbers) -> list[int]:
    """The positions of the seats that are meant. No row means every row of the section, no numbers every seat."""
    ranges = [part for part in numbers if isinstance(part, NumberRange)]
    written = {part.written or str(part.number) for part in numbers if isinstance(part, SeatName)}

    def is_meant(seat: Seat) -> bool:
        if seat.section != section or (row and seat.row != row):
            return False
        is_in_range = any(first <= seat.number <= last for first, last in ranges)
        return not numbers or is_in_range or (seat.name or str(seat.number)) in written

    return [seat.idx for seat in seats if is_meant(seat)]


def each_of(numbers: Numbers) -> Iterator[SeatName]:
    """Every single seat that these numbers name, in their order. The caller must bound how many it takes."""
    for part in numbers:
        if isinstance(part, SeatName):
            yield part
        else:
            yield from map(SeatName, range(part.first, part.last + 1))

"""What a process has seen of a room never decreases, whichever part of it somebody tells."""

from __future__ import annotations

from app.room.high_water import HighWater


def test_neither_a_number_nor_a_cursor_that_was_seen_is_forgotten() -> None:
    marks = HighWater()
    assert marks.of("gig") == (0, 0)
    marks.see("gig", 5, 3)
    marks.see("gig", 4, 4)
    assert marks.of("gig") == (5, 4)
    marks.see("gig", 9)
    assert marks.of("gig") == (9, 4)
    marks.see("gig", 1, 1)
    assert (marks.of("gig"), marks.of("other")) == ((9, 4), (0, 0))


def test_a_caller_who_knows_more_is_believed_and_one_who_knows_less_is_not() -> None:
    marks = HighWater()
    marks.see("gig", 5, 3)
    assert marks.remembered("gig") == "5 3"
    assert marks.remembered("gig", 7, 2) == "7 3"
    assert marks.remembered("gig", 4, 6) == "5 6"
    assert marks.of("gig") == (5, 3), "a ticket proves nothing of what others may expect"

"""A place in line in words."""

from __future__ import annotations

import pytest

from app.http.kit.i18n import TEXTS
from app.http.line.view import wait_view, wait_words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 20, "less than a minute"),
        (20, 60, "at most 1 minute"),
        (30, 100, "at most 2 minutes"),
        (200, 290, "about 3\u2060–\u20605 minutes"),
        (120, 120, "about 2 minutes"),
        (5000, 7199, "about 83\u2060–\u2060120 minutes"),
        (5000, 9000, "about 1\u2060–\u20603 hours"),
    ],
)
def test_a_wait_is_rounded_outwards(low: int, high: int, words: str) -> None:
    assert wait_words(TEXTS["en"], low, high) == words


@pytest.mark.parametrize("state", ["lobby", "waiting", "admitted", "claimed", "left", "lapsed"])
def test_whoever_had_a_place_is_told_that_the_event_is_cancelled(state: str) -> None:
    position = {"state": state, "room": "closed", "reason": "event_cancelled"}
    shown = wait_view(TEXTS["en"], position, "UTC")
    assert (shown.state, shown.title) == ("closed", TEXTS["en"]("line.closed.event_cancelled.title"))


def test_who_is_inside_goes_on_when_the_line_has_ended() -> None:
    position = {"state": "claimed", "room": "closed", "reason": "sale_ended"}
    assert wait_view(TEXTS["en"], position, "UTC").state == "claimed"

"""A place in line in words."""

from __future__ import annotations

import pytest

from app.http.kit.i18n import TEXTS
from app.http.line.view import wait_words


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

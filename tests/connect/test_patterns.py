"""Patterns found together fit what each of them fits alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connect.patterns import PATTERN_CHARS_MAX, STARS_MAX, Patterns, Plain, why_no_pattern

LETTERS = "ab/"


def fits(pattern: str, text: str, plain: Plain) -> bool:
    """The same, said with regular expressions."""
    if pattern.startswith("="):
        return text == pattern[1:]
    if "*" in pattern:
        return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    match plain:
        case Plain.whole:
            return text == pattern
        case Plain.inside:
            return pattern in text
        case Plain.folder:
            folder = pattern.rstrip("/")
            return text == folder or text.startswith(f"{folder}/")


@given(
    st.lists(st.text(f"{LETTERS}*=", min_size=1, max_size=8), max_size=12),
    st.text(LETTERS, max_size=12).map(lambda text: f"/{text}"),
    st.sampled_from(Plain),
)
def test_many_patterns_fit_what_each_of_them_fits(wanted: list[str], text: str, plain: Plain) -> None:
    patterns = Patterns([(pattern, 1 << place) for place, pattern in enumerate(wanted)], plain)
    expected = {pattern for pattern in wanted if fits(pattern, text, plain)}
    found = patterns.fitting(text)
    assert {pattern for place, pattern in enumerate(wanted) if found >> place & 1} == expected


def test_a_folder_is_itself_and_what_lies_below_it() -> None:
    patterns = Patterns([("/cart", 1), ("/", 2)], Plain.folder)
    assert [patterns.fitting(text) for text in ("/cart", "/cart/", "/cart/x", "/cartoon", "/car")] == [3, 3, 3, 2, 2]


@pytest.mark.parametrize(
    "pattern", ["", "x" * (PATTERN_CHARS_MAX + 1), "a\r\nb", "a\x00", "*".join("x" * (STARS_MAX + 2))]
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern: str) -> None:
    assert why_no_pattern(pattern)


def test_after_an_equals_sign_stars_are_stars() -> None:
    assert why_no_pattern("=" + "*" * (STARS_MAX + 1)) is None
    assert Patterns([("=/*", 1)], Plain.folder).fitting("/x") == 0

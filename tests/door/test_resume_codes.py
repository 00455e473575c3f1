"""Codes are read as people type them."""

from __future__ import annotations

import pytest

from app.door.resume_codes import CODE_CHARS, LETTERS, Belongings, ResumeCodes, code_of, shown

THINGS = Belongings(event_id="gig", browser="b", ticket="t")


def counting(count: int) -> bytes:
    return bytes(range(count))


def test_what_was_sealed_is_opened_by_its_code_alone() -> None:
    codes = ResumeCodes(b"k" * 32, counting)
    sealed = codes.seal(THINGS)
    assert codes.open("gig", sealed.code, sealed.value) == THINGS
    assert codes.name_of("gig", sealed.code) == sealed.name
    other = sealed.code[:-1] + LETTERS[(LETTERS.index(sealed.code[-1]) + 1) % len(LETTERS)]
    assert codes.open("gig", other, sealed.value) is None
    assert codes.open("gig", sealed.code, sealed.value[:-1]) is None
    assert codes.open("gig", sealed.code, b"") is None
    assert codes.open("other", sealed.code, sealed.value) is None


@pytest.mark.parametrize(
    "typed",
    [
        "ABCD-EFGH-JKM0",
        "abcd efgh jkmo",
        " ABCDEFGHJKM0\n",
        "https://tickets.example.org/events/gig/resume#ABCD-EFGH-JKM0",
    ],
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert code_of(typed) == "ABCDEFGHJKM0"


@pytest.mark.parametrize("typed", ["", "ABCD", "ABCD-EFGH-JKM0-X", "#", "가나다라마바사아자차카타", "ABCD-EFGH-JKM!"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert code_of(typed) is None


def test_a_code_is_shown_in_groups_and_drawn_evenly() -> None:
    assert shown("ABCDEFGHJKM0") == "ABCD-EFGH-JKM0"
    assert (len(LETTERS), len(set(LETTERS)), 256 % len(LETTERS)) == (32, 32, 0)
    assert len(ResumeCodes(b"k" * 32, counting).seal(THINGS).code) == CODE_CHARS

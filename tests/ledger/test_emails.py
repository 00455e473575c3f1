"""What an account's email address and password may be: of any country, in one spelling, and not what all try first."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.common_passwords import is_common
from app.ledger.emails import email_of, is_email
from app.ledger.passwords import hash_password, matches


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ann@Example.COM ", "ann@example.com"),
        ("a.b+c@sub.example.co.kr", "a.b+c@sub.example.co.kr"),
        ("ann@XN--bcher-kva.example", "ann@bücher.example"),
        ("Ann@Bücher.example", "ann@bücher.example"),
        ("김하나@한국.kr", "김하나@한국.kr"),
        (unicodedata.normalize("NFD", "김하나@한국.kr"), "김하나@한국.kr"),
    ],
)
def test_an_address_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert email_of(typed) == kept
    assert is_email(kept)


@pytest.mark.parametrize(
    "email",
    [
        *("", "ann", "@example.com", "ann@", "ann@example", "ann@@example.com", "ann@-example.com"),
        *("ann@example..com", "ann@exam ple.com", "ann@example.com\x00", "<b>@example.com", "ann@[127.0.0.1]"),
        *("Ann@example.com", "a" * 65 + "@example.com", "ann@" + "e" * 250 + ".com", "Ann <ann@example.com>"),
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert not is_email(email)


@given(st.text() | st.emails())
def test_keeping_an_address_twice_changes_nothing(text: str) -> None:
    assert email_of(email_of(text)) == email_of(text)


@pytest.mark.parametrize("password", ["qwertyuiop", "QWERTYUIOP", "Password123", "dragon2024!!", "1234567890"])
def test_what_all_try_first_is_common(password: str) -> None:
    assert is_common(password)


@pytest.mark.parametrize("password", ["correct horse", "password of 7", "qwertyuiop-and-more", "비밀번호비밀번호비밀"])
def test_what_is_longer_is_not(password: str) -> None:
    assert not is_common(password)


def test_a_password_is_the_same_from_every_keyboard() -> None:
    """A Mac sends a Korean syllable in parts."""
    assert matches(hash_password("비밀번호비밀번호"), unicodedata.normalize("NFD", "비밀번호비밀번호"))
    assert matches(hash_password(unicodedata.normalize("NFD", "pässwörter!")), "pässwörter!")

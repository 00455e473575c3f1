"""What an account may be made of: refused with a reason each, and kept in one spelling."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import BadAccount, check_name, check_password, name_of, password_of
from app.domain.ticket import HOLDER_BYTES, account_holder, holder_bytes, holder_text, is_account

EMAIL = "ann.smith@example.com"


def is_common(password: str) -> bool:
    return password == "0123456789"


def why_not(password: str) -> BadAccount | None:
    return check_password(password, EMAIL, "Ann Smith", is_common)


@pytest.mark.parametrize("name", ["Ann", "김하나", "O'Neil-Smith Jr."])
def test_ordinary_names_are_taken(name: str) -> None:
    assert check_name(name) is None


@pytest.mark.parametrize("password", ["correct horse", "비밀번호비밀번호비밀", " 10 chars "])
def test_ordinary_passwords_are_taken(password: str) -> None:
    assert why_not(password) is None


@pytest.mark.parametrize("name", ["", "x" * 81, "a\x00b", "a\u202eb", "a\u200bb", "a\nb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    assert check_name(name) is BadAccount.name


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", BadAccount.password_short),
        ("9 charsss", BadAccount.password_short),
        ("e\u0301" * 9, BadAccount.password_short),
        ("x" * 201, BadAccount.password_long),
        ("aaaaaaaaaa", BadAccount.password_known),
        ("Ann.Smith@example.com", BadAccount.password_known),
        ("aNN.smitH@example.com", BadAccount.password_known),
        ("0123456789", BadAccount.password_known),
    ],
)
def test_a_password_anyone_would_try_first_is_refused(password: str, why: BadAccount) -> None:
    assert why_not(password) is why


def test_a_name_alone_is_no_password() -> None:
    assert check_password("Ann.Smith", "ann.smith@example.com", "Annabelle Smith", is_common) is not None
    assert check_password("annabelle smith", EMAIL, "Annabelle Smith", is_common) is BadAccount.password_known
    assert check_password("Annabelle.Smith", "annabelle.smith@example.com", "A", is_common) is BadAccount.password_known


def test_names_and_passwords_have_one_spelling() -> None:
    assert password_of("비밀") == password_of(unicodedata.normalize("NFD", "비밀"))
    assert name_of("  Ann \t  Smith ") == "Ann Smith"
    assert name_of("e\u0301") == "\u00e9"


@given(st.text(), st.text())
def test_whatever_is_given_is_answered(name: str, password: str) -> None:
    assert check_name(name_of(name)) in {None, *BadAccount}
    assert why_not(password) in {None, *BadAccount}


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_account_stands_in_line_as_itself_and_as_nobody_else(one: str, other: str) -> None:
    holder = account_holder(one)
    assert is_account(holder)
    assert holder_bytes(holder_text(holder)) == holder
    assert len(holder) == HOLDER_BYTES
    assert (holder == account_holder(other)) == (one == other)

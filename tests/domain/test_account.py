"""What an account may be made of: refused with a reason each, and kept in one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import BadAccount, check_account, email_of, name_of
from app.domain.ticket import HOLDER_BYTES, account_holder, holder_bytes, holder_text, is_account

GOOD = ("ann@example.com", "Ann", "correct horse")


@pytest.mark.parametrize(
    ("email", "name", "password"),
    [
        GOOD,
        ("a.b+c@sub.example.co.kr", "김하나", "비밀번호비밀번호"),
        ("test@tiketi.gg", "O'Neil-Smith Jr.", " 8 chars"),
    ],
)
def test_ordinary_people_can_have_an_account(email: str, name: str, password: str) -> None:
    assert check_account(email, name, password) is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@@example.com",
        "ann@-example.com",
        "ann@example..com",
        "ann@exam ple.com",
        "ann@example.com\n",
        "ann@example.com\x00",
        "<b>@example.com",
        "Ann@example.com",
        "änn@example.com",
        "a" * 65 + "@example.com",
        "ann@" + "e" * 250 + ".com",
    ],
)
def test_what_is_no_email_is_refused(email: str) -> None:
    assert check_account(email, "Ann", "correct horse") is BadAccount.email


@pytest.mark.parametrize("name", ["", "x" * 81, "a\x00b", "a\u202eb", "a\u200bb", "a\nb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    assert check_account("ann@example.com", name, "correct horse") is BadAccount.name


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", BadAccount.password_short),
        ("7 chars", BadAccount.password_short),
        ("x" * 201, BadAccount.password_long),
        ("aaaaaaaaaa", BadAccount.password_known),
        ("ANN.smith", BadAccount.password_known),
        ("Ann.Smith@example.com", BadAccount.password_known),
        ("ann smith", BadAccount.password_known),
    ],
)
def test_a_password_anyone_would_try_first_is_refused(password: str, why: BadAccount) -> None:
    assert check_account("ann.smith@example.com", "Ann Smith", password) is why


def test_emails_and_names_have_one_spelling() -> None:
    assert email_of("  Ann@Example.COM ") == "ann@example.com"
    assert name_of("  Ann \t  Smith ") == "Ann Smith"
    assert name_of("e\u0301") == "\u00e9"


@given(st.text(), st.text(), st.text())
def test_whatever_is_given_is_answered(email: str, name: str, password: str) -> None:
    assert check_account(email_of(email), name_of(name), password) in {None, *BadAccount}


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_account_stands_in_line_as_itself_and_as_nobody_else(one: str, other: str) -> None:
    holder = account_holder(one)
    assert is_account(holder)
    assert holder_bytes(holder_text(holder)) == holder
    assert len(holder) == HOLDER_BYTES
    assert (holder == account_holder(other)) == (one == other)

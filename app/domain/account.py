"""What an account may be made of: its email, its name, its password. Pure checks, shared by the API and the pages.

An email is compared as it is kept here: without spaces around it and in lower case. Passwords are never changed: a
space or an accent in one is part of it.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

EMAIL_CHARS_MAX = 254
EMAIL_LOCAL_CHARS_MAX = 64
NAME_CHARS_MAX = 80
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 200  # hashing a longer one would only cost us

# ASCII only: every database agrees on what its lower case is. Whether it exists, only a letter to it would tell.
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+")


class BadAccount(StrEnum):
    """Why no account can be made of what was given."""

    email = "email_invalid"
    name = "name_invalid"
    password_short = "password_too_short"  # noqa: S105 - a code, not a secret
    password_long = "password_too_long"  # noqa: S105
    password_known = "password_too_plain"  # noqa: S105


def email_of(text: str) -> str:
    """The email as it is kept and looked up."""
    return text.strip().lower()


def name_of(text: str) -> str:
    """The name as it is kept: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def check_account(email: str, name: str, password: str) -> BadAccount | None:
    """What is wrong with a new account's parts (email and name as kept), or None."""
    local = email.partition("@")[0]
    if len(email) > EMAIL_CHARS_MAX or len(local) > EMAIL_LOCAL_CHARS_MAX or not _EMAIL.fullmatch(email):
        return BadAccount.email
    if not 1 <= len(name) <= NAME_CHARS_MAX or any(unicodedata.category(char).startswith("C") for char in name):
        return BadAccount.name
    if len(password) < PASSWORD_CHARS_MIN:
        return BadAccount.password_short
    if len(password) > PASSWORD_CHARS_MAX:
        return BadAccount.password_long
    if len(set(password)) == 1 or password.lower() in (email, local, name.lower()):
        return BadAccount.password_known
    return None

"""What an account may be made of: its name and its password. Pure checks, shared by the API, the pages and the command.

Of a password only the spelling is made one (NFKC): some keyboards send a Korean syllable or an accent as one character,
others as several. Emails are checked in app/ledger/emails.py.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from enum import StrEnum

EMAIL_CHARS_MAX = 254
NAME_CHARS_MAX = 80
PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 200  # hashing a longer one would only cost us


class BadAccount(StrEnum):
    """Why no account can be made of what was given."""

    email = "email_invalid"
    name = "name_invalid"
    password_short = "password_too_short"  # noqa: S105 - a code, not a secret
    password_long = "password_too_long"  # noqa: S105
    password_known = "password_too_plain"  # noqa: S105


def name_of(text: str) -> str:
    """The name as it is kept: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def password_of(text: str) -> str:
    """The password as it is checked and hashed (NFKC, as RFC 8265 and NIST SP 800-63B have it)."""
    return unicodedata.normalize("NFKC", text)


def check_name(name: str) -> BadAccount | None:
    """What is wrong with a name as kept, or None."""
    if not 1 <= len(name) <= NAME_CHARS_MAX or any(unicodedata.category(char).startswith("C") for char in name):
        return BadAccount.name
    return None


def check_password(password: str, email: str, name: str, is_common: Callable[[str], bool]) -> BadAccount | None:
    """What is wrong with a new password for who has this email and name as kept, or None."""
    password = password_of(password)
    if len(password) < PASSWORD_CHARS_MIN:
        return BadAccount.password_short
    if len(password) > PASSWORD_CHARS_MAX:
        return BadAccount.password_long
    known = (email, email.partition("@")[0], name.lower())
    if len(set(password)) == 1 or password.lower() in known or is_common(password):
        return BadAccount.password_known
    return None

"""The one spelling in which an account's email address is kept and looked up. No name is looked up in the DNS."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from app.domain.account import EMAIL_CHARS_MAX


def email_of(text: str) -> str:
    """The address in lower case, its domain as people write it (IDNA 2008), its characters composed.

    What is no address stays what it is, but for its case: nobody has an account under it.
    """
    return _normalized(text) or text.strip().lower()


def is_email(email: str) -> bool:
    """Whether an address as kept is one that an account can have. Whether it exists, only a letter to it would tell."""
    return _normalized(email) == email


def _normalized(text: str) -> str | None:
    text = text.strip()
    if len(text) > EMAIL_CHARS_MAX:  # of which reading would only cost us
        return None
    try:
        found = validate_email(
            text.lower(), strict=True, check_deliverability=False, test_environment=True
        ).normalized.lower()
    except EmailNotValidError:
        return None
    return found if len(found) <= EMAIL_CHARS_MAX else None

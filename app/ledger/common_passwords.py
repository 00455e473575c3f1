"""The 30,000 passwords that are tried first, from zxcvbn's lists of leaked ones. Loaded when first asked."""

from __future__ import annotations

import string
from functools import cache

ADDED_CHARS_MAX = 6  # digits and signs behind a common password make it no better

_ADDED = string.digits + string.punctuation


def is_common(password: str) -> bool:
    """Whether it is one of them, in whatever case and with a few digits and signs behind it.

    The first call takes tens of milliseconds: call it in a thread.
    """
    said = password.casefold()
    core = said.rstrip(_ADDED)
    return said in _common() or (len(said) - len(core) <= ADDED_CHARS_MAX and core in _common())


@cache
def _common() -> frozenset[str]:
    # a megabyte that most processes never need
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])

"""A browser's secret: only one that we signed counts, and what everybody sees is a keyed hash of it."""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ticket
from app.domain.browser import Browsers
from app.domain.signed import COOKIE_CHARS, VALUE_BYTES
from app.domain.ticket import HOLDER_BYTES, holder_text, is_account

KEYS = {1: b"1" * 32, 2: b"2" * 32}
HOLDER_KEY = b"h" * 32
BROWSERS = Browsers(KEYS, 2, HOLDER_KEY, os.urandom)


def test_a_browser_is_recognised_by_its_cookie() -> None:
    one, other = BROWSERS.new(), BROWSERS.new()
    assert BROWSERS.read(one.cookie.encode()) == one.holder
    assert one.holder != other.holder
    assert (len(one.holder), len(one.cookie)) == (HOLDER_BYTES, COOKIE_CHARS)


def test_the_holder_id_tells_nothing_of_the_secret() -> None:
    made = BROWSERS.new()
    raw = a2b_base64(made.cookie)
    assert made.holder not in raw
    assert raw[1 : 1 + VALUE_BYTES] not in made.holder
    assert BROWSERS.read(holder_text(made.holder).encode()) is None
    assert Browsers(KEYS, 2, b"another key".ljust(32), os.urandom).read(made.cookie.encode()) != made.holder, (
        "the hash is keyed"
    )


def test_one_signed_with_an_older_key_is_the_same_holder() -> None:
    made = Browsers({1: KEYS[1]}, 1, HOLDER_KEY, os.urandom).new()
    assert BROWSERS.read(made.cookie.encode()) == made.holder
    learning = Browsers({1: b"0" * 32}, 1, HOLDER_KEY, os.urandom)
    newest = BROWSERS.new().cookie.encode()
    assert learning.read(newest) is None
    learning.learn(KEYS)
    assert learning.read(newest) is not None


@given(st.binary(max_size=80))
def test_whatever_a_client_makes_up_is_no_browser(text: bytes) -> None:
    assert BROWSERS.read(text) is None


@given(st.integers(0, 32), st.integers(1, 255))
def test_a_changed_bit_makes_it_none(at: int, change: int) -> None:
    raw = bytearray(a2b_base64(BROWSERS.new().cookie))
    raw[at] ^= change
    assert BROWSERS.read(b2a_base64(raw, newline=False)) is None


def test_a_ticket_s_mac_is_no_browser_s() -> None:
    body = b"\2" + b"s" * VALUE_BYTES
    mac = blake2b(body, key=KEYS[2], digest_size=16).digest()
    assert BROWSERS.read(b2a_base64(body + mac, newline=False)) is None


def test_no_browser_looks_like_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticket, "ACCOUNT_MARK", b"\0")  # one in 256 would: the real one is one in four thousand million
    assert not any(is_account(BROWSERS.new().holder) for _ in range(2_000))

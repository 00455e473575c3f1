"""Enqueue tokens as the published library makes them, and nothing else, name somebody who may take a place."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest

from app.origins.connector.enqueue_tokens import (
    EARLY_S_MAX,
    LIFE_S_MAX,
    NAME_CHARS_MAX,
    TOKEN_CHARS_MAX,
    BadEnqueueToken,
    EnqueueToken,
    read,
)

SECRET = "5ebbf794-1665-4d48-80d6-21ac34be7faedf9e10b3-551a-4682-bb77-fee59d6355d6"
# made by @queue-it/queue-token 1.0.5: one with all there is, and one with as little as there can be
FULL = (
    "eyJ0eXAiOiJRVDEiLCJlbmMiOiJBRVMyNTYiLCJpc3MiOjE3OTYxMjQ2MjIyNjUsImV4cCI6MTc5NjEyNDY4MjI2NSwidGkiOiJlOGEwNGE3MC00YTQw"
    "LTQxMGQtODFiYS1jOGY4MTU1YzQ4NTEiLCJjIjoiYWNtZSIsImUiOiJzYWxlIiwiaXAiOiIxOTguNTEuMTAwLjciLCJ4ZmYiOiIxOTguNTEuMTAwLjcs"
    "IDEwLjAuMC4xIn0.Hv9hJ77hVe9hYE3mNsFW7aFP5wfkJ0Y17RN788fEhQNrPfYJRjAC_IDCbLjGxLv7JZlQ_cxEMoCZFX_AchIiqg.AFB5GP58U_YZA9"
    "6DUNilobB2zn7ZODrvAi-9dN8DS-M"
)
BARE = (
    "eyJ0eXAiOiJRVDEiLCJlbmMiOiJBRVMyNTYiLCJpc3MiOjE3OTYxMjQ2MjIyNzgsInRpIjoiZmFjYjBjMTktMGQzYS00MTk5LWI0OTQtNTg1NzUzZDIx"
    "YmQwIiwiYyI6ImFjbWUifQ..6O8eYS8WU4_pTVDjUPXFj0MWtUlLmII4-fnf8Fue92E"
)
ISSUED_S = 1796124622.278
HEAD = {"typ": "QT1", "enc": "AES256", "iss": int(ISSUED_S * 1000), "ti": "one", "c": "acme", "e": "sale"}


HOST = "198.51.100.7"


def asked(
    text: str, now_s: float = ISSUED_S + 1, room: str = "sale", secrets: Any = (SECRET,), host: str = HOST
) -> Any:
    return read(text, secrets, customer_id="acme", room=room, host=host, now_s=now_s)


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def made(head: Any, payload: str = "", secret: str = SECRET) -> str:
    """A token with a right hash, whatever is in it."""
    said = f"{b64(head if isinstance(head, bytes) else json.dumps(head).encode())}.{payload}"
    return f"{said}.{b64(sha256((said + secret).encode()).digest())}"


def test_a_token_of_the_published_library_names_whom_its_payload_names() -> None:
    assert asked(FULL) == EnqueueToken("member-7", "e8a04a70-4a40-410d-81ba-c8f8155c4851", 1796124682.265)
    assert asked(FULL, secrets=["another", SECRET]) == asked(FULL)


def test_a_token_that_names_nobody_names_whoever_has_it_and_ends_within_a_day() -> None:
    token = "facb0c19-0d3a-4199-b494-585753d21bd0"
    assert asked(BARE) == EnqueueToken(token, token, ISSUED_S + LIFE_S_MAX)
    assert asked(BARE, room="other") == asked(BARE), "it is for any room"
    far = {**HEAD, "iss": 0, "exp": int(ISSUED_S * 1000) + 60_000}
    assert asked(made(far)) is BadEnqueueToken.expired, "what cannot be remembered for so long is not good for so long"


def test_a_token_is_good_until_its_time() -> None:
    assert asked(FULL, 1796124682.26) == asked(FULL)
    assert asked(FULL, 1796124682.265) is BadEnqueueToken.expired
    assert asked(BARE, ISSUED_S + LIFE_S_MAX) is BadEnqueueToken.expired
    early = {**HEAD, "iss": int((ISSUED_S + EARLY_S_MAX + 2) * 1000)}
    assert asked(made(early), ISSUED_S) is BadEnqueueToken.invalid


def test_what_the_tests_make_is_a_token() -> None:
    assert asked(made(HEAD)) == EnqueueToken("one", "one", ISSUED_S + LIFE_S_MAX)


def test_a_token_of_another_customer_or_room_opens_nothing() -> None:
    assert asked(FULL, room="other") is BadEnqueueToken.foreign
    assert read(FULL, [SECRET], customer_id="evil", room="sale", host=HOST, now_s=ISSUED_S) is BadEnqueueToken.foreign


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        FULL[:-1],
        FULL + "=",
        FULL + "\n",
        FULL.replace(".Hv9", ".Hv8"),
        "a" + FULL,
        FULL.rpartition(".")[0] + "." + b64(bytes(32)),
        "é" + FULL,
        "." * TOKEN_CHARS_MAX,
        "A" * 10_000,
        made(HEAD, secret="another"),
        made(b""),
        made(b"{"),
        made(b"[]"),
        made(b"\xff\xfe"),
        made({**HEAD, "typ": "QT2"}),
        made({**HEAD, "enc": "none"}),
        made({**HEAD, "iss": "now"}),
        made({**HEAD, "iss": -1}),
        made({**HEAD, "iss": 10**400}),
        made({**HEAD, "exp": 10**20}),
        made({**HEAD, "ti": ""}),
        made({**HEAD, "ti": "t" * (NAME_CHARS_MAX + 1)}),
        made({key: value for key, value in HEAD.items() if key != "c"}),
        made(HEAD, "A"),
        made(HEAD, b64(b"short")),
        made(HEAD, b64(bytes(32))),
    ],
)
def test_everything_else_is_invalid(text: str) -> None:
    assert asked(text) is BadEnqueueToken.invalid


@pytest.mark.parametrize(
    ("named", "host", "is_theirs"),
    [
        ({"ip": "198.51.100.7"}, "198.51.100.7", True),
        ({"ip": "198.51.100.7"}, "::ffff:198.51.100.7", True),
        ({"ip": "2001:db8:0::1"}, "2001:db8::1", True),
        ({"ip": "10.0.0.1", "xff": "198.51.100.7, 10.0.0.9"}, "198.51.100.7", True),
        ({"ip": "198.51.100.7"}, "198.51.100.8", False),
        ({"ip": "198.51.100.7"}, "", False),
        ({"xff": "198.51.100.7, 10.0.0.9"}, "203.0.113.1", False),
        ({"ip": "", "xff": " , "}, "203.0.113.1", True),
    ],
)
def test_a_token_that_names_addresses_is_good_from_those_only(named: Any, host: str, is_theirs: bool) -> None:
    told = asked(made({**HEAD, **named}), host=host)
    assert told == (EnqueueToken("one", "one", ISSUED_S + LIFE_S_MAX) if is_theirs else BadEnqueueToken.elsewhere)
    assert asked(made({**HEAD, **named, "ip": "x" * 1_001})) is BadEnqueueToken.invalid

"""Tokens as connectors read them, whose hashes are those of public test suites; and nothing else is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.origins.connector.tokens import (
    TOKEN_CHARS_MAX,
    TOKEN_LIFE_S,
    QueueToken,
    RedirectType,
    digest_of,
    minutes_of,
    read,
    signed,
    with_token,
)

SECRET = "5ebbf794-1665-4d48-80d6-21ac34be7faedf9e10b3-551a-4682-bb77-fee59d6355d6"
OTHER = SECRET[::-1]
TOKEN = QueueToken(room="sale", queue_id="944c1f44-60dd-4e37-aabc-f3e4bb1c8895", ends_s=1_800_000_000, valid_minutes=9)
HASHES = [
    (
        "secretekeyofuser",
        "e_eventid~q_f8757c2d-34c2-4639-bef2-1736cdd30bbb~ri_34678c2d-34c2-4639-bef2-1736cdd30bbb~ts_1797033600"
        "~ce_False~cv_3~rt_DirectLink",
        "5ee2babc3ac9fae9d80d5e64675710c371876386e77209f771007dc3e093e326",
    ),
    (
        "528f01d4-30f9-4753-95b3-2c8c33966abc",
        "ts_1480593661~cv_10~ce_false~q_944c1f44-60dd-4e37-aabc-f3e4bb1c8895~c_customerid~e_eventid~rt_disabled",
        "286a17fb82009d8556465b2f0880a8e5e9565b42490669f4b8f1b93b7d6ddd51",
    ),
    (
        "4e1db821-a825-49da-acd0-5d376f2068db",
        "e_e1~ts_1620389879~ce_True~q_queueId~rt_idle",
        "c76001c94ec53a3d46c0c9b5939914d1f0f834cdf14acdc224450a0fe9810fe6",
    ),
]


@pytest.mark.parametrize(("secret", "text", "digest"), HASHES)
def test_the_hash_is_the_one_that_connectors_compute(secret: str, text: str, digest: str) -> None:
    assert digest_of(text, secret) == digest


def test_a_token_has_its_groups_in_order_and_its_hash_at_the_end() -> None:
    text, _, digest = signed(TOKEN, SECRET).rpartition("~h_")
    assert text == "e_sale~q_944c1f44-60dd-4e37-aabc-f3e4bb1c8895~ts_1800000000~ce_False~cv_9~rt_queue"
    assert digest == digest_of(text, SECRET)


def test_a_token_may_be_bound_to_an_address() -> None:
    text = signed(replace(TOKEN, address="2001:db8::1"), SECRET)
    assert f"~hip_{digest_of('2001:db8::1', SECRET)}~h_" in text


@pytest.mark.parametrize("room", ["a_b", "a~b", "", "a b", "a\n", "é"])
def test_no_value_may_be_read_as_two(room: str) -> None:
    with pytest.raises(AssertionError):
        signed(replace(TOKEN, room=room), SECRET)


def test_a_token_of_ours_is_read_again_with_any_secret_that_is_good() -> None:
    straight = replace(TOKEN, redirect_type=RedirectType.safetynet)
    assert read(signed(straight, SECRET), [SECRET]) == straight
    assert read(signed(TOKEN, OTHER), [SECRET, OTHER]) == TOKEN


def _resigned(text: str) -> str:
    return f"{text}~h_{digest_of(text, SECRET)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~h_",
        signed(TOKEN, OTHER),
        signed(TOKEN, SECRET).replace("cv_9", "cv_99"),
        signed(TOKEN, SECRET).upper(),
        signed(TOKEN, SECRET) + "~",
        signed(TOKEN, SECRET) + "\n",
        signed(TOKEN, SECRET)[:-1],
        "é" + signed(TOKEN, SECRET),
        _resigned("e_sale"),
        _resigned("e_sale~q_1~ts_x~ce_False~cv_9~rt_queue"),
        _resigned("e_sale~q_1~ts_1~ce_False~cv_9~rt_debug"),
        _resigned("a" * TOKEN_CHARS_MAX),
    ],
)
def test_everything_else_is_none(text: str) -> None:
    assert read(text, [SECRET]) is None


def test_a_new_token_replaces_the_old_one_in_an_address() -> None:
    old = "https://shop.example/a?x=1&queueittoken=old&y=%2F#part"
    assert with_token(old, "new") == "https://shop.example/a?x=1&y=%2F&queueittoken=new#part"
    assert with_token("https://shop.example/", "new") == "https://shop.example/?queueittoken=new"


@pytest.mark.parametrize(
    ("left_s", "minutes"), [(-5, 0), (0, 0), (TOKEN_LIFE_S + 59.9, 0), (TOKEN_LIFE_S + 60, 1), (TOKEN_LIFE_S + 600, 10)]
)
def test_a_cookie_never_outlives_the_visit_however_late_its_token_is_used(left_s: float, minutes: int) -> None:
    assert minutes_of(left_s) == minutes
    assert minutes == 0 or TOKEN_LIFE_S + minutes * 60 <= left_s

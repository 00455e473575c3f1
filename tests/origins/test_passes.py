"""A pass is signed anew with the same bytes and opens its own room until it ends; nothing that we did not sign does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.passing import AdmissionPass
from app.domain.ticket import Ticket, TicketSigner
from app.origins import passes as module
from app.origins.compact import CompactPasses
from app.origins.passes import BadPass, Passes

NOW_S = 1_800_000_000
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SECRET, THEIR_SECRET = "a" * 72, "b" * 72
PASS = AdmissionPass(event_id="sale", epoch=2, number=7, holder="A" * 22, began_s=NOW_S - 10, expires_s=NOW_S + 50)


class Time:
    seconds = float(NOW_S)


def passes(time: Time | None = None) -> Passes:
    at = time or Time()
    return Passes({"k1": KEY}, "k1", CompactPasses({1: b"t" * 32}, 1), lambda: at.seconds)


def claims(**changed: Any) -> dict[str, Any]:
    signed = jwt.decode(passes().sign(PASS), options={"verify_signature": False})
    return {name: value for name, value in {**signed, **changed}.items() if value is not None}


def signed(**changed: Any) -> str:
    return jwt.encode(claims(**changed), KEY, algorithm="EdDSA", headers={"kid": "k1"})


def test_a_pass_is_read_as_it_was_signed_and_signed_again_with_the_same_bytes() -> None:
    token = passes().sign(PASS)
    assert token == passes().sign(PASS)
    assert passes().read(token, "sale") == PASS
    assert claims() == {
        "iss": "tiketi",
        "aud": "sale",
        "sub": "A" * 22,
        "jti": "sale.2.7",
        "number": 7,
        "iat": NOW_S - 10,
        "nbf": NOW_S - 10,
        "exp": NOW_S + 50,
    }


def test_a_pass_opens_its_own_room_only_whether_or_not_it_was_read_before() -> None:
    ours = passes()
    token = ours.sign(PASS)
    assert [ours.read(token, room) for room in ("other", "sale", "other")] == [BadPass.foreign, PASS, BadPass.foreign]


def test_a_pass_that_was_read_before_ends_when_its_time_is_over() -> None:
    time = Time()
    ours = passes(time)
    token = ours.sign(PASS)
    assert ours.read(token, "sale") == PASS
    time.seconds = PASS.expires_s
    assert ours.read(token, "sale") is BadPass.expired
    assert not ours._verified, "nobody remembers what has ended"


def test_a_key_that_was_removed_verifies_nothing_even_of_what_was_read_before() -> None:
    theirs = Passes({"k2": OTHER}, "k2", CompactPasses({1: b"t" * 32}, 1), lambda: NOW_S)
    token = theirs.sign(PASS)
    ours = passes()
    assert ours.read(token, "sale") is BadPass.invalid
    ours.learn({"k2": OTHER}, {})
    assert ours.read(token, "sale") == PASS
    ours.learn({}, {})
    assert ours.read(token, "sale") is BadPass.invalid
    assert ours.read(ours.sign(PASS), "sale") == PASS, "the key that signs here stays"


@pytest.mark.parametrize("sign", [Passes.sign, lambda ours, admission: ours.compact.sign(admission)])
def test_no_more_passes_are_remembered_than_may_be(
    monkeypatch: pytest.MonkeyPatch, sign: Callable[[Passes, AdmissionPass], str]
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MAX", 3)
    ours = passes()
    for number in range(1, 6):
        ours.read(sign(ours, PASS._replace(number=number)), "sale")
    assert [each.number for each in ours._verified.values()] == [3, 4, 5]


def test_a_secret_signs_for_the_rooms_of_its_origin_only() -> None:
    ours = passes()
    token = ours.sign(PASS, SECRET)
    assert ours.read(token, "sale", [SECRET]) == PASS
    assert ours.read(token, "sale", [THEIR_SECRET, SECRET]) == PASS, "one of before a rotation"
    assert ours.read(token, "sale", [THEIR_SECRET]) is BadPass.invalid
    assert ours.read(token, "sale") is BadPass.invalid
    assert ours.read(token, "other", [SECRET]) is BadPass.foreign


@pytest.mark.parametrize("subject", ["a\r\nset-cookie: x=y", "", "사람", "a b", "a" * 201])
def test_whom_a_secret_lets_in_is_named_as_a_header_can_be(subject: str) -> None:
    ours = passes()
    assert ours.read(ours.sign(PASS._replace(holder=subject), SECRET), "sale", [SECRET]) is BadPass.invalid


def test_the_public_key_is_no_secret() -> None:
    public = KEY.public_key().public_bytes_raw()
    text = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    for secret in (text, text * 2):
        token = jwt.encode(claims(), secret, algorithm="HS256", headers={"kid": "k1"})
        assert passes().read(token, "sale", [SECRET]) is BadPass.invalid


def _unsigned(header: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims()))
    return ".".join([*parts, ""])


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "pässwort",
        "A" * 10_000,
        passes().sign(PASS) + "A" * 2_000,
        passes().sign(PASS)[:-4] + "AAAA",
        jwt.encode(claims(), OTHER, algorithm="EdDSA", headers={"kid": "k1"}),
        jwt.encode(claims(), KEY, algorithm="EdDSA"),
        jwt.encode(claims(), KEY, algorithm="EdDSA", headers={"kid": "k9"}),
        jwt.encode(claims(), "", algorithm="none", headers={"kid": "k1"}),
        _unsigned({"alg": "EdDSA", "kid": "k1"}),
        _unsigned({"alg": "EdDSA", "kid": ["k1"]}),
        signed(iss="elsewhere"),
        signed(exp=None),
        signed(jti=None),
        signed(number=None),
        signed(number=8),
        signed(jti="other.2.7"),
        signed(jti="sale.2"),
        signed(jti="sale.x.7"),
        signed(aud=["sale"]),
        signed(sub=7),
        signed(exp="never"),
        signed(exp=float(2**60)),
        signed(exp=2**60),
        signed(iat=-1),
        signed(more="A" * 2_000),  # nobody's memory is filled by what we once signed
    ],
)
def test_what_is_no_pass_of_ours_opens_nothing(token: str) -> None:
    assert passes().read(token, "sale", [SECRET]) is BadPass.invalid


def test_a_compact_pass_is_read_as_it_was_signed_and_has_one_spelling() -> None:
    for room_id in ("sale", "a", "s" * 40):
        admission = PASS._replace(event_id=room_id)
        token = passes().compact.sign(admission)
        assert token == passes().compact.sign(admission)
        assert passes().read(token, room_id) == admission
        assert passes().read(token, "other") is BadPass.foreign
        for wrong in (token + "=", token + "AAAA", token[:-1], token.upper(), token[2:], token.replace("p.", "p.A")):
            assert passes().read(wrong, room_id) is BadPass.invalid
        for at in range(2, len(token)):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            assert passes().read(changed, room_id) is BadPass.invalid


def test_a_compact_pass_ends_and_is_checked_with_the_keys_there_are() -> None:
    time = Time()
    ours = passes(time)
    token = ours.compact.sign(PASS)
    theirs = Passes({"k1": KEY}, "k1", CompactPasses({2: b"o" * 32}, 2), lambda: NOW_S)
    assert theirs.read(token, "sale") is BadPass.invalid
    theirs.learn({}, {1: b"t" * 32})
    assert theirs.read(token, "sale") == PASS
    time.seconds = PASS.expires_s
    assert ours.read(token, "sale") is BadPass.expired


def test_a_ticket_is_no_compact_pass_though_the_same_keys_sign_it() -> None:
    ticket = TicketSigner({1: b"t" * 32}, 1).sign(Ticket("sale", 2, 7, b"h" * 16, NOW_S))
    assert passes().read("p." + ticket.replace("+", "-").replace("/", "_"), "sale") is BadPass.invalid

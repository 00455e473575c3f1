"""A room for whom the shop invites: one place for each person that its enqueue tokens name, and each token once."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from hashlib import md5, sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from app.origins.connector.tokens import read
from tests.http.origins.site import Site, Visitor, visitor
from tests.http.origins.test_connector import coming, customer, make_shop, sent, token_in
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


def enqueue_token(site: Site, key: str | None = "ann", token_id: str = "t-1", **changed: Any) -> str:
    """As a shop makes it."""
    now_ms = int(time.time() * 1000)
    head = {"typ": "QT1", "enc": "AES256", "iss": now_ms, "exp": now_ms + 60_000, "ti": token_id, "c": customer(site)}
    payload = b"" if key is None else _sealed(json.dumps({"r": 0.5, "k": key}).encode(), token_id, site.secret)
    said = f"{_b64(json.dumps({**head, **changed}).encode())}.{_b64(payload)}"
    return f"{said}.{_b64(sha256((said + site.secret).encode()).digest())}"


def _sealed(payload: bytes, token_id: str, secret: str) -> bytes:
    step = Cipher(AES256(sha256(secret.encode()).digest()), CBC(md5(token_id.encode()).digest())).encryptor()
    padding = PKCS7(128).padder()
    return step.update(padding.update(payload) + padding.finalize()) + step.finalize()


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


async def place(system: System, ann: Visitor, site: Site, token: str) -> int:
    """The number of whom this token lets in."""
    told = read(token_in(await sent(ann, coming(site, enqueuetoken=token))), [site.secret])
    assert told is not None
    found = system.state["origins"].queue_ids.read(site.room_id, told.queue_id)
    assert found is not None
    return found[1]


async def refused(ann: Visitor, site: Site, token: str | None) -> str:
    answer = await ann.go(coming(site, **({} if token is None else {"enqueuetoken": token})))
    assert answer.status_code == 403
    return answer.text


async def test_whom_a_token_names_has_one_place_however_they_come(system: System) -> None:
    site = await make_shop(system, door="invited")
    async with visitor(system) as ann, visitor(system) as elsewhere, visitor(system) as bob:
        assert await place(system, ann, site, enqueue_token(site, token_id="1")) == 1
        assert await place(system, ann, site, enqueue_token(site, token_id="1")) == 1, (
            "it came again, the place is theirs"
        )
        assert await place(system, ann, site, enqueue_token(site, key="other", token_id="2")) == 1, "they have a place"
        assert await place(system, elsewhere, site, enqueue_token(site, token_id="3")) == 1
        assert await place(system, bob, site, enqueue_token(site, key=None, token_id="4")) == 2
    assert await system.last_number(site.room_id) == 2


async def test_a_token_is_good_once(system: System) -> None:
    site = await make_shop(system, door="invited")
    token = enqueue_token(site)
    async with visitor(system) as ann, visitor(system, headers={"accept-language": "en"}) as thief:
        await ann.client.get(coming(site, enqueuetoken=token))
        assert "used already" in await refused(thief, site, token)
        assert await place(system, ann, site, token) == 1, "a reload of the same browser"
    assert await system.last_number(site.room_id) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"exp": 1}, "has expired"),
        ({"e": "another"}, "for another line"),
        ({"c": "another"}, "for another line"),
        ({"typ": "QT0"}, "not from the shop"),
    ],
)
async def test_a_token_that_is_none_lets_nobody_in(system: System, changed: dict[str, Any], says: str) -> None:
    site = await make_shop(system, door="invited")
    async with visitor(system, headers={"accept-language": "en"}) as ann:
        assert says in await refused(ann, site, enqueue_token(site, **changed))
        assert "for people whom the site sends" in await refused(ann, site, None)
    assert await system.last_number(site.room_id) == 0


async def test_another_shop_s_token_lets_nobody_in(system: System) -> None:
    site, other = await make_shop(system, door="invited"), await make_shop(system, door="invited")
    async with visitor(system, headers={"accept-language": "en"}) as ann:
        assert "not from the shop" in await refused(ann, site, enqueue_token(other, c=customer(site), e=site.room_id))


async def test_at_an_open_door_a_token_says_nothing(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        assert await place(system, ann, site, "nonsense") == 1

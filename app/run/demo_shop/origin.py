"""The demo shop as an origin with one room, put into the stores at each start of `tiketi up`.

Its API key is made of the keys that all processes share, so that the shop knows it and no file holds it. Somebody's own
origin of the same name is left alone, and so is whatever an admin changed, but for the shop's address, which may be
another at each start.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from hmac import compare_digest
from secrets import token_bytes
from typing import Any

from app.domain.line import Opening
from app.domain.passing import Mode, PassAlgorithm
from app.ledger import origins
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.origins import Origin, OriginRoom
from app.origins.secrets import Sealer, hash_of, new_secret
from config.demo import SHOP, SHOP_PACE
from config.keys import Keys

PURPOSE = b"the API key of the demo shop"
PASS_S = 600
SOLD_AT = "/buy"  # looking around is free
RULES: tuple[Mapping[str, Any], ...] = ({"action": "queue", "path": SOLD_AT}, {"action": "pass"})
BY = "demo"


def api_key(keys: Keys) -> str:
    return hmac.digest(keys.holder_key, PURPOSE, "sha256").hex()


def shop_url(port: int, host: str = "127.0.0.1") -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def seed_shop(db: Database, keys: Keys, port: int, now: datetime) -> bool:
    """Whether the origin is there with the shop at this port: False if somebody else's has its name."""
    hosts, target = [shop_url(port), shop_url(port, "localhost")], f"{shop_url(port)}/"
    known = {row.id: row for row in await origins.listed(db)}.get(SHOP)
    if known is None:
        await _create(db, keys, hosts, target, now)
        return True
    if not compare_digest(known.api_key, hash_of(api_key(keys))):
        return False
    if list(known.hosts) != hosts:
        values = {"hosts": hosts, "target_url": target}
        await origins.edit(db, SHOP, values, AdminAction(BY, "origin.edit", values), now)
    return True


async def _create(db: Database, keys: Keys, hosts: list[str], target: str, now: datetime) -> None:
    made = Origin(
        id=SHOP,
        name="Tiketi Records",
        hosts=hosts,
        target_url=target,
        customer_id=None,
        secret=Sealer(keys.holder_key, token_bytes).seal(new_secret(token_bytes), SHOP),
        secret_before=None,
        api_key=hash_of(api_key(keys)),
        api_key_before=None,
        before_until=None,
        version=1,
        created_at=now,
    )
    room = OriginRoom(
        id=SHOP,
        origin_id=SHOP,
        name="티케티 레코드",
        translations={"en": "Tiketi Records", "ko": "티케티 레코드"},
        opens_at=now.replace(microsecond=0),
        closes_at=None,
        mode=Mode.always,
        pass_s=PASS_S,
        pass_algorithm=PassAlgorithm.EdDSA,
        target_url=None,
        rules=[dict(rule) for rule in RULES],
        version=1,
        created_at=now,
        config={**asdict(SHOP_PACE), "opening": Opening.first.value},
    )
    await origins.create(db, made, AdminAction(BY, "origin.create", {"id": SHOP, "hosts": hosts}), now)
    await origins.create_room(db, room, AdminAction(BY, "origin_room.create", {"id": SHOP}), now)

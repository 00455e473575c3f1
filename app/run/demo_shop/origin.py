"""The demo shop as an origin with one room, put into the stores at each start of `tiketi up`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from app.domain.line import Opening
from app.domain.passing import Mode, PassAlgorithm
from app.ledger import origins
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.origins import OriginRoom
from app.run.own_origins import BY, OwnSite, local_hosts, seed_origin, site_url
from config.demo import SHOP, SHOP_PACE
from config.keys import Keys

PASS_S = 600
SOLD_AT = "/buy"  # looking around is free
RULES: tuple[Mapping[str, Any], ...] = ({"action": "queue", "path": SOLD_AT}, {"action": "pass"})


async def seed_shop(db: Database, keys: Keys, port: int, now: datetime) -> bool:
    """Whether the origin is there with the shop at this port: False if somebody else's has its name."""
    site = OwnSite(id=SHOP, name="Tiketi Records", hosts=local_hosts(port), target_url=f"{site_url(port)}/")
    if not await seed_origin(db, keys, site, now):
        return False
    made = OriginRoom(
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
    await origins.create_room(db, made, AdminAction(BY, "origin_room.create", {"id": SHOP}), now)  # or it is there
    return True

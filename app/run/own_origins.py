"""Origins of sites that `tiketi` itself starts: the demo shop, and the site that `tiketi guard` stands before.

Their API keys are made of the keys that all processes share, so that the site knows its key and no file holds it.
Somebody's own origin of the same name is left alone, and so is whatever an admin changed, but for the site's address,
which may be another at each start.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from secrets import token_bytes

from app.ledger import origins
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.origins import Origin
from app.origins.secrets import Sealer, hash_of, new_secret
from config.keys import Keys

PURPOSE = b"the API key of an origin of ours: "
BY = "tiketi"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSite:
    """`id`: of the origin; `hosts` and `target_url` as an admin would enter them."""

    id: str
    name: str
    hosts: Sequence[str]
    target_url: str


def api_key(keys: Keys, origin_id: str) -> str:
    return hmac.digest(keys.holder_key, PURPOSE + origin_id.encode(), "sha256").hex()


def site_url(port: int, host: str = "127.0.0.1") -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def local_hosts(port: int) -> list[str]:
    """How a browser on this machine may call it."""
    return [site_url(port), site_url(port, "localhost")]


async def seed_origin(db: Database, keys: Keys, site: OwnSite, now: datetime) -> bool:
    """Whether the origin is there with this address: False if somebody else's has its id."""
    known = {row.id: row for row in await origins.listed(db)}.get(site.id)
    if known is None:
        by = AdminAction(BY, "origin.create", {"id": site.id})
        return await origins.create(db, _origin(keys, site, now), by, now) is None
    if not compare_digest(known.api_key, hash_of(api_key(keys, site.id))):
        return False
    values = {"hosts": list(site.hosts), "target_url": site.target_url}
    if (list(known.hosts), known.target_url) != (values["hosts"], values["target_url"]):
        change = {"hosts": values["hosts"], "targetUrl": values["target_url"]}
        await origins.edit(db, site.id, values, AdminAction(BY, "origin.edit", change), now)
    return True


def _origin(keys: Keys, site: OwnSite, now: datetime) -> Origin:
    return Origin(
        id=site.id,
        name=site.name,
        hosts=list(site.hosts),
        target_url=site.target_url,
        customer_id=None,
        look={},
        logo=None,
        frame_ancestors=[],
        bind_tokens=False,
        secret=Sealer(keys.holder_key, token_bytes).seal(new_secret(token_bytes), site.id),
        secret_before=None,
        api_key=hash_of(api_key(keys, site.id)),
        api_key_before=None,
        before_until=None,
        version=1,
        created_at=now,
    )

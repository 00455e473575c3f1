"""The demo shop's origin is made once, follows the shop's address, and touches nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.connect.asked import Asked
from app.connect.rules import Action, Rules
from app.ledger import origins
from app.ledger.database import Database, open_database
from app.ledger.events import AdminAction
from app.origins.connector.app_links import AppLinks
from app.origins.connector.queue_ids import QueueIds
from app.origins.directory import Directory
from app.origins.secrets import Sealer, hash_of
from app.run.demo_shop.origin import RULES, seed_shop
from app.run.own_origins import api_key
from config.demo import SHOP
from config.keys import Keys, added, new_keys

NOW = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
BY = AdminAction("admin", "origin.edit", {})


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = open_database(f"sqlite+aiosqlite:///{tmp_path / 'tiketi.db'}")
    await db.create_all()
    yield db
    await db.close()


@pytest.fixture
def keys() -> Keys:
    return new_keys()


async def directory_of(db: Database, keys: Keys) -> Directory:
    directory = Directory(
        db,
        Sealer(keys.holder_key, lambda size: b"x" * size),
        QueueIds(keys.holder_key),
        AppLinks(keys.holder_key, bytes),
    )
    await directory.load()
    return directory


async def test_web_processes_know_the_shop_and_its_key(db: Database, keys: Keys) -> None:
    assert await seed_shop(db, keys, 8001, NOW)
    room = (await directory_of(db, keys)).rooms[SHOP]
    assert room.origin.hosts == {"http://127.0.0.1:8001", "http://localhost:8001"}
    assert room.target_url == "http://127.0.0.1:8001/"
    assert room.origin.has_key(api_key(keys, SHOP), NOW.timestamp())
    assert room.origin.has_key(api_key(added(keys), SHOP), NOW.timestamp()), (
        "also once there are newer keys to sign with"
    )
    assert not room.origin.has_key(api_key(new_keys(), SHOP), NOW.timestamp())


async def test_at_the_next_start_only_its_address_is_another(db: Database, keys: Keys) -> None:
    await seed_shop(db, keys, 8001, NOW)
    await origins.edit(db, SHOP, {"name": "Ours now"}, BY, NOW)
    assert await seed_shop(db, keys, 8001, NOW)
    assert [row.version for row in await origins.listed(db)] == [2]
    assert await seed_shop(db, keys, 9001, NOW)
    (row,) = await origins.listed(db)
    assert (row.name, list(row.hosts), row.target_url) == (
        *("Ours now", ["http://127.0.0.1:9001", "http://localhost:9001"], "http://127.0.0.1:9001/"),
    )


async def test_somebody_elses_origin_of_that_name_is_left_alone(db: Database, keys: Keys) -> None:
    await seed_shop(db, keys, 8001, NOW)
    await origins.edit(db, SHOP, {"api_key": hash_of("theirs")}, BY, NOW)
    before = (await origins.listed(db))[0]
    assert not await seed_shop(db, keys, 9001, NOW)
    assert (await origins.listed(db))[0] == replace(before)


def test_looking_around_is_free_and_buying_is_not() -> None:
    rules = Rules(RULES)
    free, sold = ("/", "/thanks/x", "/record"), ("/buy/han", "/buy", "//buy/han", "/x/../buy/han")
    assert {rules.decide(Asked.at("GET", "a", path)) for path in free} == {Action.let_pass}
    assert {rules.decide(Asked.at("GET", "a", path)) for path in sold} == {Action.queue}

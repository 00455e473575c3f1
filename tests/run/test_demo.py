"""Seeding makes a shop that can sell, and never touches what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.seating import Availability, SeatMap
from app.domain.wish import Wish
from app.ledger import events, rooms, users
from app.ledger.database import Database, open_database
from app.ledger.passwords import matches
from app.run.demo import seed

NOW = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = open_database(f"sqlite+aiosqlite:///{tmp_path / 'tiketi.db'}")
    await db.create_all()
    yield db
    await db.close()


async def test_an_empty_store_gets_the_demo_events_and_accounts(db: Database) -> None:
    made = await seed(db, NOW)
    assert made == ["demo", "small", "open-air", "upcoming", "u_demo_admin", "u_demo_buyer"]
    assert {event.id: event.admission for event in (await events.search(db, events.Search(), NOW))[0]} == {
        "demo": "room",
        "small": "room",
        "open-air": "open",
        "upcoming": "room",
    }


async def test_seeding_again_leaves_what_is_there(db: Database) -> None:
    await seed(db, NOW)
    await rooms.set_config(db, "demo", {"rate_per_s": 5.0})
    assert await seed(db, NOW + timedelta(days=1)) == []
    event, room = await events.get(db, "demo"), await rooms.get(db, "demo")
    assert event is not None
    assert event.opens_at == NOW
    assert room is not None
    assert room.config == {"rate_per_s": 5.0}


async def test_a_room_begins_at_the_pace_of_the_demo(db: Database) -> None:
    await seed(db, NOW)
    config = {row.event_id: dict(row.config) for row in await rooms.listed(db)}
    assert config["demo"] == {"rate_per_s": 20, "burst": 20, "max_active": 400}
    assert config["small"] == {"rate_per_s": 2, "burst": 2, "max_active": 20}


async def test_times_are_kept_in_utc(db: Database) -> None:
    await seed(db, NOW)
    event = await events.get(db, "demo")
    assert event is not None
    assert event.starts_at.isoformat() == "2026-04-01T10:00:00+00:00"


async def test_the_english_words_travel_beside_the_korean_ones(db: Database) -> None:
    await seed(db, NOW)
    event = await events.get(db, "small")
    assert event is not None
    assert event.title == "지하 1층의 재즈 나이트"
    assert event.details["en"]["title"] == "Basement Jazz Night"


async def test_the_hall_comes_back_ready_to_be_sold_from_the_middle_of_its_first_row(db: Database) -> None:
    await seed(db, NOW)
    snapshot = await events.seat_snapshot(db, "demo")
    assert snapshot is not None
    seats = SeatMap(snapshot.seats, snapshot.focal)
    chosen = Availability(seats, snapshot.statuses).choose(Wish(quantity=2))
    assert chosen is not None
    best = [seats.seats[idx] for idx in chosen]
    assert [(s.section, s.row, s.number, s.grade, s.price) for s in best] == [
        ("F2", "1", 1, "VIP", 165_000),
        ("F2", "1", 2, "VIP", 165_000),
    ]


@pytest.mark.parametrize(
    ("email", "password", "role"),
    [("admin@tiketi.gg", "admin123", "admin"), ("test@tiketi.gg", "test1234", "buyer")],
)
async def test_the_demo_passwords_work(db: Database, email: str, password: str, role: str) -> None:
    await seed(db, NOW)
    user = await users.find(db, email)
    assert user is not None
    assert user.role == role
    assert matches(user.password_hash, password)
    assert not matches(user.password_hash, password + "4")

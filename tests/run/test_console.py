"""What `tiketi status` says of a room's opening."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.control.rooms import Sample
from app.domain.line import Door, DrawStage, Opening, RoomState
from app.run.console import COLUMNS, WIDTHS, cells, opening, row

NOW = datetime(2026, 5, 1, 11, 0, tzinfo=UTC)
LOBBY = Sample(
    event_id="demo",
    state=RoomState.lobby,
    rate_per_second=10.0,
    burst=10,
    max_active=100,
    door=Door.open,
    opening=Opening.draw,
    lobby_minutes=30,
    draw=DrawStage.ahead,
    drawn=0,
    message="",
    messages={},
    waiting=1_234,
    admitted=0,
    active=0,
    cursor=0,
    last_number=1_240,
    inflow_per_second=0.0,
    outflow_per_second=0.0,
    oldest_wait_seconds=0,
    eta_seconds=None,
    opens_at=NOW + timedelta(minutes=12),
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "in 12 min"),
        ({"opens_at": NOW + timedelta(seconds=299)}, "in 299 s"),
        ({"opens_at": NOW + timedelta(hours=50)}, "in 50 h"),
        ({"opens_at": NOW - timedelta(seconds=1)}, "now"),
        ({"draw": DrawStage.closed, "opens_at": NOW - timedelta(seconds=3)}, "being drawn"),
        ({"draw": DrawStage.done, "state": RoomState.open, "drawn": 1_240}, "1240 drawn"),
        ({"draw": DrawStage.done, "state": RoomState.open}, "-"),
        ({"state": RoomState.scheduled}, "in 12 min"),
        ({"state": RoomState.paused}, "-"),
    ],
)
def test_how_far_an_opening_is(changed: dict[str, Any], said: str) -> None:
    assert opening(msgspec.structs.replace(LOBBY, **changed), NOW) == said


def test_a_lobby_is_shown_with_its_people_and_when_it_opens() -> None:
    shown = cells(LOBBY, NOW)
    assert len(shown) == len(COLUMNS) == len(WIDTHS)
    said = dict(zip(COLUMNS, shown, strict=True))
    assert (said["state"], said["waiting"], said["opening"]) == ("lobby", "1234", "in 12 min")
    assert row(shown, 4).endswith("in 12 min")

"""Status by the clock: each change at its very moment, whatever the order of the times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sale import SaleStatus, sale_ends_at, status_of

OPENS = datetime(2026, 5, 1, 0, 0, tzinfo=UTC)
STARTS = OPENS + timedelta(days=30)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Event:
    opens_at: datetime = OPENS
    closes_at: datetime | None = None
    starts_at: datetime = STARTS
    cancelled_at: datetime | None = None


@pytest.mark.parametrize("closes_at", [None, STARTS - timedelta(hours=1), STARTS + timedelta(hours=1)])
def test_each_status_begins_at_its_very_moment(closes_at: datetime | None) -> None:
    event = Event(closes_at=closes_at)
    ends = closes_at or STARTS
    assert sale_ends_at(event) == ends
    seen = [status_of(event, at) for at in (OPENS - INSTANT, OPENS, ends - INSTANT, ends)]
    assert seen == [SaleStatus.upcoming, SaleStatus.on_sale, SaleStatus.on_sale, SaleStatus.ended]


@given(st.timedeltas(min_value=timedelta(days=-99), max_value=timedelta(days=99)))
def test_a_cancelled_event_is_cancelled_at_any_time(offset: timedelta) -> None:
    assert status_of(Event(cancelled_at=OPENS), OPENS + offset) is SaleStatus.cancelled


@given(st.lists(st.timedeltas(min_value=timedelta(days=-99), max_value=timedelta(days=99)), min_size=2))
def test_as_time_passes_a_status_only_moves_on(offsets: list[timedelta]) -> None:
    order = [SaleStatus.upcoming, SaleStatus.on_sale, SaleStatus.ended]
    seen = [order.index(status_of(Event(), OPENS + offset)) for offset in sorted(offsets)]
    assert seen == sorted(seen)

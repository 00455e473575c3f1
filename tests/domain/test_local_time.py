"""Local times and moments: what is typed in a zone is what is read in it, and what no clock shows is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.local_time import BadTime, local_text, moment_of, zone_of

SEOUL, NEW_YORK, LORD_HOWE = "Asia/Seoul", "America/New_York", "Australia/Lord_Howe"  # the last moves by half an hour
ZONES = sorted(name for name in available_timezones() if "/" in name)
LOCAL = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2060, 1, 1))  # noqa: DTZ001  # local on purpose


def test_nine_in_seoul_is_midnight_in_utc_and_nine_again() -> None:
    moment = moment_of("2026-05-01T09:00", SEOUL)
    assert moment == datetime(2026, 5, 1, tzinfo=UTC)
    assert moment.tzinfo is UTC
    assert local_text(moment, SEOUL) == "2026-05-01T09:00"


@pytest.mark.parametrize("text", ["2026-05-01T00:00Z", "2026-05-01T09:00:00+09:00", "2026-04-30 20:00:00.0-0400"])
@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK])
def test_an_offset_says_the_moment_whatever_the_zone(text: str, zone: str) -> None:
    assert moment_of(text, zone) == datetime(2026, 5, 1, tzinfo=UTC)


@given(LOCAL, st.sampled_from(ZONES))
def test_a_local_time_comes_back_as_it_was_typed_or_is_refused(local: datetime, zone: str) -> None:
    typed = local.replace(microsecond=0)
    text = typed.isoformat(timespec="seconds" if typed.second else "minutes")
    try:
        moment = moment_of(text, zone)
    except BadTime:
        offsets = {typed.replace(tzinfo=zone_of(zone), fold=fold).utcoffset() for fold in (0, 1)}
        assert len(offsets) == 2, "only a clock that is changed has times that cannot be read"
        return
    assert local_text(moment, zone) == text


@given(LOCAL, st.sampled_from(ZONES))
def test_a_moment_comes_back_from_its_local_time_unless_that_is_shown_twice(moment: datetime, zone: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    local = moment.astimezone(zone_of(zone))
    assume(local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset())
    assert moment_of(local_text(moment, zone), zone) == moment


@given(LOCAL, st.integers(-14 * 60, 14 * 60), st.sampled_from(ZONES))
def test_with_its_offset_any_time_can_be_said(local: datetime, minutes: int, zone: str) -> None:
    moment = local.replace(microsecond=123_000, tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment_of(moment.isoformat(), zone) == moment


@pytest.mark.parametrize(
    ("text", "zone"),
    [("2026-03-08T02:00", NEW_YORK), ("2026-03-08T02:59", NEW_YORK), ("2026-10-04T02:10", LORD_HOWE)],
)
def test_a_time_that_the_clock_skips_is_refused_by_name(text: str, zone: str) -> None:
    with pytest.raises(BadTime, match=f"does not exist in {zone}"):
        moment_of(text, zone)


def test_a_time_that_comes_twice_is_refused_with_both_ways_to_say_it() -> None:
    with pytest.raises(BadTime, match=r"happens twice in America/New_York.*-04:00 or -05:00"):
        moment_of("2026-11-01T01:30", NEW_YORK)
    meant = [moment_of(f"2026-11-01T01:30{offset}", NEW_YORK) for offset in ("-04:00", "-05:00")]
    assert meant[1] - meant[0] == timedelta(hours=1)


@pytest.mark.parametrize("text", ["2026-03-08T01:59", "2026-03-08T03:00", "2026-11-01T00:59", "2026-11-01T02:00"])
def test_the_edges_of_a_change_of_the_clock_can_be_said(text: str) -> None:
    assert local_text(moment_of(text, NEW_YORK), NEW_YORK) == text


NO_TIMES = ["", "tomorrow", "2026-05-01", "09:00", "2026-13-01T09:00", "2026-02-30T09:00", "2026-05-01T24:01", "1e9"]
NO_TIMES += ["0001-01-01T00:00", "9999-12-31T23:59", "2026-05-01T09:00+99:00", "2026-05-01T09:00 Asia/Seoul"]
NO_TIMES += ["٢٠٢٦-05-01T09:00"]
NO_ZONES = ["", "Seoul", "Asia/Atlantis", "../../etc/passwd", "/etc/localtime", "Asia/../Asia/Seoul", "Asia", "x" * 200]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        moment_of(text, SEOUL)


@pytest.mark.parametrize("name", [*NO_ZONES, "Asia/Seoul\0"])
def test_what_is_no_zone_is_refused_and_never_read_as_a_path(name: str) -> None:
    with pytest.raises(BadTime):
        zone_of(name)


@given(st.text(max_size=70))
def test_no_text_is_too_odd(text: str) -> None:
    for read in (zone_of, lambda given: moment_of(given, SEOUL)):
        with suppress(BadTime):
            read(text)

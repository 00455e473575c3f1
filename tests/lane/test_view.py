"""The map a web process shows equals the snapshot at every version, however it got there."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.reservation import SeatSnapshot, SeatStatus
from app.lane import view as viewing
from app.lane.commands import Outcome, OutcomeStatus, Published
from app.lane.view import SeatView
from tests.lane.test_decide import EMPTY

changes = st.lists(
    st.dictionaries(st.integers(0, 7), st.integers(0, 2), max_size=4).map(lambda found: sorted(found.items())),
    max_size=12,
)


def at(version: int, statuses: bytes) -> SeatSnapshot:
    return replace(EMPTY, version=version, statuses=statuses)


@given(changes, st.integers(0, 12))
def test_deltas_lead_to_what_a_snapshot_shows(batches: list[list[tuple[int, int]]], since: int) -> None:
    view, statuses = SeatView(EMPTY), bytearray(8)
    history = [bytes(statuses)]
    for version, seats in enumerate(batches, start=1):
        assert view.apply(Published(version=version, seats=seats))
        for idx, status in seats:
            statuses[idx] = status
        history.append(bytes(statuses))
    fresh = SeatView(at(len(batches), bytes(statuses)))
    assert (view.body(), view.etag, view.left()) == (fresh.body(), fresh.etag, fresh.left())
    told = json.loads(view.since(since))
    known = bytearray(history[since] if since < len(history) else statuses)
    for seat in told["seats"]:
        known[int(seat["id"][1:])] = SeatStatus[seat["status"]]
    assert (known, told["version"]) == (statuses, len(batches))


def test_a_batch_told_twice_or_late_changes_nothing() -> None:
    view = SeatView(EMPTY)
    for version, seats in ((1, [(0, 1)]), (2, [(0, 2)]), (1, [(0, 1)]), (2, [(0, 0)])):
        assert view.apply(Published(version=version, seats=seats))
    assert (view.version, view.status(0)) == (2, SeatStatus.sold)


def test_a_reader_too_far_behind_gets_the_whole_map() -> None:
    view = SeatView(EMPTY)
    for version in range(1, viewing.BATCHES_KEPT + 2):
        view.apply(Published(version=version, seats=[(0, version % 2)]))
    assert view.since(0) == view.body()
    assert json.loads(view.since(1)).keys() == {"seats", "version"}


def test_a_version_that_is_not_the_next_asks_for_the_snapshot() -> None:
    view = SeatView(EMPTY)
    assert not view.apply(Published(version=2))
    assert not view.apply(Published(version=5, reload=True))
    assert view.apply(Published(version=0, reload=True))


def test_only_so_many_places_are_remembered() -> None:
    view = SeatView(EMPTY)
    for number in range(viewing.PLACES_REMEMBERED_MAX + 1):
        view.remember(Outcome(id="c", status=OutcomeStatus.unavailable, epoch=1, number=number))
    assert view.answer(1, 0) is None
    assert view.answer(1, 1) is not None

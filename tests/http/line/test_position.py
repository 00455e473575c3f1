"""The bytes written by hand are the JSON an encoder would give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.domain.announcement import Messages
from app.domain.line import Place, RoomState
from app.http.line.position import encode_position, iso_ms
from app.room.view import LineView, Position

NUMBERS = st.integers(1, 2**53)
MS = st.integers(0, 4_000_000_000_000)


class Standing(LineView):
    """A view in which everyone stands where the test says."""

    def __init__(self, event_id: str, state: RoomState, message: str, position: Position, reason: str = "") -> None:
        super().__init__(event_id)
        self.messages: Messages = {}
        self.state, self.message, self.given, self.reason = state, message, position, reason
        self.drawn = self.drawn_of = 0
        self.opens_ms = 0

    def position(self, number: int) -> Position:
        return self.given


def in_order(messages: dict[str, str]) -> dict[str, str]:
    """What is equal is encoded once: it must not be made in another order the next time."""
    return dict(sorted(messages.items()))


@given(
    state=st.sampled_from(RoomState),
    message=st.text(max_size=60),
    messages=st.fixed_dictionaries({}, optional={"en": st.text(max_size=20), "ko": st.text(max_size=20)}).map(in_order),
    reason=st.sampled_from(["", "sale_ended", "event_cancelled"]),
    place=st.sampled_from([place for place in Place if place is not Place.unknown]),
    number=NUMBERS,
    ahead=st.integers(0, 2**53),
    eta=st.none() | st.tuples(st.integers(0, 86_400), st.integers(0, 86_400)),
    poll_after_ms=st.integers(1_000, 30_000),
    until_ms=MS,
    reservation=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    full=st.booleans(),
    drawn_of=st.integers(0, 2**31),
    opens_ms=MS,
)
def test_a_position_is_what_an_encoder_would_give(
    state: RoomState,
    message: str,
    messages: Messages,
    reason: str,
    place: Place,
    number: int,
    ahead: int,
    eta: tuple[int, int] | None,
    poll_after_ms: int,
    until_ms: int,
    reservation: dict[str, str] | None,
    full: bool,
    drawn_of: int,
    opens_ms: int,
) -> None:
    view = Standing("gig", state, message, Position(place, number, ahead, eta, poll_after_ms, until_ms), reason)
    view.full = full
    view.messages = messages if message else {}  # there is a text for everybody wherever there is any
    view.drawn = view.drawn_of = drawn_of
    view.opens_ms = opens_ms
    member = b"" if reservation is None else b',"reservation":%s' % msgspec.json.encode(reservation)
    expected: dict[str, Any] = {
        "state": place.value,
        "room": state.value,
        "number": number,
        "ahead": ahead,
        "etaSeconds": None if eta is None else {"low": eta[0], "high": eta[1]},
        "pollAfterMs": poll_after_ms,
    }
    if place is Place.lobby:
        opens_at = datetime.fromtimestamp(opens_ms / 1000, UTC).isoformat(timespec="milliseconds")
        expected = {"state": "lobby", "room": "lobby", "entry": number, "entries": ahead, "opensAt": opens_at}
        expected["pollAfterMs"] = poll_after_ms
    if message:
        expected["message"] = message
    if view.messages:
        expected["messages"] = messages
    if reason:
        expected["reason"] = reason
    if place is Place.waiting and full:
        expected["full"] = True
    if place is Place.admitted:
        expected["claimBefore"] = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(timespec="milliseconds")
    if place not in (Place.lobby, Place.waiting) and reservation is not None:
        expected["reservation"] = reservation
    if place is Place.waiting and drawn_of:
        expected["drawnOf"] = drawn_of
    body = encode_position(view, number, lambda *_: member)
    assert body == msgspec.json.encode(expected)
    assert json.loads(body) == expected


@given(first=st.text(max_size=20), second=st.text(max_size=20))
def test_a_new_message_replaces_the_one_before_it(first: str, second: str) -> None:
    position = Position(Place.waiting, 1, 0, None, 1000, 0)
    for message in (first, second, first):
        body = json.loads(encode_position(Standing("gig", RoomState.open, message, position), 1, lambda *_: b""))
        assert body.get("message", "") == message


def test_another_text_of_one_language_replaces_the_one_before_it() -> None:
    view = Standing("gig", RoomState.open, "Late", Position(Place.waiting, 1, 0, None, 1000, 0))
    for messages in ({"ko": "늦음"}, {"ko": "곧"}, {"ko": "곧", "en": "Late"}):
        view.messages = messages  # type: ignore[assignment]
        assert json.loads(encode_position(view, 1, lambda *_: b""))["messages"] == messages


@given(at_ms=MS)
def test_a_time_travels_in_utc_to_the_millisecond(at_ms: int) -> None:
    at = datetime.fromisoformat(iso_ms(at_ms).decode())
    assert at.utcoffset() is not None
    assert abs(at.timestamp() * 1000 - at_ms) < 1

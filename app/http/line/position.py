"""The position of one buyer as bytes: what every poll, stream message and join answers with.

Written by hand, because it is the hot path; a test holds it to the same JSON an encoder would give.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from app.domain.announcement import Messages
from app.domain.line import Place
from app.room.view import LineView, Position

BEFORE_TURN = (Place.waiting, Place.lobby)  # nothing is reserved for who stands there
Extra = Callable[[str, int, int], bytes]  # (event_id, epoch, number) → `,"reservation":{…}` or nothing

Said = tuple[str, Messages, str]  # the message, those by language, the reason
_messages: dict[str, tuple[Said, bytes]] = {}  # event id → what was said, and its members, encoded once


def encode_position(view: LineView, number: int, reservation: Extra) -> bytes:
    return b"{%s}" % position_members(view, number, view.position(number), reservation)


def position_members(view: LineView, number: int, position: Position, reservation: Extra) -> bytes:
    """The members of the position object, without its braces."""
    place, rank, ahead, eta_s, poll_after_ms, until_ms = position
    tail = _message(view) if view.message or view.reason else b""
    if place is Place.waiting:
        if view.full:
            tail += b',"full":true'
        if view.drawn:
            tail += b',"drawnOf":%d' % view.drawn_of
    elif place is Place.lobby:
        return b'"state":"lobby","room":"lobby","entry":%d,"entries":%d,"opensAt":"%s","pollAfterMs":%d%s' % (
            rank,
            ahead,
            iso_ms(view.opens_ms),
            poll_after_ms,
            tail,
        )
    else:
        if place is Place.admitted:
            tail += b',"claimBefore":"%s"' % iso_ms(until_ms)
        tail += reservation(view.event_id, view.epoch, number)
    eta = b'{"low":%d,"high":%d}' % eta_s if eta_s is not None else b"null"
    return b'"state":"%s","room":"%s","number":%d,"ahead":%d,"etaSeconds":%s,"pollAfterMs":%d%s' % (
        place.encode(),
        view.state.encode(),
        rank,
        ahead,
        eta,
        poll_after_ms,
        tail,
    )


def tell_nothing(_event_id: str, _epoch: int, _number: int) -> bytes:
    """What is reserved, for anybody but its holder."""
    return b""


def iso_ms(at_ms: int) -> bytes:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").encode()


def _message(view: LineView) -> bytes:
    """What an admin says, and why the room is closed if the clock or a cancellation closed it."""
    known, said = _messages.get(view.event_id), (view.message, view.messages, view.reason)
    if known is None or known[0] != said:
        members = message_members(view) + (b',"reason":"%s"' % view.reason.encode() if view.reason else b"")
        known = _messages[view.event_id] = (said, members)
    return known[1]


def message_members(view: LineView) -> bytes:
    """What an admin says to everybody, each member after a comma; nothing if there is nothing to say."""
    members = b',"message":%s' % msgspec.json.encode(view.message) if view.message else b""
    return members + (b',"messages":%s' % msgspec.json.encode(view.messages) if view.messages else b"")

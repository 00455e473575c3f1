"""The part of the table of refusals about the rooms of other sites; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import LOOK_UP, Kind

ORIGIN_REFUSALS = {
    "origin_unknown": Kind(404, "There is no origin {origin_id!r}.", LOOK_UP),
    "api_key_wrong": Kind(401, "This is no API key of this origin.", "Send the origin's key as a Bearer token.", True),
    "request_refused": Kind(403, "A rule of this room refuses such requests.", "Ask for something else.", True),
    "visit_unknown": Kind(
        404, "There is no visit {visit_id!r} to this origin.", "Send the jti of a pass for one of its rooms.", True
    ),
    "visit_waits": Kind(409, "This place has not had its turn.", "Send the jti of a pass.", True),
    "room_unknown": Kind(404, "There is no room {room_id!r}.", LOOK_UP),
}

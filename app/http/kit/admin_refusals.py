"""The part of the table of refusals that only admins meet; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, CORRECT, READ_EVENT, Kind

ADMIN_REFUSALS = {
    "admission_fixed": Kind(
        409, "How people are let in is decided when an event is made.", "Make another event, and cancel this one."
    ),
    "change_refused": Kind(409, "{why}.", "Read the room again and make the change to what it is now."),
    "contrast_low": Kind(
        422, "Text in the colour for {scheme} pages has a contrast of {found} : 1; 4.5 : 1 is the least.", CORRECT
    ),
    "customer_taken": Kind(409, "Another origin has this customerId.", "Choose another one."),
    "dimensions_invalid": Kind(422, "The dimensions are some of {allowed}, each once, divided by commas.", CORRECT),
    "event_cancelled.admin": Kind(
        409, "This event is cancelled: nothing of it can be changed.", "Make another event instead."
    ),
    "event_changed": Kind(409, "Someone else changed this event meanwhile. Look at it again.", READ_EVENT),
    "event_has_reservations": Kind(
        409,
        "Seats of this event have been reserved, so its map cannot change any more.",
        "Make another event with the other map.",
    ),
    "grade_in_use": Kind(409, "A grade that has seats cannot be taken away.", "Leave the grade in the list."),
    "grade_invalid": Kind(422, "A grade's name has at most {limit} visible characters.", CORRECT),
    "grade_twice": Kind(422, "A grade is listed twice; each has one price.", "Send each grade once."),
    "id_taken": Kind(409, "There is a room, an event or an origin {named!r} already.", "Choose another id."),
    "origin_changed": Kind(
        409,
        "Someone else changed this meanwhile. Look at it again.",
        "Read it again and make the change to what it is now.",
    ),
    "origin_has_rooms": Kind(409, "An origin that has rooms cannot be deleted.", "Keep it; close its rooms."),
    "payload_invalid.version": Kind(422, "If-Match must be the version of the event.", READ_EVENT),
    "picture_refused": Kind(422, "{why}", "Choose another picture.", True),
    "poster_unknown": Kind(404, "There is no such poster.", "Read the event again: it says where its poster is.", True),
    "prices_invalid": Kind(422, "{given!r} is not a grade and its price. Say it as VIP=150000.", CORRECT),
    "prices_invalid.many": Kind(422, "There may be {limit} grades.", "Send fewer grades."),
    "room_window_empty": Kind(422, "The room must open before it closes.", CORRECT),
    "rules_invalid": Kind(422, "{at}: {why}.", CORRECT),
    "sale_ends_late": Kind(
        422,
        "The event would begin before its sale ends. Move the end of the sale too.",
        "Send saleClosesAt with the new time of the event, or null to sell until it begins.",
    ),
    "sale_window_empty": Kind(422, "The sale must open before it closes and before the event begins.", CORRECT),
    "seat_file_invalid": Kind(422, "{why}", "Correct the lines that `faults` names and send the file again.", True),
    "logo_refused": Kind(
        422,
        "This picture cannot be a logo ({reason}): a still PNG, JPEG or WebP of 16 pixels a side to 2 million in all.",
        "Choose another picture.",
    ),
    "logo_unknown": Kind(404, "There is no such logo.", "Read the origin again: it says where its logo is.", True),
    "numbers_invalid": Kind(422, "{given!r} names no seats. Write 1-10, 12, 12A.", CORRECT),
    "seat_exists": Kind(409, "The hall has such a seat already, or two of these are the same.", CORRECT),
    "seat_has_no_room": Kind(
        409, "Another seat stands where one of these would, or it would be outside of the drawing.", "Send x and y."
    ),
    "seats_none": Kind(422, "There is no such seat in this hall.", CORRECT),
    "hall_full": Kind(409, "A map may have {limit} seats, and so many may be added at a time.", CORRECT),
    "target_foreign": Kind(
        422,
        "targetUrl is not an address at one of the origin's hosts, by https unless the host is for development.",
        CORRECT,
    ),
    "time_invalid": Kind(422, "{where}: {why}.", "Send a time such as 2026-05-01T09:00+09:00."),
    "time_skipped": Kind(422, "{where}: {why}.", "Send another time, or one with its offset."),
    "time_twice": Kind(422, "{where}: {why}.", "Send the time with its offset, which says which of the two is meant."),
    "too_many_origins": Kind(409, "There are as many as there may be.", "Delete or reuse others."),
    "upload_unknown": Kind(404, "There is no such upload, or it was too long ago.", "Send the file again.", True),
    "uploads_full": Kind(503, "Too many pictures wait to be worked on. Try again in a minute.", AGAIN),
    "zone_unknown": Kind(422, "{where}: {why}.", "Send the name of an IANA time zone such as Asia/Seoul."),
}

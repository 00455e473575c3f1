"""The part of the table of refusals about events, seats, reservations and the waiting list; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, JOIN, LOOK_UP, OTHER_SEATS, SHOW_AGAIN, STAY_OUT, WAIT_FOR_SALE, Kind

SHOP_REFUSALS = {
    "already_holding": Kind(
        409, "You hold seats already: pay or cancel them first.", "Pay for or cancel the reservation in this answer."
    ),
    "event_begun": Kind(
        409, "The event has begun: tickets for it cannot be given back any more.", "Ask the people who run the event."
    ),
    "event_cancelled": Kind(
        410, "This event was cancelled. Everyone who paid gets their money back.", "Choose another event."
    ),
    "event_cancelled.line": Kind(410, "This event was cancelled.", "Choose another event."),
    "event_unknown": Kind(404, "There is no event {event_id!r}.", LOOK_UP),
    "event_unknown.no_room": Kind(404, "There is no waiting room for {event_id!r}.", LOOK_UP),
    "event_unknown.without_line": Kind(
        404, "There is no waiting room for {event_id!r}: it is sold without one.", "Reserve without a pass."
    ),
    "grade_unknown": Kind(422, "This event has no grade {unknown!r}.", "Choose among the grades of the event."),
    "hold_over": Kind(
        410,
        "The hold ended before you paid. If money was taken, it comes back by itself; choose seats again.",
        OTHER_SEATS,
    ),
    "holder_missing": Kind(
        401, "Log in, or visit the event's page first for a tiketi_holder cookie.", "Send a token or that cookie."
    ),
    "key_reused": Kind(
        422,
        "This Idempotency-Key was sent for other seats already.",
        "Use another key for another request.",
        True,
    ),
    "key_reused.payment": Kind(
        422,
        "This Idempotency-Key was sent with another payment already.",
        "Use another key for another request.",
        True,
    ),
    "lane_busy": Kind(
        503,
        "The seats are busy. Your request may still succeed: ask again with the same Idempotency-Key.",
        AGAIN,
    ),
    "lane_busy.sale_changed": Kind(503, "The sale has just changed. Nothing was reserved: try again.", AGAIN),
    "line_first": Kind(409, "People stand in line for this event. Join it; the list is for after your turn.", JOIN),
    "not_on_sale": Kind(409, "Nothing is sold for this event now.", WAIT_FOR_SALE),
    "reservation_over": Kind(409, "This reservation is {status}: nothing more can be done with it.", SHOW_AGAIN),
    "reservation_over.key": Kind(
        409,
        "The reservation of this Idempotency-Key is {status}. Choose seats with another key.",
        "Choose seats again with a new key.",
    ),
    "reservation_over.meanwhile": Kind(409, "This reservation ended before it could be cancelled.", SHOW_AGAIN),
    "reservation_unknown": Kind(
        404, "You have no such reservation.", "Show what it was made with: the log-in, ticket, pass or browser."
    ),
    "reservation_unknown.admin": Kind(404, "There is no reservation {reservation_id!r}.", LOOK_UP),
    "sale_ended": Kind(409, "The sale ended at {ended}.", STAY_OUT),
    "sale_not_open": Kind(409, "The sale opens at {opens}.", WAIT_FOR_SALE),
    "seat_unknown": Kind(422, "One of these seats is not in this hall.", OTHER_SEATS),
    "seat_unknown.reservation": Kind(422, "One of these seats is not in this reservation.", SHOW_AGAIN),
    "buyer_limit": Kind(
        409,
        "One person may have {most} seats of this event in all, held and bought.",
        "Ask for no more seats than `left`, or cancel what you hold.",
    ),
    "leaves_single_seat": Kind(
        409,
        "These seats would leave a free seat alone, which this event does not allow.",
        "Choose seats beside the one that is named, or the next ones.",
    ),
    "leaves_single_seat.asked": Kind(
        409, "These seats would leave a free seat alone.", "Choose others, or send leaveSingle: true."
    ),
    "seats_not_chosen": Kind(422, "Choose the seats to give back.", "Send the form with at least one seat."),
    "seats_left": Kind(409, "There are seats for this wish: no need to wait for some.", "Reserve them now."),
    "seats_too_few": Kind(409, "This event does not have so many seats to wait for.", "Wait for fewer seats."),
    "seats_unavailable": Kind(409, "Someone else has one of these seats.", OTHER_SEATS),
    "seats_unavailable.together": Kind(
        409,
        "So many seats side by side are not left.",
        "Ask for as many as leftTogether says, or with adjacent: preferred.",
    ),
    "sockets_full": Kind(503, "Too many watch the seats here. Try again, or ask with ?since=.", AGAIN, True),
    "sockets_full.address": Kind(
        429, "As many sockets as one address may have are open. Close one, or ask with ?since=.", AGAIN, True
    ),
    "too_many_holds": Kind(429, "Pay for the seats that are held for you, or let go of them.", "Do that, or wait."),
    "too_many_seats": Kind(422, "At most {most} seats at once.", "Ask for fewer seats."),
    "waitlist_bought": Kind(
        409,
        "You bought what the list offered you. Cancel the reservation instead.",
        "Cancel it (POST /api/reservations/RESERVATION/cancel).",
    ),
    "waitlist_full": Kind(409, "The waiting list is full. Look again later.", "Ask again later."),
    "waitlist_unknown": Kind(
        404, "You are not on this event's waiting list.", "Join it (POST /api/waitlist/EVENT) if seats are sold out."
    ),
}

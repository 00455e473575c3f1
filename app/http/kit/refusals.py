"""The table of refusals: for each its status, a sentence that says why, and one that says what to do next.

Endpoints raise `Problem("code", …)`; status and words are written only here. The OpenAPI description and the tests use
the same table. A code is stable, because programs decide by it. Where one code needs several sentences, the further
ones are named `code.variant`. `{names}` in a sentence are filled with the keywords of the Problem. Pages show a refusal
in the reader's language, by the text `kit.error.CODE`, which every code has unless it is `api_only`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

AGAIN = "Send the same request again after the seconds in Retry-After."
CORRECT = "Correct what the detail names and send the request again."
LOG_IN = "Log in (POST /api/auth/login) and send the request again with the new token."
JOIN = "Join the line (POST /api/queue/EVENT/join) to get a place and a ticket."
CLAIM = "Wait for your turn, claim it (POST /api/queue/EVENT/claim) and send the pass that this gives."
OTHER_SEATS = "Read the map of the seats again and choose others."
LOOK_UP = "Look the name up in the list it came from; it may be gone."
STAY_OUT = "Nothing can be done about it: the event is over for buyers."
WAIT_FOR_SALE = "Ask again when the sale is open; the event says when that is."
SHOW_AGAIN = "Read the reservation again: its status says what became of it."
NEW_FORM = "Open the page again and send its form from there."
READ_EVENT = "Read the event again and make the change to what it is now."


@dataclass(frozen=True, slots=True)
class Kind:
    """`detail` says why in a sentence or two, `next` what the client can do now. `api_only`: no page can show it."""

    status: int
    detail: str
    next: str
    api_only: bool = False
    words: frozenset[str] = field(init=False)  # the names in `detail`

    def __post_init__(self) -> None:
        names = frozenset(name for _, name, _, _ in Formatter().parse(self.detail) if name)
        object.__setattr__(self, "words", names)


_REQUEST = {
    "body_incomplete": Kind(400, "The request ended before its body did.", "Send the whole request again.", True),
    "body_too_large": Kind(413, "A request may carry at most {limit} bytes.", "Send less."),
    "body_too_large.file": Kind(413, "A file may have at most {limit} bytes.", "Send a smaller file."),
    "cross_site": Kind(403, "This request was sent from another site.", "Send it from a page of this shop."),
    "cross_site.header": Kind(403, "Send the header X-Requested-With: tiketi.", "Send the request with that header."),
    "cross_site.socket": Kind(403, "This connection was opened by another site.", "Open it from a page of this shop."),
    "encoding_unsupported": Kind(
        415, "Send the file as it is: nothing that is packed gets unpacked here.", "Send it unpacked.", True
    ),
    "file_missing": Kind(422, "Choose a file and send it as the form's field `file`.", "Send the form with a file."),
    "form_malformed": Kind(400, "The form cannot be read: {why}.", "Send the form as a browser would encode it."),
    "form_stale": Kind(403, "This form is not from this browser, or from before you logged in or out.", NEW_FORM),
    "form_stale.session": Kind(403, "The session this form was made in has ended.", "Log in and send the form again."),
    "internal_error": Kind(
        500, "Something broke on our side. It was recorded; try again.", "Try again; tell the shop if it stays so."
    ),
    "media_type_unsupported": Kind(
        415, "The file cannot be of type {given!r}. Take one of {kinds}.", "Send the file as one of these types."
    ),
    "method_not_allowed": Kind(405, "Use another method.", "Use one of the methods that the header Allow names."),
    "not_found": Kind(404, "There is nothing at this address.", "Check the address against /api/openapi.json."),
    "not_found.socket": Kind(404, "There is no WebSocket at this address.", "Connect to /ws/seats/EVENT."),
    "payload_invalid": Kind(422, "{why}.", CORRECT),
    "payload_invalid.body": Kind(422, "The request does not fit: {why}.", CORRECT),
    "payload_invalid.cursor": Kind(
        422, "{given!r} is not a cursor that a list of ours ended with.", "Read the list again from its beginning."
    ),
    "payload_invalid.form": Kind(422, "The form does not fit: {why}.", CORRECT),
    "payload_invalid.key": Kind(422, "An Idempotency-Key is 1 to {limit} ASCII characters.", "Send such a key."),
    "payload_invalid.query": Kind(422, "The query does not fit: {why}.", CORRECT),
    "payload_invalid.quantity": Kind(422, "Say how many seats.", "Send the form with a quantity."),
    "payload_malformed": Kind(400, "The request is not JSON: {why}.", "Send a body of JSON in UTF-8.", True),
    "refused": Kind(400, "{why}", "Check the request against /api/openapi.json.", True),
    "store_unavailable": Kind(503, "The shop's database does not answer just now. Nothing was lost; try again.", AGAIN),
    "value_refused": Kind(
        422, "A value is too long, too large or has a character that cannot be kept.", "Shorten it or take it out."
    ),
}

_ACCOUNTS = {
    "account_disabled": Kind(
        403, "This account was disabled. Ask the people who run the shop.", "Ask them to enable the account again."
    ),
    "admin_only": Kind(403, "Only an admin may do this.", "Log in as an admin."),
    "busy": Kind(503, "Too many people are logging in at once. Try again.", AGAIN),
    "busy.ids": Kind(503, "No free id was found. Try again.", AGAIN),
    "email_invalid": Kind(422, "This is not an email address.", "Send another address."),
    "email_taken": Kind(
        409, "This email cannot be used for a new account. Log in, or use another.", "Log in with this email."
    ),
    "last_admin": Kind(409, "This is the last admin. Make somebody else one first.", "Give another account the role."),
    "login_refused": Kind(401, "No account has this email and password.", "Check both, or register."),
    "login_required": Kind(401, "Log in first.", LOG_IN),
    "login_required.line": Kind(401, "This line is for people with an account. Log in, then join.", LOG_IN),
    "login_required.list": Kind(401, "This event is for people with an account. Log in first.", LOG_IN),
    "login_required.metrics": Kind(
        401, "Send the token of TIKETI_METRICS_TOKEN, or log in as an admin.", "Send one of them as a Bearer token."
    ),
    "login_unavailable": Kind(503, "Nobody can log in or out right now ({why}). Try again.", AGAIN),
    "metrics_refused": Kind(
        403,
        "Only an admin, or who has the metrics token, may read the metrics.",
        "Send the token of TIKETI_METRICS_TOKEN.",
        True,
    ),
    "name_invalid": Kind(422, "A name has 1 to 80 characters.", "Send such a name, without control characters."),
    "password_too_long": Kind(422, "A password has at most 200 characters.", "Choose a shorter one."),
    "password_too_plain": Kind(
        422,
        "Choose a password that is not your name or email, and not one character repeated.",
        "Choose one that nobody can guess from your name.",
    ),
    "password_too_short": Kind(422, "A password has at least 8 characters.", "Choose a longer one."),
    "session_ended": Kind(401, "You were logged out. Log in again.", LOG_IN),
    "session_expired": Kind(401, "You were logged in for so long that it ended. Log in again.", LOG_IN),
    "session_invalid": Kind(401, "This log-in is not one of ours. Log in.", LOG_IN),
    "too_many_at_once": Kind(429, "Too many people log in from your network at once. Try again.", AGAIN),
    "too_many_attempts": Kind(429, "Too many attempts. Try again in {wait_s} s.", AGAIN),
    "user_unknown": Kind(404, "There is no account {user_id!r}.", LOOK_UP),
}

_LINE = {
    "line_unavailable": Kind(503, "The line cannot be reached just now. Nothing was lost; try again.", AGAIN),
    "line_unavailable.changing": Kind(503, "The room is changing. Nothing was lost: try again.", AGAIN),
    "line_unavailable.joining": Kind(503, "{why}. Nothing was lost: try again.", AGAIN),
    "line_unavailable.new": Kind(503, "The line is being made. Nothing was lost: try again.", AGAIN),
    "line_unavailable.restored": Kind(
        503, "The line was lost and is being made again. No place is lost: try again.", AGAIN
    ),
    "not_admitted": Kind(409, "It is not your turn yet.", "Ask for your position until its state is admitted."),
    "number_never_given": Kind(
        404, "Number {number} was never given; the last one is {last}.", "Check the number; it is on the buyer's page."
    ),
    "number_never_given.unreadable": Kind(404, "{given!r} is no number in line.", "Send a whole number from 1 up."),
    "numbers_short": Kind(503, "More people are joining than numbers were set aside. Try again.", AGAIN),
    "pass_expired": Kind(410, "Your time to buy is over. Join the line again.", JOIN),
    "pass_foreign_event": Kind(403, "This pass is for another event.", CLAIM),
    "pass_invalid": Kind(401, "This pass is not one of ours. Wait for your turn to get one.", CLAIM),
    "pass_missing": Kind(401, "Seats are sold to people with a pass. Join the line and claim your turn.", CLAIM),
    "pass_spent": Kind(410, "This pass is used up. Join the line again.", JOIN),
    "place_given_up": Kind(410, "This place in line is over. Join the line again.", JOIN),
    "room_closed": Kind(410, "This line takes nobody any more.", STAY_OUT),
    "room_not_open": Kind(409, "The line opens at {opens}.", "Join after that time."),
    "streams_full": Kind(
        503,
        "No more streams are open here: poll your position instead.",
        "Ask for GET /api/queue/EVENT/position every pollAfterMs.",
        True,
    ),
    "ticket_foreign_event": Kind(403, "This ticket is for another event.", JOIN),
    "ticket_invalid": Kind(401, "This ticket is not one of ours. Join the line to get one.", JOIN),
    "ticket_missing": Kind(401, "Send your ticket as a cookie or as X-Queue-Ticket, or join the line.", JOIN),
    "ticket_old_epoch": Kind(410, "That line is over. Join again to get a place in the new one.", JOIN),
    "turn_lapsed": Kind(410, "Your turn has passed. Join the line again.", JOIN),
}

_SHOP = {
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
        "The hold ended before you paid. Nothing was charged; choose seats again.",
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
    "seats_left": Kind(409, "There are seats for this wish: no need to wait for some.", "Reserve them now."),
    "seats_too_few": Kind(409, "This event does not have so many seats to wait for.", "Wait for fewer seats."),
    "seats_unavailable": Kind(409, "Someone else has one of these seats.", OTHER_SEATS),
    "sockets_full": Kind(503, "Too many watch the seats here. Try again, or ask with ?since=.", AGAIN, True),
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

_PAYMENTS = {
    "already_paid": Kind(
        409, "These seats are paid for already. Nothing more was charged.", "Nothing: the seats are yours."
    ),
    "charge_unknown": Kind(
        404, "This payment provider has no such charge.", "Send webhooks to the shop that made the charge.", True
    ),
    "method_unknown": Kind(404, "{given!r} is not a payment method.", "Take one of GET /api/payments/methods.", True),
    "not_paid": Kind(409, "This reservation is {status}: there is nothing to give back.", SHOW_AGAIN),
    "paid_too_late": Kind(
        410, "The hold ended before the money came. Your money {goes}; choose seats again.", OTHER_SEATS
    ),
    "payload_invalid.method": Kind(422, "{given!r} is not a payment method.", "Take one of those the page offers."),
    "payment_declined": Kind(
        402, "The payment was declined. Nothing was charged; pay another way.", "Pay with another method."
    ),
    "payment_given_up": Kind(
        409, "This payment was given up. What was charged goes back; pay again.", "Pay again with a new key."
    ),
    "payment_unclear": Kind(
        504,
        "The payment service has not answered. We are finding out whether it took the money; if your seats are gone by "
        "then it comes back by itself. Ask again: you are charged once.",
        AGAIN,
    ),
    "payment_unreachable": Kind(
        503,
        "The payment service cannot be reached. Nothing was charged. Try again, or pay another way.",
        AGAIN,
    ),
    "provider_unknown": Kind(
        404, "There is no payment provider {given!r}.", "Send webhooks to the address of the provider.", True
    ),
    "signature_invalid": Kind(
        401, "The signature is missing, wrong or too old.", "Sign the body again with the shared secret.", True
    ),
    "too_many_payments": Kind(
        409, "Too many attempts to pay for these seats. Cancel them.", "Cancel the reservation and choose seats again."
    ),
}

_ADMIN = {
    "admission_fixed": Kind(
        409, "How people are let in is decided when an event is made.", "Make another event, and cancel this one."
    ),
    "change_refused": Kind(409, "{why}.", "Read the room again and make the change to what it is now.", True),
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
    "payload_invalid.version": Kind(422, "If-Match must be the version of the event.", READ_EVENT),
    "picture_refused": Kind(422, "{why}", "Choose another picture.", True),
    "poster_unknown": Kind(404, "There is no such poster.", "Read the event again: it says where its poster is.", True),
    "prices_invalid": Kind(422, "{given!r} is not a grade and its price. Say it as VIP=150000.", CORRECT),
    "prices_invalid.many": Kind(422, "There may be {limit} grades.", "Send fewer grades."),
    "sale_window_empty": Kind(422, "The sale must open before it closes and before the event begins.", CORRECT),
    "seat_file_invalid": Kind(422, "{why}", "Correct the lines that `faults` names and send the file again.", True),
    "time_invalid": Kind(422, "{where}: {why}.", "Send a time such as 2026-05-01T09:00+09:00."),
    "time_skipped": Kind(422, "{where}: {why}.", "Send another time, or one with its offset."),
    "time_twice": Kind(422, "{where}: {why}.", "Send the time with its offset, which says which of the two is meant."),
    "upload_unknown": Kind(404, "There is no such upload, or it was too long ago.", "Send the file again.", True),
    "uploads_full": Kind(503, "Too many pictures wait to be worked on. Try again in a minute.", AGAIN),
    "zone_unknown": Kind(422, "{where}: {why}.", "Send the name of an IANA time zone such as Asia/Seoul."),
}

REFUSALS: Mapping[str, Kind] = {**_REQUEST, **_ACCOUNTS, **_LINE, **_SHOP, **_PAYMENTS, **_ADMIN}


def code_of(name: str) -> str:
    """The stable code of a refusal, without the variant."""
    return name.partition(".")[0]

"""The table of refusals: for each its status, a sentence that says why, and one that says what to do next.

Endpoints raise `Problem("code", …)`; status and words are written only here. The OpenAPI description and the tests use
the same table. A code is stable, because programs decide by it. Where one code needs several sentences, the further
ones are named `code.variant`. `{names}` in a sentence are filled with the keywords of the Problem. Pages show a refusal
in the reader's language, by the text `kit.error.CODE`, which every code has unless it is `api_only`.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.http.kit.admin_refusals import ADMIN_REFUSALS
from app.http.kit.connector_refusals import CONNECTOR_REFUSALS
from app.http.kit.refusal import (
    AGAIN,
    CLAIM,
    CORRECT,
    JOIN,
    JOIN_PLAIN,
    LOG_IN,
    LOOK_UP,
    NEW_FORM,
    OTHER_SEATS,
    SHOW_AGAIN,
    STAY_OUT,
    WAIT,
    WAIT_FOR_SALE,
    Kind,
)
from app.http.kit.resume_refusals import RESUME_REFUSALS

_REQUEST = {
    "body_incomplete": Kind(400, "The request ended before its body did.", "Send the whole request again.", True),
    "body_too_large": Kind(413, "A request may carry at most {limit} bytes.", "Send less."),
    "body_too_large.file": Kind(413, "A file may have at most {limit} bytes.", "Send a smaller file."),
    "connections_full": Kind(
        429, "As many connections as one address may have are open.", "Use the connections that are open.", True
    ),
    "cookies_needed": Kind(
        403,
        "This browser keeps no cookies for this shop, so it could not keep a place.",
        "Allow cookies and try again.",
    ),
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
    "head_too_large": Kind(431, "The request line and the headers may have {limit} bytes.", "Send less.", True),
    "head_too_large.headers": Kind(431, "A request may have {limit} headers.", "Send fewer.", True),
    "host_unknown": Kind(
        421, "This shop is not called {host}.", "Use the address in TIKETI_PUBLIC_URL, or this machine's own.", True
    ),
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
    "request_too_slow": Kind(408, "The request did not come in time.", "Send it again, in one go.", True),
    "server_full": Kind(503, "This server has as many connections as it can serve.", AGAIN, True),
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
    "demo_admin": Kind(
        403,
        "The demo's admin makes nobody an admin and verifies no account: everybody may know its password.",
        "Make an admin of your own with the command tiketi admin create, or tiketi admin promote.",
    ),
    "email_invalid": Kind(422, "This is not an email address.", "Send another address."),
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
        "Only an admin, or who has the metrics token, may read this.",
        "Send the token of TIKETI_METRICS_TOKEN.",
        True,
    ),
    "name_invalid": Kind(422, "A name has 1 to 80 characters.", "Send such a name, without control characters."),
    "openid_away": Kind(
        503, "The organiser's log-in does not answer. Try again in a minute, or log in with a password.", AGAIN
    ),
    "openid_denied": Kind(403, "You were not logged in: the organiser's log-in was left.", "Log in again."),
    "openid_email_taken": Kind(
        409,
        "There is an account with this email and a password. Log in to it, then connect the two on its page.",
        "Log in with the password first, or take a separate account.",
    ),
    "openid_refused": Kind(
        403, "The organiser's log-in could not show who you are. Nothing was changed.", "Log in again."
    ),
    "openid_stale": Kind(403, "This log-in was begun elsewhere, or too long ago. Try again.", "Log in again."),
    "password_none": Kind(
        403, "This account has no password: it is opened by the organiser's log-in.", "Use the organiser's log-in."
    ),
    "password_too_long": Kind(422, "A password has at most 200 characters.", "Choose a shorter one."),
    "password_too_plain": Kind(
        422,
        "Choose a password that is not among the commonest, not your name or email, and not one character repeated.",
        "Choose one that nobody would try first.",
    ),
    "password_too_short": Kind(422, "A password has at least 10 characters.", "Choose a longer one."),
    "password_wrong": Kind(403, "The old password is wrong.", "Check it."),
    "session_ended": Kind(401, "You were logged out. Log in again.", LOG_IN),
    "session_expired": Kind(401, "You were logged in for so long that it ended. Log in again.", LOG_IN),
    "session_invalid": Kind(401, "This log-in is not one of ours. Log in.", LOG_IN),
    "too_many_at_once": Kind(429, "Too many people log in from your network at once. Try again.", AGAIN),
    "too_many_attempts": Kind(429, "Too many attempts. Try again in {wait_s} s.", AGAIN),
    "verification_required": Kind(
        403,
        "This line is for verified accounts, and yours is not. Ask the organiser; once it is verified, log in again.",
        "Log in again once the organiser has verified the account.",
    ),
    "user_unknown": Kind(404, "There is no account {user_id!r}.", LOOK_UP),
}

_LINE = {
    "captcha_refused": Kind(422, "The check that you are a person did not work.", JOIN_PLAIN),
    "challenge_required": Kind(
        428,
        "Many people join from your network, or join at once. A place takes a little work of your computer first.",
        "Solve the challenge and send the request again with X-Challenge-Solution, or X-Captcha-Token.",
    ),
    "challenges_short": Kind(429, "Many people join from your network at once. Try again.", AGAIN),
    "solution_expired": Kind(410, "The challenge was to be solved within five minutes.", JOIN_PLAIN),
    "solution_foreign": Kind(403, "This solution is for another line or another address.", JOIN_PLAIN),
    "solution_invalid": Kind(422, "This does not solve a challenge of ours.", JOIN_PLAIN),
    "solution_spent": Kind(409, "This solution was used before.", JOIN_PLAIN),
    "invitation_required": Kind(
        403, "This line is for people who were invited.", "Open the line by the link in the invitation."
    ),
    "invitation_expired": Kind(403, "This invitation has expired.", "Ask the organiser for a new one."),
    "invitation_foreign": Kind(403, "This invitation is for another event.", "Show the invitation to this event."),
    "invitation_unread": Kind(503, "The keys of invitations are being asked for. Try again.", AGAIN),
    "invitation_invalid": Kind(403, "This is not an invitation of the organiser's.", "Ask the organiser for one."),
    "holder_other": Kind(
        403,
        "This place in line belongs to another browser. Come back in the one you joined with, or join again.",
        "Send the tiketi_holder cookie that was set when this ticket was made.",
    ),
    "holder_other.account": Kind(403, "This place in line belongs to an account. Log in, or join again.", LOG_IN),
    "line_unavailable": Kind(503, "The line cannot be reached just now. Nothing was lost; try again.", AGAIN),
    "line_unavailable.changing": Kind(503, "The room is changing. Nothing was lost: try again.", AGAIN),
    "line_unavailable.joining": Kind(503, "{why}. Nothing was lost: try again.", AGAIN),
    "line_unavailable.memory": Kind(
        503, "The line has no memory for further people just now. Whoever is in it goes on; try again later.", AGAIN
    ),
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
    "pass_expired.check": Kind(401, "This visit is over. Wait for another turn in the waiting room.", WAIT, True),
    "pass_expired": Kind(410, "Your time to buy is over. Join the line again.", JOIN),
    "pass_foreign_event": Kind(403, "This pass is for another event.", CLAIM),
    "pass_foreign": Kind(401, "This pass is not for this room, or not one of ours.", WAIT, True),
    "pass_invalid": Kind(401, "This pass is not one of ours. Wait for your turn to get one.", CLAIM),
    "pass_missing": Kind(401, "Seats are sold to people with a pass. Join the line and claim your turn.", CLAIM),
    "pass_missing.check": Kind(401, "A waiting room stands before this site.", WAIT, True),
    "pass_revoked": Kind(401, "This visit was ended. Wait for another turn in the waiting room.", WAIT, True),
    "pass_spent": Kind(410, "This pass is used up. Join the line again.", JOIN),
    "place_given_up": Kind(410, "This place in line is over. Join the line again.", JOIN),
    "place_taken_over": Kind(410, "This place in line belongs to an account since somebody logged in. Log in.", LOG_IN),
    "room_closed": Kind(410, "This line takes nobody any more.", STAY_OUT),
    "room_not_open": Kind(409, "The line opens at {opens}.", "Join after that time."),
    "streams_full": Kind(
        503,
        "No more streams are open here: poll your position instead.",
        "Ask for GET /api/queue/EVENT/position every pollAfterMs.",
        True,
    ),
    "streams_full.address": Kind(
        429,
        "As many streams as one address may have are open: poll your position instead.",
        "Ask for GET /api/queue/EVENT/position every pollAfterMs.",
        True,
    ),
    "ticket_foreign_event": Kind(403, "This ticket is for another event.", JOIN),
    "ticket_invalid": Kind(401, "This ticket is not one of ours. Join the line to get one.", JOIN),
    "ticket_missing": Kind(401, "Send your ticket as a cookie or as X-Queue-Ticket, or join the line.", JOIN),
    "ticket_old_epoch": Kind(410, "That line is over. Join again to get a place in the new one.", JOIN),
    "turn_lapsed": Kind(410, "Your turn has passed. Join the line again.", JOIN),
}

_ORIGINS = {
    "origin_unknown": Kind(404, "There is no origin {origin_id!r}.", LOOK_UP),
    "api_key_wrong": Kind(401, "This is no API key of this origin.", "Send the origin's key as a Bearer token.", True),
    "request_refused": Kind(403, "A rule of this room refuses such requests.", "Ask for something else.", True),
    "visit_unknown": Kind(
        404, "There is no visit {visit_id!r} to this origin.", "Send the jti of a pass for one of its rooms.", True
    ),
    "visit_waits": Kind(409, "This place has not had its turn.", "Send the jti of a pass.", True),
    "room_unknown": Kind(404, "There is no room {room_id!r}.", LOOK_UP),
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
    "payment_under_way": Kind(
        409, "A payment for all of these seats is being checked. Wait for it, or cancel all of them.", SHOW_AGAIN
    ),
    "provider_unknown": Kind(
        404, "There is no payment provider {given!r}.", "Send webhooks to the address of the provider.", True
    ),
    "signature_invalid": Kind(
        401, "The signature is missing, wrong or too old.", "Sign the body again with the shared secret.", True
    ),
    "webhook_not_understood": Kind(
        422, "This webhook is not understood: {why}.", "Send a kind and a format that this shop knows.", True
    ),
    "too_many_payments": Kind(
        409, "Too many attempts to pay for these seats. Cancel them.", "Cancel the reservation and choose seats again."
    ),
}

REFUSALS: Mapping[str, Kind] = {
    **_REQUEST,
    **_ACCOUNTS,
    **_LINE,
    **_ORIGINS,
    **CONNECTOR_REFUSALS,
    **_SHOP,
    **_PAYMENTS,
    **RESUME_REFUSALS,
    **ADMIN_REFUSALS,
}


def code_of(name: str) -> str:
    """The stable code of a refusal, without the variant."""
    return name.partition(".")[0]

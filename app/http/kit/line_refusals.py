"""The part of the table of refusals about the line: the door, places, turns and passes; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, CLAIM, JOIN, JOIN_PLAIN, LOG_IN, STAY_OUT, WAIT, Kind

LINE_REFUSALS = {
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

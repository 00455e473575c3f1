"""The part of the table of refusals about accounts, log-ins and sessions; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, LOG_IN, LOOK_UP, Kind

ACCOUNT_REFUSALS = {
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

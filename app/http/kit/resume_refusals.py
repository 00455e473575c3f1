"""The part of the table of refusals about places that move to another browser; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import Kind

RESUME_REFUSALS = {
    "browser_in_use": Kind(
        409, "This browser has a place or a reservation of its own, which it would lose.", "Use another browser."
    ),
    "code_unknown": Kind(404, "There is no such code, or its ten minutes are over.", "Make another code."),
    "code_used": Kind(410, "This code was used already.", "Make another code where the place is now."),
    "place_of_account": Kind(409, "This place is an account's: it is wherever you log in.", "Log in over there."),
}

"""The codes of the API, each with its statuses: clients decide by them, so none changes unnoticed."""

from __future__ import annotations

import ast
from pathlib import Path

import app.http
from app.domain.ticket import BadTicket
from app.http.accounts.credentials import PASS_PROBLEMS, SESSION_PROBLEMS, TICKET_PROBLEMS
from app.http.accounts.sessions import BAD_ACCOUNT
from app.http.payments.api import REFUSALS

CODES = {
    "last_admin": {409},
    "user_unknown": {404},
    "waitlist_unknown": {404},
    "waitlist_full": {409},
    "waitlist_bought": {409},
    "seats_left": {409},
    "seats_too_few": {409},
    "not_on_sale": {409},
    "line_first": {409},
    "grade_unknown": {422},
    "account_disabled": {403},
    "admin_only": {403},
    "admission_fixed": {409},
    "already_holding": {409},
    "already_paid": {409},
    "body_incomplete": {400},
    "body_too_large": {413},
    "busy": {503},
    "change_refused": {409},
    "charge_unknown": {404},
    "provider_unknown": {404},
    "cross_site": {403},
    "dimensions_invalid": {422},
    "email_invalid": {422},
    "email_taken": {409},
    "encoding_unsupported": {415},
    "event_begun": {409},
    "event_cancelled": {409, 410},
    "event_changed": {409},
    "event_has_reservations": {409},
    "event_unknown": {404},
    "file_missing": {422},
    "form_malformed": {400},
    "form_stale": {403},
    "grade_in_use": {409},
    "grade_invalid": {422},
    "grade_twice": {422},
    "hold_over": {410},
    "holder_missing": {401},
    "internal_error": {500},
    "key_reused": {422},
    "lane_busy": {503},
    "line_unavailable": {503},
    "login_refused": {401},
    "login_required": {401},
    "login_unavailable": {503},
    "media_type_unsupported": {415},
    "method_not_allowed": {405},
    "method_unknown": {404},
    "metrics_refused": {403},
    "name_invalid": {422},
    "not_admitted": {409},
    "not_found": {404},
    "not_paid": {409},
    "numbers_short": {503},
    "paid_too_late": {410},
    "pass_expired": {410},
    "pass_foreign_event": {403},
    "pass_invalid": {401},
    "pass_missing": {401},
    "pass_spent": {410},
    "password_too_long": {422},
    "password_too_plain": {422},
    "password_too_short": {422},
    "payload_invalid": {422},
    "picture_refused": {422},
    "poster_unknown": {404},
    "upload_unknown": {404},
    "uploads_full": {503},
    "payload_malformed": {400},
    "payment_declined": {402},
    "payment_given_up": {409},
    "payment_unclear": {504},
    "payment_unreachable": {503},
    "place_given_up": {410},
    "prices_invalid": {422},
    "reservation_over": {409},
    "reservation_unknown": {404},
    "room_closed": {410},
    "room_not_open": {409},
    "sale_ended": {409},
    "sale_not_open": {409},
    "sale_window_empty": {422},
    "seat_file_invalid": {422},
    "seat_unknown": {422},
    "seats_unavailable": {409},
    "session_ended": {401},
    "session_expired": {401},
    "session_invalid": {401},
    "signature_invalid": {401},
    "sockets_full": {503},
    "store_unavailable": {503},
    "streams_full": {503},
    "ticket_foreign_event": {403},
    "ticket_invalid": {401},
    "ticket_missing": {401},
    "ticket_old_epoch": {410},
    "too_many_at_once": {429},
    "too_many_attempts": {429},
    "too_many_payments": {409},
    "too_many_seats": {422},
    "turn_lapsed": {410},
    "value_refused": {422},
}
HTTP = Path(app.http.__file__).parent


def test_every_code_of_the_api_keeps_its_status() -> None:
    used: dict[str, set[int]] = {"not_found": {404}, "method_not_allowed": {405}}  # by Starlette's own exceptions
    for file in sorted(HTTP.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("Problem"), args=[ast.Constant(int() as status), ast.Constant(str() as code), *_]
                ):
                    used.setdefault(code, set()).add(status)
    for status, code, _ in [*PASS_PROBLEMS.values(), *SESSION_PROBLEMS.values(), *BAD_ACCOUNT.values()]:
        used.setdefault(code, set()).add(status)
    for status, code, _ in REFUSALS.values():
        used.setdefault(code, set()).add(status)
    for refusal, (status, _) in TICKET_PROBLEMS.items():
        used.setdefault(refusal.value, set()).add(status)
    assert used == CODES


def test_every_way_a_ticket_can_be_bad_has_its_answer() -> None:
    assert set(TICKET_PROBLEMS) == set(BadTicket)

"""Reads what a plain HTML form sent, bounded, into checked values."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request

from app.domain.wish import Wish
from app.http.kit.bodies import BODY_BYTES_MAX, read_body
from app.http.kit.fields import misfit_of
from app.http.kit.problems import Problem

FIELDS_MAX = 150
ADMIN_FORM_BYTES_MAX = 131_072  # an event in two languages, where each Korean letter travels as nine bytes

_READ = "tiketi.form"  # in the scope: a body can be received only once

Form = dict[str, list[str]]


async def read_form(request: Request[Any]) -> Form:
    """The fields with a value; asked again, the same. Raises Problem when the body is too large or is no form."""
    known: Form | None = request.scope.get(_READ)
    if known is None:
        known = request.scope[_READ] = await _read(request)
    return known


async def _read(request: Request[Any]) -> Form:
    limit = ADMIN_FORM_BYTES_MAX if request.url.path.startswith("/admin/") else BODY_BYTES_MAX
    body = await read_body(request.receive, limit)
    try:
        return parse_qs(body.decode(), max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:  # UnicodeDecodeError is one
        raise Problem("payload_invalid", why=f"The form cannot be read: {error}") from None


def first(form: Form, name: str) -> str:
    return form.get(name, [""])[0]


def wish_of(form: Form) -> Wish | None:
    """The wish; None when no quantity was chosen. The same grade twice counts once. Raises Problem on nonsense."""
    quantity = first(form, "quantity")
    if not quantity:
        return None
    fields = {
        "quantity": quantity,
        "grades": list(dict.fromkeys(form.get("grade", []))),
        "adjacent": "adjacent" in form,
    }
    try:
        return msgspec.convert(fields, Wish, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.form", why=misfit_of(error, Wish, fields, lax=True).words) from None

"""Reads the fields of a plain HTML form, up to a size limit, and checks those that several pages share."""

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
    """The fields that were filled in, each with its values.

    Remembers them with the request, so it may be called again. Raises Problem if the body is too large or no form.
    """
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
    """The first value of a field; empty if it was not filled in."""
    return form.get(name, [""])[0]


_ADJACENT: dict[str, str | bool] = {"": False, "no": False, "yes": True}  # "yes": of a page that was open before


def wish_of(form: Form) -> Wish | None:
    """The seats that the form asks for; None when no quantity was chosen. Raises Problem 422 for what is no wish."""
    quantity = first(form, "quantity")
    if not quantity:
        return None
    fields = {
        "quantity": quantity,
        "grades": list(dict.fromkeys(form.get("grade", []))),
        "adjacent": _ADJACENT.get(first(form, "adjacent"), first(form, "adjacent")),
    }
    try:
        return msgspec.convert(fields, Wish, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.form", why=misfit_of(error, Wish, fields, lax=True).words) from None

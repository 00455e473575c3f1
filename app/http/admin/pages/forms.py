"""What several forms have in common: a form becomes what the API takes, and a refusal becomes words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from app.domain import local_time, patterns
from app.http.kit.fields import Misfit, Reason, misfit_of
from app.http.kit.forms import Form, first
from app.http.kit.i18n import Texts
from app.http.kit.problems import Problem
from app.http.kit.routing import problem_words

T = TypeVar("T")


def converted(sent: Mapping[str, Any], kind: type[T]) -> T:
    """Raises Problem 422 with the `field` that does not fit."""
    try:
        return msgspec.convert(sent, kind, strict=False)
    except msgspec.ValidationError as error:
        found = misfit_of(error, kind, sent, lax=True)
        wrong, limit = wrong_of(found)
        field = str(found.place[0]) if found.place else ""
        raise Problem("payload_invalid.form", why=found.words, field=field, wrong=wrong, limit=limit) from None


def wrong_of(found: Misfit) -> tuple[str, str]:
    """What is wrong with a field, as a word of `admin.event_form.wrong.`, and the limit that it passes."""
    match found.reason, found.limit:
        case (Reason.missing | Reason.short, _) | (Reason.pattern, patterns.ONE_LINE):
            return "empty", ""
        case Reason.pattern, patterns.ID:
            return "id", ""
        case Reason.pattern, local_time.MOMENT:
            return "time", ""
        case Reason.pattern, _:
            return "text", ""
        case Reason.kind, "int":
            return "whole", ""
        case Reason.kind, "float":
            return "number", ""
        case (Reason.long | Reason.small | Reason.large) as reason, limit:
            return reason.value, str(limit)
    return "", ""


def refusal_words(t: Texts, refused: Problem, fields: str) -> str:
    """The refusal, with the name of the field it is about: the text under `fields`."""
    words, field = problem_words(t, refused), f"{fields}{refused.extra.get('field')}"
    if wrong := refused.extra.get("wrong"):
        words = t(f"admin.event_form.wrong.{wrong}", limit=refused.extra["limit"])
    return f"{t(field)}: {words}" if t.has(field) else words


def given(form: Form) -> dict[str, str]:
    return {name: values[0] for name, values in form.items()}


def version_of(form: Form) -> int:
    """Of which version of a thing the form was; a form without one is of none that there is."""
    return int(first(form, "version")) if first(form, "version").isdecimal() else 0

"""Which value of a refused request does not fit its type, and why; and what the patterns of texts ask for, in words.

msgspec checks requests. When it refuses one, its error has only a sentence. `misfit_of` then compares the value with
its type again and finds the place and the reason as data, so that a form can mark the field. Valid requests never get
here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import inspect

from app.domain.contrast import COLOUR
from app.domain.local_time import EXAMPLE, MOMENT
from app.domain.patterns import CUSTOMER_ID, ID, MANY_LINES, ONE_LINE
from app.http.kit.paging import WITH_OFFSET

PATTERNS = {  # a pattern is nobody's to read: what it asks for, in words
    ONE_LINE: "one line of text that is not blank",
    MANY_LINES: "text without control characters",
    COLOUR: "a colour such as #0b6e5f",
    ID: "small letters, digits and hyphens, because connectors go round in circles with capital letters",
    CUSTOMER_ID: "letters and digits",
    MOMENT: f"a time such as {EXAMPLE}",
    WITH_OFFSET: "a time with its offset, such as 2026-05-01T09:00:00+09:00",
}


class Reason(StrEnum):
    """Why a value does not fit, and what `Misfit.limit` is then."""

    missing = "missing"
    unknown = "unknown"
    short = "short"  # the least length
    long = "long"  # the greatest length
    small = "small"  # the least number
    large = "large"  # the greatest number
    pattern = "pattern"  # the pattern that a text must match
    kind = "kind"  # the type that was expected: int, float, str, …
    other = "other"


@dataclass(frozen=True, slots=True)
class Misfit:
    """One value that does not fit: its place (names and indices from the outside in), why, and that in words."""

    place: tuple[str | int, ...]
    reason: Reason
    limit: Any = None
    words: str = ""


def misfit_of(error: msgspec.ValidationError, kind: type, value: object, *, lax: bool = False) -> Misfit:
    """The first part of `value` that does not fit `kind`, after msgspec raised `error` for it.

    `lax`: numbers may be sent as text, as in a query or a form.
    """
    found = _find(inspect.type_info(kind), value, (), lax)
    if found is None:
        return Misfit((), Reason.other, None, str(error))
    words = str(error)
    if found.reason is Reason.pattern and found.limit in PATTERNS:
        words = f"Expected {PATTERNS[found.limit]} - at `{_spelled(found.place)}`"
    return Misfit(found.place, found.reason, found.limit, words)


def _spelled(place: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def _find(info: inspect.Type, value: object, place: tuple[str | int, ...], lax: bool) -> Misfit | None:
    """The first part of the value that does not fit; None if all of it seems to."""
    match info:
        case inspect.Metadata():
            return _find(info.type, value, place, lax)
        case inspect.UnionType():
            return _find_in_union(info, value, place, lax)
        case inspect.StructType():
            return _find_in_struct(info, value, place, lax)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType():
            return _find_in_list(info, value, place, lax)
        case inspect.StrType():
            return _text_misfit(info, value, place)
        case inspect.IntType() | inspect.FloatType():
            return _number_misfit(info, value, place, lax)
        case inspect.BoolType():
            fits = isinstance(value, bool) or (lax and str(value).lower() in ("true", "false", "0", "1"))
            return None if fits else Misfit(place, Reason.kind, "bool")
        case inspect.EnumType():
            return None if value in [each.value for each in info.cls] else Misfit(place, Reason.other)
        case inspect.LiteralType():
            return None if value in info.values else Misfit(place, Reason.other)
        case inspect.NoneType():
            return None if value is None else Misfit(place, Reason.kind, "null")
    return None


def _find_in_union(info: inspect.UnionType, value: object, place: tuple[str | int, ...], lax: bool) -> Misfit | None:
    kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
    if value is None and len(kinds) < len(info.types):
        return None
    found = [_find(kind, value, place, lax) for kind in kinds]
    return None if None in found else found[0]


def _find_in_struct(info: inspect.StructType, value: object, place: tuple[str | int, ...], lax: bool) -> Misfit | None:
    if not isinstance(value, dict):
        return Misfit(place, Reason.kind, "object")
    known = {each.encode_name: each for each in info.fields}
    for name, part in value.items():
        if name in known:
            found = _find(known[name].type, part, (*place, name), lax)
            if found is not None:
                return found
        elif info.forbid_unknown_fields:
            return Misfit((*place, str(name)), Reason.unknown)
    missing = [name for name, each in known.items() if each.required and name not in value]
    return Misfit((*place, missing[0]), Reason.missing) if missing else None


def _find_in_list(
    info: inspect.ListType | inspect.VarTupleType | inspect.SetType,
    value: object,
    place: tuple[str | int, ...],
    lax: bool,
) -> Misfit | None:
    if not isinstance(value, list | tuple):
        return Misfit(place, Reason.kind, "array")
    for at, part in enumerate(value):
        found = _find(info.item_type, part, (*place, at), lax)
        if found is not None:
            return found
    return _length_misfit(info.min_length, info.max_length, value, place)


def _length_misfit(
    least: int | None, most: int | None, value: Sequence[object], place: tuple[str | int, ...]
) -> Misfit | None:
    if least is not None and len(value) < least:
        return Misfit(place, Reason.short, least)
    if most is not None and len(value) > most:
        return Misfit(place, Reason.long, most)
    return None


def _text_misfit(info: inspect.StrType, value: object, place: tuple[str | int, ...]) -> Misfit | None:
    if not isinstance(value, str):
        return Misfit(place, Reason.kind, "str")
    wrong_length = _length_misfit(info.min_length, info.max_length, value, place)
    if wrong_length is None and info.pattern is not None and re.search(info.pattern, value) is None:
        return Misfit(place, Reason.pattern, info.pattern)
    return wrong_length


def _number_misfit(
    info: inspect.IntType | inspect.FloatType, value: object, place: tuple[str | int, ...], lax: bool
) -> Misfit | None:
    make, name = (int, "int") if isinstance(info, inspect.IntType) else (float, "float")
    wrong_kind = Misfit(place, Reason.kind, name)
    if isinstance(value, str) and lax:
        try:
            value = make(value)
        except ValueError:
            return wrong_kind
    if isinstance(value, bool) or not isinstance(value, (int,) if make is int else (int, float)):
        return wrong_kind
    if info.ge is not None and value < info.ge:
        return Misfit(place, Reason.small, info.ge)
    if info.le is not None and value > info.le:
        return Misfit(place, Reason.large, info.le)
    return None

"""What does not fit is found where msgspec found it, with the reason as data."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.local_time import MOMENT
from app.domain.patterns import ONE_LINE
from app.http.admin.reservations import ReservationQuery
from app.http.events.shapes import EventEdit, EventWanted
from app.http.kit.fields import Misfit, Reason, misfit_of

GOOD: dict[str, Any] = {
    "title": "Lumina",
    "venue": "Hall",
    "eventDate": "2031-05-01T19:00",
    "ticketTypes": [{"grade": "R", "price": 100}, {"grade": "S", "price": 50}],
    "translations": {"en": {"title": "Lumina"}},
    "room": {"ratePerSecond": 10.0, "burst": 10},
}


def misfit(kind: type, value: object, *, lax: bool = False) -> tuple[Misfit, str]:
    """What is found, and what msgspec says."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind, strict=not lax)
    return misfit_of(refused.value, kind, value, lax=lax), str(refused.value)


@pytest.mark.parametrize(
    ("changed", "place", "reason", "limit"),
    [
        ({"title": ""}, ("title",), Reason.short, 1),
        ({"title": " "}, ("title",), Reason.pattern, ONE_LINE),
        ({"title": "x" * 201}, ("title",), Reason.long, 200),
        ({"title": 7}, ("title",), Reason.kind, "str"),
        ({"eventDate": "tomorrow"}, ("eventDate",), Reason.pattern, MOMENT),
        ({"saleClosesAt": "never"}, ("saleClosesAt",), Reason.pattern, MOMENT),
        ({"ticketTypes": [{"grade": "R", "price": -1}]}, ("ticketTypes", 0, "price"), Reason.small, 0),
        ({"ticketTypes": [{"grade": "R"}]}, ("ticketTypes", 0, "price"), Reason.missing, None),
        ({"ticketTypes": {}}, ("ticketTypes",), Reason.kind, "array"),
        ({"translations": {"en": {"venue": "x" * 201}}}, ("translations", "en", "venue"), Reason.long, 200),
        ({"room": {"burst": 1.5}}, ("room", "burst"), Reason.kind, "int"),
        ({"room": {"ratePerSecond": "10"}}, ("room", "ratePerSecond"), Reason.kind, "float"),
        ({"room": {"maxActive": 10**7}}, ("room", "maxActive"), Reason.large, 1_000_000),
        ({"room": {"door": "ajar"}}, ("room", "door"), Reason.other, None),
        ({"admission": "free"}, ("admission",), Reason.other, None),
        ({"mine": 1}, ("mine",), Reason.unknown, None),
    ],
    ids=repr,
)
def test_the_place_and_the_reason_are_found(
    changed: dict[str, Any], place: tuple[str | int, ...], reason: Reason, limit: object
) -> None:
    found, _ = misfit(EventWanted, {**GOOD, **changed})
    assert (found.place, found.reason, found.limit) == (place, reason, limit)


def test_numbers_that_came_as_text_are_read_where_they_may() -> None:
    found, _ = misfit(EventWanted, {**GOOD, "room": {"burst": "0"}}, lax=True)
    assert (found.place, found.reason, found.limit) == (("room", "burst"), Reason.small, 1)
    found, _ = misfit(ReservationQuery, {"limit": "many"}, lax=True)
    assert (found.place, found.reason, found.limit) == (("limit",), Reason.kind, "int")


def test_a_pattern_is_said_in_words_and_everything_else_as_msgspec_says_it() -> None:
    found, _ = misfit(EventWanted, {**GOOD, "title": " "})
    assert found.words == "Expected one line of text that is not blank - at `$.title`"
    found, said = misfit(EventWanted, {**GOOD, "title": 7})
    assert found.words == said == "Expected `str`, got `int` - at `$.title`"


def test_what_is_no_object_at_all_is_said_too() -> None:
    found, said = misfit(EventWanted, [])
    assert (found.place, found.reason, found.words) == ((), Reason.kind, said)


SCALARS = st.none() | st.booleans() | st.integers(-3, 10**9) | st.floats(-1, 9) | st.text(max_size=3)
NAMES = (
    "title",
    "eventDate",
    "saleClosesAt",
    "description",
    "admission",
    "ticketTypes",
    "room",
    "translations",
    "version",
)


@given(changed=st.dictionaries(st.sampled_from(NAMES), SCALARS | st.lists(SCALARS, max_size=2), max_size=4))
def test_whatever_is_refused_the_place_is_msgspecs(changed: dict[str, Any]) -> None:
    value = {**GOOD, **changed}
    try:
        msgspec.convert(value, EventEdit)
    except msgspec.ValidationError as error:
        found, said = misfit_of(error, EventEdit, value), str(error)
        assert found.place, said
        spelled = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found.place)
        assert f"`{spelled}`" in said or f"`{found.place[-1]}`" in said

"""A visit's id says its place to us and nothing to anybody else, and only to the room that it is of."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.origins.connector.queue_ids import NUMBER_BITS, QueueIds

IDS = QueueIds(bytes(range(32)))


@given(epoch=st.integers(0, 2**32 - 1), number=st.integers(0, 2**NUMBER_BITS - 1))
def test_an_id_is_read_again_as_the_place_it_was_made_for(epoch: int, number: int) -> None:
    made = IDS.of("sale", epoch, number)
    assert str(UUID(made)) == made
    assert made == IDS.of("sale", epoch, number)
    assert IDS.read("sale", made) == (epoch, number)
    assert IDS.read("sale", made.upper()) == (epoch, number)


def test_ids_of_neighbours_have_nothing_in_common() -> None:
    made = [IDS.of("sale", 1, number) for number in range(1_000)]
    assert len({text[:8] for text in made}) == len(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 36,
        "944c1f44-60dd-4e37-aabc-f3e4bb1c8895",
        "00000000-0000-0000-0000-000000000000",
        IDS.of("other", 1, 1),
        QueueIds(bytes(32)).of("sale", 1, 1),
        IDS.of("sale", 1, 1).replace("-", ""),
        "{" + IDS.of("sale", 1, 1)[:34] + "}",
        IDS.of("sale", 1, 1) + "\n",
        "é" * 36,
    ],
)
def test_everything_else_is_none(text: str) -> None:
    assert IDS.read("sale", text) is None


def test_a_made_up_id_names_no_place() -> None:
    assert [IDS.read("sale", str(uuid4())) for _ in range(1_000)] == [None] * 1_000

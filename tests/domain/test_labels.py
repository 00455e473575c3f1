"""Labels are read as a person reads them, whatever separates their parts, in whichever language and order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.labels import SEPARATORS, Dimension, Scheme, bare, find_scheme

GRADE, FLOOR, SECTION, ROW, NUMBER = Dimension


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("VIP-1F-A-12", {GRADE: "VIP", FLOOR: "1F", ROW: "A", NUMBER: "12"}),
        ("R석/2층/B열/7", {GRADE: "R", FLOOR: "2층", ROW: "B", NUMBER: "7"}),
        ("블랙-S", {SECTION: "블랙", GRADE: "S"}),
        ("1층 A구역 3열 12번", {FLOOR: "1층", SECTION: "A", ROW: "3", NUMBER: "12"}),
        ("1층 A 구역 3 열 12 번", {FLOOR: "1층", SECTION: "A", ROW: "3", NUMBER: "12"}),
        ("Section A Row B Seat 12", {SECTION: "A", ROW: "B", NUMBER: "12"}),
        ("Main Hall-A-12", {SECTION: "Main Hall", ROW: "A", NUMBER: "12"}),
        ("지하1층:VIP석:7번", {FLOOR: "지하1층", GRADE: "VIP", NUMBER: "7"}),
        ("OP_A_3_9", {GRADE: "OP", SECTION: "A", ROW: "3", NUMBER: "9"}),
        ("12", {NUMBER: "12"}),
    ],
)
def test_a_label_says_what_a_person_would_read(label: str, said: dict[Dimension, str]) -> None:
    scheme = find_scheme([label])
    assert scheme is not None
    assert scheme.read(label) == said


def test_one_bad_label_does_not_change_how_the_others_are_read() -> None:
    labels = ["VIP-1F-A-12", "VIP-1F-A-13", "VIP 1F A", "VIP-1F-A-14"]
    scheme = find_scheme(labels)
    assert scheme == Scheme("-", (GRADE, FLOOR, ROW, NUMBER))
    assert scheme.read("VIP 1F A") is None


def test_a_name_with_more_seats_than_a_row_can_have_is_a_section() -> None:
    scheme = find_scheme([f"VIP-1F-A-{number}" for number in range(1, 201)])
    assert scheme is not None
    assert scheme.dimensions == (GRADE, FLOOR, SECTION, NUMBER)


def test_grades_that_are_known_are_found_by_their_names() -> None:
    scheme = find_scheme(["Gold_A_7", "Silver_B_8"], grades=["gold", "silver"])
    assert scheme == Scheme("_", (GRADE, ROW, NUMBER))


def test_the_order_may_be_said() -> None:
    scheme = find_scheme(["7-A", "8-A"], order=(NUMBER, SECTION))
    assert scheme == Scheme("-", (NUMBER, SECTION))
    assert find_scheme(["7-A-B"], order=(NUMBER, SECTION)) is None


def test_a_label_of_more_parts_than_there_are_dimensions_has_no_scheme() -> None:
    assert find_scheme(["a/b/c/d/e/f/7 8 9 10 11 12 13-1-1-1-1-1_1_1_1_1_1:1:1:1:1:1"]) is None


KOREAN = {GRADE: "{}석", FLOOR: "{}층", SECTION: "{}구역", ROW: "{}열", NUMBER: "{}번"}
ENGLISH = {GRADE: "Grade {}", FLOOR: "Floor {}", SECTION: "Block {}", ROW: "Row {}", NUMBER: "Seat {}"}
VALUES = {
    GRADE: st.sampled_from(["VIP", "R", "S", "Gold"]),
    FLOOR: st.integers(1, 5).map(str),
    SECTION: st.sampled_from(["A", "B", "101", "가"]),
    ROW: st.sampled_from(["A", "B", "AA", "1", "22"]),
    NUMBER: st.integers(1, 400).map(str),
}


@given(st.data())
def test_labels_that_name_their_parts_are_read_back_in_any_order(data: st.DataObject) -> None:
    """Separators, languages and orders are the scheme's; every value comes back."""
    words = data.draw(st.sampled_from([KOREAN, ENGLISH]))
    others = data.draw(st.lists(st.sampled_from([GRADE, FLOOR, SECTION, ROW]), unique=True, min_size=1))
    kinds = data.draw(st.permutations([*others, NUMBER]))
    separator = data.draw(st.sampled_from(SEPARATORS))
    rows = data.draw(st.lists(st.tuples(*(VALUES[kind] for kind in kinds)), min_size=1, max_size=30))
    labels = [separator.join(words[k].format(v) for k, v in zip(kinds, row, strict=True)) for row in rows]
    scheme = find_scheme(labels)
    assert scheme is not None
    assert scheme.dimensions == tuple(kinds), labels
    for label, row in zip(labels, rows, strict=True):
        said = scheme.read(label)
        assert said is not None
        told = {k: words[k].format(v) if k is FLOOR else v for k, v in zip(kinds, row, strict=True)}
        assert said == told


@given(
    st.sampled_from(SEPARATORS),
    st.lists(
        st.tuples(
            st.sampled_from(["VIP", "R", "S"]),
            st.sampled_from(["1F", "2F", "B1F"]),
            st.sampled_from(["A", "B", "C", "가", "나"]),
            st.integers(1, 30).map(str),
            st.integers(1, 50).map(str),
        ),
        min_size=1,
        max_size=40,
    ),
)
def test_bare_values_in_the_usual_order_are_read_back(separator: str, rows: list[tuple[str, ...]]) -> None:
    labels = [separator.join(row) for row in rows]
    scheme = find_scheme(labels)
    assert scheme is not None
    assert scheme.dimensions == tuple(Dimension)
    read = [scheme.read(label) for label in labels]
    assert read == [dict(zip(Dimension, row, strict=True)) for row in rows]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_no_text_breaks_the_search(labels: list[str]) -> None:
    scheme = find_scheme(labels)
    for label in labels:
        said = scheme.read(label) if scheme else None
        assert said is None or len(said) == len(scheme.dimensions if scheme else ())


@pytest.mark.parametrize(
    ("kind", "text"), [(GRADE, "12석"), (ROW, "다음열"), (NUMBER, "12A번"), (FLOOR, "F층계"), (SECTION, "zone")]
)
def test_a_word_that_only_looks_like_a_dimension_names_none(kind: Dimension, text: str) -> None:
    assert bare(kind, text) is None


def test_a_value_begins_behind_the_stops_that_divide_it_from_its_word() -> None:
    """So nothing is tried twice: every cut between stops and value would be, and each to the end of the text."""
    assert bare(ROW, "row . 7") == "7"
    assert bare(GRADE, "grade..") is None
    assert bare(GRADE, "grade... Gold.") == "Gold."

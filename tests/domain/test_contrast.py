"""A colour is taken if text in it, and on it, can be read wherever our pages use it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contrast import CONTRAST_MIN, DARK_GROUNDS, LIGHT_GROUNDS, contrast, ink_on, least_contrast, soft

colours = st.integers(0, 2**24 - 1).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_what_the_standard_s_examples_have(one: str, other: str, wanted: float) -> None:
    assert contrast(one, other) == pytest.approx(wanted, abs=0.01)
    assert contrast(one, other) == contrast(other, one)


@given(colours)
def test_black_or_white_can_be_read_on_every_colour(colour: str) -> None:
    assert contrast(ink_on(colour), colour) >= CONTRAST_MIN


def test_our_own_colours_would_be_taken_and_faint_ones_not() -> None:
    assert least_contrast("#0b6e5f", LIGHT_GROUNDS) >= CONTRAST_MIN
    assert least_contrast("#5fd0ba", DARK_GROUNDS) >= CONTRAST_MIN
    assert least_contrast("#5fd0ba", LIGHT_GROUNDS) < CONTRAST_MIN
    assert least_contrast("#757575", LIGHT_GROUNDS) < CONTRAST_MIN <= contrast("#757575", "#ffffff")


def test_a_soft_ground_lies_between_its_colour_and_the_ground() -> None:
    assert soft("#000000", "#ffffff") == "#e6e6e6"

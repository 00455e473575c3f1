"""The readable part of an event's id."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.events.shapes import SLUG_CHARS_MAX, slug_of


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Spring Concert", "spring-concert"),
        ("아이유 콘서트 2026", "aiyu-konseoteu-2026"),
        ("세븐틴 앙코르 – Café", "sebeuntin-angkoreu-cafe"),
        ("한국 뮤지컬 대상 시상식 서울", "hangug-myujikeol-daesang"),  # whole words, as many as there is room for
        ("Supercalifragilisticexpialidocious", "supercalifragilisticexpi"),
        ("Rhythm &amp; Blues &#99999999999;", "rhythm-amp-blues"),
        ("〈!!!〉", "event"),
    ],
)
def test_a_title_becomes_words_that_can_be_read_in_an_address(title: str, slug: str) -> None:
    assert slug_of(title) == slug
    assert slug_of(unicodedata.normalize("NFD", title)) == slug


@given(st.text(max_size=200))
def test_any_title_becomes_an_address(title: str) -> None:
    slug = slug_of(title)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= SLUG_CHARS_MAX

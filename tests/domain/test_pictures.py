"""What a picture is, its bytes tell: only whole, still pictures with nothing else in the file are taken."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pictures import Picture, PictureFault, fitted, look
from tests.pictures import bomb, moving, photo, picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"quality": 30}, {"progressive": True}, {"lossless": True}])
def test_a_picture_is_what_its_bytes_say(kind: str, options: dict[str, Any]) -> None:
    assert look(picture(kind, (301, 402), **options)) == Picture(kind.lower(), 301, 402)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_no_obstacle(kind: str) -> None:
    assert look(picture(kind, mode="RGBA")) == Picture(kind.lower(), 300, 400)


def test_a_photo_has_the_size_it_is_stored_in() -> None:
    assert look(photo((300, 400))) == Picture("jpeg", 300, 400)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + b"\0" * 100,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7\n",
        b"PK\x03\x04" + b"\0" * 100,
        b"<html>",
        b"MZ" + b"\0" * 100,
        b"  " + picture(),
    ],
)
def test_anything_else_is_refused_whatever_it_is_called(data: bytes) -> None:
    assert look(data) is PictureFault.kind


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_moving_pictures_are_refused(kind: str) -> None:
    assert look(moving(kind)) is PictureFault.animated


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("behind", [b"PK\x03\x04 a zip", b"<script>alert(1)</script>", b"\0\0\0x"])
def test_a_file_that_is_also_something_else_is_refused(kind: str, behind: bytes) -> None:
    assert look(picture(kind) + behind) is PictureFault.mixed
    assert look(picture(kind) + b"\0\0") == Picture(kind.lower(), 300, 400), "padding is nothing"


def test_a_pdf_within_a_picture_is_refused() -> None:
    assert look(picture("JPEG", comment=b"%PDF-1.4")) is PictureFault.mixed


def test_sizes_are_told_before_anything_is_decoded() -> None:
    assert look(bomb()) is PictureFault.large
    assert look(bomb(5_000, 4_801)) is PictureFault.large
    assert look(bomb(12_001, 64)) is PictureFault.large
    assert look(picture(size=(63, 400))) is PictureFault.small
    assert look(picture(size=(64, 64))) == Picture("png", 64, 64)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_cut_off_picture_is_refused(kind: str) -> None:
    whole = picture(kind, (70, 70))
    for length in range(12, len(whole) - 1):
        assert isinstance(look(whole[:length]), PictureFault), length


def test_a_picture_of_endless_parts_is_refused() -> None:
    head, rest = picture()[:33], picture()[33:]
    empty = struct.pack(">I4sI", 0, b"teXt", 0)
    assert look(head + empty * 30_000 + rest) is PictureFault.broken


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_no_bytes_break_the_look(kind: str, at: int, other: bytes) -> None:
    whole = picture(kind, (70, 70))
    assert isinstance(look(whole[:at] + other + whole[at + len(other) :]), Picture | PictureFault)


def test_a_picture_is_fitted_in_proportion_and_never_enlarged() -> None:
    assert fitted((2400, 1600), (1200, 1600)) == (1200, 800)
    assert fitted((100, 200), (1200, 1600)) == (100, 200)
    assert fitted((12_000, 64), (320, 427)) == (320, 2)

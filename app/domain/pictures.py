"""What an uploaded picture is, told by its bytes and before anything decodes them: its kind and its size in pixels.

Pure. Only still PNG, JPEG and WebP pass, with nothing before, behind or hidden between: a file that is also something
else (a zip, a page, a PDF) is refused, and so is one whose pixels would fill the memory.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum

PIXELS_MAX = 24_000_000  # 96 MB once decoded
SIDE_MAX = 12_000
SIDE_MIN = 64
PARTS_MAX = 20_000  # chunks or segments in one file
PDF_WITHIN = 1024  # where readers look for a PDF's beginning

Box = tuple[int, int]
SIZES: dict[str, Box] = {"large": (1200, 1600), "thumb": (320, 427)}  # the boxes a poster is fitted into

_PNG = b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in a JPEG's scan: the next thing that is not image data
_SIZED = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


class PictureFault(StrEnum):
    """Why a picture is not taken."""

    kind = "kind"  # neither PNG, JPEG nor WebP
    animated = "animated"
    mixed = "mixed"  # something else is in the file
    large = "large"
    small = "small"
    broken = "broken"
    given_up = "given_up"  # every worker that tried it died


class UploadStatus(StrEnum):
    """waiting → working → done | failed; a worker that dies while it works leaves the upload to another."""

    waiting = "waiting"
    working = "working"
    done = "done"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Picture:
    kind: str  # png | jpeg | webp
    width: int
    height: int


class _Bad(ValueError):
    def __init__(self, fault: PictureFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def look(data: bytes, side_min: int = SIDE_MIN) -> Picture | PictureFault:
    """What it is, or why it is refused. Reads headers and the lengths between them; nothing is unpacked."""
    try:
        picture = _kind(data)
    except _Bad as bad:
        return bad.fault
    except (struct.error, IndexError):
        return PictureFault.broken
    if b"%PDF-" in data[:PDF_WITHIN]:
        return PictureFault.mixed
    if max(picture.width, picture.height) > SIDE_MAX or picture.width * picture.height > PIXELS_MAX:
        return PictureFault.large
    if min(picture.width, picture.height) < side_min:
        return PictureFault.small
    return picture


def fitted(size: Box, box: Box) -> Box:
    """The size of a picture inside a box: in proportion, never larger than it is."""
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _kind(data: bytes) -> Picture:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    raise _Bad(PictureFault.kind)


def _png(data: bytes) -> Picture:
    if data[12:16] != b"IHDR":
        raise _Bad(PictureFault.broken)
    width, height = struct.unpack_from(">II", data, 16)
    at = len(_PNG)
    for _ in range(PARTS_MAX):
        length, name = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if name == b"acTL":
            raise _Bad(PictureFault.animated)
        if name == b"IEND":
            return _ended(Picture("png", width, height), at, data)
    raise _Bad(PictureFault.broken)


def _jpeg(data: bytes) -> Picture:
    picture: Picture | None = None
    at = 2
    for _ in range(PARTS_MAX):
        if data[at] != 0xFF:
            raise _Bad(PictureFault.broken)
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker == 0xD9:
            if picture is None:
                raise _Bad(PictureFault.broken)
            return _ended(picture, at + 2, data)
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _SIZED:
            if picture is not None:
                raise _Bad(PictureFault.broken)
            height, width = struct.unpack_from(">HH", data, at + 5)
            picture = Picture("jpeg", width, height)
        at += 2 + length
        if marker == 0xDA:
            found = _MARKER.search(data, at)
            if found is None:
                raise _Bad(PictureFault.broken)
            at = found.start()
    raise _Bad(PictureFault.broken)


def _webp(data: bytes) -> Picture:
    (size,) = struct.unpack_from("<I", data, 4)
    at, picture = 12, None
    for _ in range(PARTS_MAX):
        if at >= 8 + size:
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if name in (b"ANIM", b"ANMF") or (name == b"VP8X" and data[at + 8] & 0x02):
            raise _Bad(PictureFault.animated)
        picture = picture or _webp_size(name, data, at + 8)
        at += 8 + length + length % 2
    if picture is None or at != 8 + size:
        raise _Bad(PictureFault.broken)
    return _ended(picture, at, data)


def _webp_size(name: bytes, data: bytes, at: int) -> Picture | None:
    match name:
        case b"VP8X":
            sides = (int.from_bytes(data[at + 4 : at + 7], "little"), int.from_bytes(data[at + 7 : at + 10], "little"))
            return Picture("webp", sides[0] + 1, sides[1] + 1)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, at + 6)
            return Picture("webp", width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, at + 1)
            return Picture("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case _:
            return None


def _ended(picture: Picture, at: int, data: bytes) -> Picture:
    """The picture, if the file ends with it; zeros behind it are padding."""
    if at > len(data):
        raise _Bad(PictureFault.broken)
    if data[at:].strip(b"\0"):
        raise _Bad(PictureFault.mixed)
    return picture

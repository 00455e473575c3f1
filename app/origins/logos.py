"""A site's logo, from the picture that an admin sends: checked by its bytes, made small, and drawn anew as WebP.

Whatever was in the file beside its pixels is gone afterwards, and so is any other meaning the bytes had. No markup is
taken (SVG), and no address: a picture fetched from elsewhere would tell others who waits. CPU-bound: for a thread.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import structlog
from PIL import Image, ImageOps

from app.domain.pictures import Picture, PictureFault, fitted, look

SENT_BYTES_MAX = 524_288
SENT_PIXELS_MAX = 2_000_000  # 8 MB once decoded
SIDE_MIN = 16
BOX = (640, 160)  # what it is fitted into: shown a third or half as large
QUALITY = 90
NAME_CHARACTERS = 32

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLogo:
    """`name` is its content's."""

    name: str
    width: int
    height: int
    data: bytes


def logo_of(data: bytes) -> MadeLogo | PictureFault:
    """The logo, or why there is none."""
    found = look(data, SIDE_MIN)
    if isinstance(found, PictureFault):
        return found
    if found.width * found.height > SENT_PIXELS_MAX:
        return PictureFault.large
    try:
        return _made(data, found)
    except Exception as error:  # a decoder given hostile bytes may raise anything: the picture is broken, we are not
        log.warning("picture_broken", error=f"{type(error).__name__}: {str(error)[:200]}")
        return PictureFault.broken


def _made(data: bytes, found: Picture) -> MadeLogo | PictureFault:
    with Image.open(io.BytesIO(data), formats=[found.kind.upper()]) as opened:
        if opened.size != (found.width, found.height) or getattr(opened, "n_frames", 1) != 1:
            return PictureFault.mixed
        upright = ImageOps.exif_transpose(opened)
    has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    pixels = upright.convert("RGBA" if has_alpha else "RGB")
    small = pixels.resize(fitted(pixels.size, BOX), Image.Resampling.LANCZOS)
    small.info.clear()  # nothing of what stood beside the pixels
    out = io.BytesIO()
    small.save(out, "WEBP", quality=QUALITY, method=4)
    made = out.getvalue()
    name = hashlib.sha256(made).hexdigest()[:NAME_CHARACTERS]
    return MadeLogo(name=name, width=small.width, height=small.height, data=made)

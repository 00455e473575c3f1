"""Draws a site's logo anew, as a program of its own: it reads a picture and writes what became of it.

Whatever was in the file beside its pixels is gone afterwards, and so is any other meaning the bytes had. What a decoder
does with hostile bytes ends here: this process has a memory and a time of its own, and nobody else's.
"""

from __future__ import annotations

import hashlib
import io
import resource
import sys

import msgspec
from PIL import Image, ImageOps

from app.domain.pictures import Picture, PictureFault, fitted, look
from app.origins.logos import MadeLogo, Refused

SENT_PIXELS_MAX = 2_000_000  # 8 MB once decoded
SIDE_MIN = 16
BOX = (640, 160)  # what it is fitted into: shown a third or half as large
QUALITY = 90
NAME_CHARACTERS = 32
MEMORY_BYTES_MAX = 1_073_741_824  # of addresses, of which it uses some 50 MB
CPU_S_MAX = 10


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    made = logo_of(sys.stdin.buffer.read())
    told = Refused(fault=made) if isinstance(made, PictureFault) else made
    sys.stdout.buffer.write(msgspec.msgpack.encode(told))


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
        sys.stderr.write(f"{type(error).__name__}: {error}")
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


if __name__ == "__main__":
    main()

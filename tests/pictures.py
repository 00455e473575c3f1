"""Pictures for tests, good and bad, made as they are needed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin

GPS = b"secret-place"


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 400), *, seed: int = 1, **options: Any) -> bytes:
    """A still picture; another seed is another picture."""
    chance = random.Random(seed)
    image = Image.new(options.pop("mode", "RGB"), size)
    for _ in range(20):
        at = chance.randrange(size[0]), chance.randrange(size[1])
        image.paste(chance.randrange(256), (*at, min(at[0] + 40, size[0]), min(at[1] + 40, size[1])))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo(size: tuple[int, int] = (300, 400), orientation: int = 6) -> bytes:
    """A JPEG as a camera writes it: turned by EXIF, with a place in it. Its left half is red."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = GPS.decode()
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=95, comment=b"<script>")
    return out.getvalue()


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (100, 100), color) for color in ((255, 0, 0), (0, 255, 0))]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of a few kilobytes that says it is 400 million pixels."""
    packed = zlib.compress(b"\0" * 1_000_000, 9)
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), _chunk(b"IDAT", packed)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose comment unpacks to a hundred megabytes."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 100_000_000, zip=True)
    return picture(pnginfo=info)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

"""Makes posters: takes one uploaded picture after the other, checks it again, and stores it small, clean and as WebP.

Decoding happens in a thread, one picture at a time per worker. Whatever was in the file beside its pixels (EXIF,
profiles, comments) is gone afterwards, and so is any other meaning the bytes had. A job is only a wake-up: what is to
be done is in SQL, and a round every few seconds finds what no wake-up was heard for.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from PIL import Image, ImageOps

from app.domain.pictures import PIXELS_MAX, SIZES, Picture, PictureFault, fitted, look
from app.ledger import posters
from app.ledger.database import Database
from app.ledger.posters import Made, Taken

ROUND_MAX = 20  # pictures in one round; the next round has the rest
CONVERT_MAX_S = 20.0
QUALITY = 82
NAME_CHARACTERS = 32

log = structlog.get_logger()
Image.MAX_IMAGE_PIXELS = PIXELS_MAX  # Pillow's own guard behind ours


@dataclass(eq=False)
class PosterMaker:
    """Of one worker process. `changed` tells everyone that an event is another now."""

    db: Database
    now: Callable[[], datetime]
    changed: Callable[[str], Awaitable[object]]
    convert: Callable[[bytes], Made | PictureFault] = field(default_factory=lambda: convert)

    async def round(self) -> int:
        """Work until nothing waits, ROUND_MAX pictures at most; gives how many. One at a time: see `rounds.alone`."""
        for done in range(ROUND_MAX):
            taken = await posters.take(self.db, self.now())
            if taken is None:
                return done
            await self._make(taken)
        return ROUND_MAX

    async def _make(self, taken: Taken) -> None:
        started = time.perf_counter()
        made = await posters.known(self.db, taken.source)
        repeated = made is not None
        result: Made | PictureFault = made or await self._converted(taken.data)
        ended = await posters.finish(self.db, taken, result, self.now())
        if ended and isinstance(result, Made):
            await self.changed(taken.event_id)
        log.info(
            "poster",
            upload=taken.id,
            event_id=taken.event_id,
            result=result.value if isinstance(result, PictureFault) else result.hash,
            repeated=repeated,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )

    async def _converted(self, data: bytes) -> Made | PictureFault:
        async with asyncio.timeout(CONVERT_MAX_S):
            return await asyncio.to_thread(self.convert, data)


def convert(data: bytes) -> Made | PictureFault:
    """The poster in all its sizes, or why there is none. CPU-bound: for a thread."""
    found = look(data)
    if isinstance(found, PictureFault):
        return found
    try:
        return _made(data, found)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PictureFault.large
    except Exception as error:  # a decoder given hostile bytes may raise anything: the picture is broken, we are not
        log.warning("picture_broken", error=f"{type(error).__name__}: {str(error)[:200]}")
        return PictureFault.broken


def _made(data: bytes, found: Picture) -> Made | PictureFault:
    large_box, thumb_box = SIZES["large"], SIZES["thumb"]
    with Image.open(io.BytesIO(data), formats=[found.kind.upper()]) as opened:
        if opened.size != (found.width, found.height) or getattr(opened, "n_frames", 1) != 1:
            return PictureFault.mixed
        side = max(large_box)  # upright or not, it cannot come out larger than this
        opened.draft("RGB", fitted(opened.size, (side, side)))
        opened.thumbnail((side, side), reducing_gap=3.0)
        upright = ImageOps.exif_transpose(opened)
    has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    pixels = upright.convert("RGBA" if has_alpha else "RGB")
    large = pixels.resize(fitted(pixels.size, large_box), Image.Resampling.LANCZOS)
    thumb = pixels.resize(fitted(large.size, thumb_box), Image.Resampling.LANCZOS)
    encoded = _webp(large)
    name = hashlib.sha256(encoded).hexdigest()[:NAME_CHARACTERS]
    return Made(hash=name, width=large.width, height=large.height, large=encoded, thumb=_webp(thumb))


def _webp(image: Image.Image) -> bytes:
    image.info.clear()  # nothing of what stood beside the pixels
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


async def make_posters(ctx: dict[str, Any]) -> int:
    """The arq job, enqueued by an upload and every few seconds. `ctx["posters"]` is made when the worker starts."""
    maker: PosterMaker = ctx["posters"]
    return await maker.round()


async def prune_posters(ctx: dict[str, Any]) -> int:
    """The arq job of every minute."""
    maker: PosterMaker = ctx["posters"]
    return await posters.prune(maker.db, maker.now())

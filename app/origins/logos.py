"""A site's logo, from the picture that an admin sends: checked by its bytes, made small, and drawn anew as WebP.

No markup is taken (SVG), and no address: a picture fetched from elsewhere would tell others who waits. A decoder has no
place in a process that answers buyers, so workers/logos.py draws it, as a program of its own that ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import msgspec
import structlog

from app.domain.pictures import PictureFault

SENT_BYTES_MAX = 524_288
DRAW_MAX_S = 20.0
AT_ONCE = asyncio.Semaphore(1)  # an admin waits for another one
COMMAND = (sys.executable, "-P", "-m", "workers.logos")
ERROR_CHARS_MAX = 300

log = structlog.get_logger()


class MadeLogo(msgspec.Struct, frozen=True, kw_only=True, tag="made"):
    """`name` is its content's."""

    name: str
    width: int
    height: int
    data: bytes


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    fault: PictureFault


_decoder = msgspec.msgpack.Decoder(MadeLogo | Refused)


async def logo_of(data: bytes) -> MadeLogo | PictureFault:
    """The logo, or why there is none."""
    async with AT_ONCE:
        drawing = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
        )
        try:
            async with asyncio.timeout(DRAW_MAX_S):
                told, errors = await drawing.communicate(data)
        except TimeoutError:
            told, errors = b"", b"it took too long"
        finally:
            if drawing.returncode is None:
                drawing.kill()
                await drawing.wait()
    if errors:
        log.warning("picture_broken", error=errors.decode(errors="replace")[-ERROR_CHARS_MAX:])
    if drawing.returncode != 0:
        return PictureFault.broken
    made = _decoder.decode(told)
    return made.fault if isinstance(made, Refused) else made

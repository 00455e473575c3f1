"""Our styles and scripts, read once at start and served from memory under a path that names their content.

`/static/<digest>/…` may be cached for ever, because a change of any file changes the digest; scripts import each
other by relative path and so stay inside it. No build step.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.shop.seat_map import PACKED_FROM_BYTES, takes_gzip

ROOT = Path(__file__).parent.parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"  # a page of another version asked: its digest is not of these files


@dataclass(frozen=True, slots=True)
class StaticFile:
    body: bytes
    packed: bytes
    media_type: str


def _read(root: Path) -> dict[str, StaticFile]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            found[path.relative_to(root).as_posix()] = StaticFile(body, gzip.compress(body, mtime=0), media_type)
    return found


FILES = _read(ROOT)
DIGEST = hashlib.sha256(b"\0".join(f"{name}\0".encode() + file.body for name, file in FILES.items())).hexdigest()[:12]
STATIC_URL = f"/static/{DIGEST}"


async def static_file(request: Request[Any]) -> Response:
    """One file, packed if the browser takes it and it is worth it."""
    file = FILES.get(request.path_params["path"])
    if file is None:
        return Response(status_code=404)
    fresh = request.path_params["digest"] == DIGEST
    headers = {
        "Cache-Control": FOR_EVER if fresh else BRIEFLY,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if len(file.body) >= PACKED_FROM_BYTES and takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.body, media_type=file.media_type, headers=headers)


routes = [Route("/static/{digest}/{path:path}", static_file)]

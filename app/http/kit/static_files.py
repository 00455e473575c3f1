"""Our styles and scripts, read once at start and served from memory under a path that names their content.

`/static/<digest>/…` may be cached for ever, because a change of any file changes the digest. The files of all
capabilities share one `js/` and one `css/` there: app/http/line/js/wait.js is `/static/<digest>/js/wait.js` and imports
`./page.js` of the kit. No build step.
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

from app.http.kit.compression import PACKED_FROM_BYTES, takes_gzip

HTTP = Path(__file__).parent.parent
KINDS = ("*/js/*.js", "*/css/*.css", "*/icon.svg")
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"  # a page of another version asked: its digest is not of these files


@dataclass(frozen=True, slots=True)
class StaticFile:
    body: bytes
    packed: bytes
    media_type: str


def read_files(root: Path) -> dict[str, StaticFile]:
    """Every capability's files by their path below it. Raises ValueError where two have the same."""
    found: dict[str, StaticFile] = {}
    for path in sorted(path for kind in KINDS for path in root.glob(kind)):
        name = "/".join(path.relative_to(root).parts[1:])
        if name in found:
            raise ValueError(f"two capabilities have a file {name}, which would have one address")
        body = path.read_bytes()
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[name] = StaticFile(body, gzip.compress(body, mtime=0), media_type)
    return found


FILES = read_files(HTTP)
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

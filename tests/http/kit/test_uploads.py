"""An upload that does not say how large it is, or lies, is read no further than its limit."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from app.http.kit.problems import Problem
from app.http.kit.uploads import FORM_BYTES_EXTRA, read_upload

CHUNK = 65_536
HEAD = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


class Endless:
    """A client that sends for ever."""

    def __init__(self) -> None:
        self.sent = 0

    async def receive(self) -> dict[str, Any]:
        body = HEAD if not self.sent else b"x" * CHUNK
        self.sent += len(body)
        return {"type": "http.request", "body": body, "more_body": True}

    def request(self, media: bytes) -> Request[Any]:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(b"content-type", media)],
        }
        return Request(scope, self.receive)


@pytest.mark.parametrize("media", [b"multipart/form-data; boundary=x", b"text/csv"])
async def test_no_more_is_read_than_may_be_kept(media: bytes) -> None:
    client = Endless()
    with pytest.raises(Problem) as refused:
        await read_upload(client.request(media), 100_000, frozenset({"text/csv"}))
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")
    assert client.sent <= 100_000 + FORM_BYTES_EXTRA + 2 * CHUNK


async def test_what_says_it_is_too_large_is_not_read_at_all() -> None:
    client = Endless()
    request = client.request(b"text/csv")
    request.scope["headers"].append((b"content-length", b"99999999999"))
    with pytest.raises(Problem):
        await read_upload(request, 100_000, frozenset({"text/csv"}))
    assert client.sent == 0

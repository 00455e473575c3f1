"""Pages on the wire: packed for browsers that can unpack them, plain for everybody else."""

from __future__ import annotations

import gzip

import pytest

from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_page_is_packed_for_a_browser_that_unpacks_it(system: System) -> None:
    async with system.web.client() as client:
        for path in ("/", "/events/direct", "/events/direct/seats", "/events/nowhere", "/login"):
            sizes = []
            for accepted, is_packed in (("gzip, deflate, br", True), ("gzip;q=0", False), ("identity", False)):
                asked = client.build_request("GET", path, headers={"accept-encoding": accepted})
                answer = await client.send(asked, stream=True)
                raw = b"".join([part async for part in answer.aiter_raw()])
                await answer.aclose()
                assert (answer.headers.get("content-encoding") == "gzip") is is_packed, path
                assert "accept-encoding" in answer.headers["vary"].lower()
                assert len(raw) == int(answer.headers["content-length"])
                text = gzip.decompress(raw) if is_packed else raw
                assert text.startswith(b"<!doctype html>")
                assert text.endswith(b"</html>")
                sizes.append(len(raw))
            assert sizes[0] < sizes[1], path

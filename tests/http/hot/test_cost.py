"""What keeps a poll cheap, as far as it can be seen without measuring time; `make bench` measures it."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

from app.http.hot import fast
from tests.http.hot.test_fast import connection, holder_of, one_answer, request, ticket_of
from tests.http.system import System

SHARED_MAX = 30  # attributes of an instance beside its slots: CPython shares and specializes no more


def test_no_code_reads_a_header_that_the_fast_path_leaves_out() -> None:
    """But the check, which reads a request of its own, and the waiting page, which never comes this way."""
    others = [path for path in Path("app").rglob("*.py") if path.parts[:3] != ("app", "http", "origins")]
    others.remove(Path("app/http/line/in_app.py"))
    sources = [path.read_bytes() for path in others]
    names = {name for source in sources for name in re.findall(rb'\bb"([a-z][a-z0-9-]*)"', source)}
    assert {b"cookie", b"x-queue-ticket", b"authorization", b"sec-fetch-site", b"x-challenge-solution"} <= names
    assert [name for name in names if not fast.HEADER.findall(b"\r\n" + name + b": x")] == []
    assert not fast.HEADER.findall(b"\r\nAccept-Language: ko\r\nUSER-AGENT: x\r\nsec-ch-ua: y\r\nSec-Fetch-Mode: cors")


@pytest.mark.asyncio(loop_scope="module")
async def test_polls_set_nothing_on_a_class_and_a_connection_has_few_attributes(system: System, event_id: str) -> None:
    holder = holder_of(system)
    asked = request(
        "GET", f"/api/queue/{event_id}/position", f"X-Queue-Ticket: {await ticket_of(system, event_id, holder)}"
    )
    async with connection(system.web) as (reader, writer):
        seen = []
        for _ in range(2):
            writer.write(asked)
            assert b'"number"' in await one_answer(reader)
            seen.append(dict(vars(fast.FastProtocol)))
        assert seen[0] == seen[1]
        ours = [each for each in system.web.server.server_state.connections if isinstance(each, fast.FastProtocol)]
        assert ours
        assert all(len(vars(each)) <= SHARED_MAX for each in ours)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_join_leaves_nothing_for_the_collector(system: System, event_id: str) -> None:
    gc.disable()
    try:
        async with connection(system.web) as (reader, writer):
            for _ in range(20):
                writer.write(request("POST", f"/api/queue/{event_id}/join"))
                assert b'"ticket"' in await one_answer(reader)
            assert sum(type(each).__name__ == "_Answering" for each in gc.get_objects()) <= 1  # the last one
    finally:
        gc.enable()

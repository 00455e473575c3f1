"""One id for what one request does: in its answer, in its lines of the log, in its refusal."""

from __future__ import annotations

import re

import httpx2
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app import request_id
from app.fetching import BoundedTransport, fetch_json
from app.http.events import page
from app.http.hot.front import HOT
from tests.http.buyer import assert_problem
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"
AN_ID = re.compile("[0-9a-f]{32}")


async def test_the_answer_the_log_and_the_refusal_have_the_id_that_was_given(system: System) -> None:
    async with system.web.client(headers={"traceparent": GIVEN}) as client:
        with capture_logs(processors=[merge_contextvars]) as logged:
            refused = await client.get("/api/events/none")
    assert refused.headers["x-request-id"] == TRACE
    assert assert_problem(refused, 404, "event_unknown")["requestId"] == TRACE
    assert [each["request"] for each in logged if each["event"] == "request"] == [TRACE]


async def test_each_request_of_a_connection_has_an_id_of_its_own(system: System) -> None:
    async with system.web.client() as client:
        found = [(await client.get("/api/events")).headers["x-request-id"] for _ in range(3)]
    assert len(set(found)) == 3
    assert all(AN_ID.fullmatch(each) for each in found)


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", f"00-{TRACE}-00f067aa0ba902b7")],
        [("traceparent", f"00-{TRACE.upper()}-00f067aa0ba902b7-01")],
        [("traceparent", f"00-{'0' * 32}-00f067aa0ba902b7-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", f"ff-{TRACE}-00f067aa0ba902b7-01")],
        [("traceparent", f"{GIVEN}-more")],
        [("traceparent", f"01{GIVEN[2:]}-{'x' * 10_000}")],
        [("traceparent", GIVEN), ("traceparent", GIVEN)],
        [("traceparent", "<script>")],
    ],
)
async def test_what_is_no_traceparent_is_replaced(system: System, headers: list[tuple[str, str]]) -> None:
    async with system.web.client() as client:
        told = (await client.get("/api/events", headers=headers)).headers["x-request-id"]
    assert AN_ID.fullmatch(told)
    assert told != TRACE


async def test_a_later_version_is_understood_as_the_first(system: System) -> None:
    async with system.web.client(headers={"traceparent": f"01{GIVEN[2:]}-more"}) as client:
        assert (await client.get("/api/events")).headers["x-request-id"] == TRACE


async def test_a_page_that_fails_tells_people_the_id(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(page, "cached_list", crash)
    async with system.web.client(headers={"traceparent": GIVEN, "accept": "text/html"}) as client:
        with capture_logs(processors=[merge_contextvars]) as logged:
            failed = await client.get("/")
    assert (failed.status_code, TRACE in failed.text) == (500, True)
    assert [each["request"] for each in logged if each["event"] == "request_crashed"] == [TRACE]


async def test_the_hot_answers_have_none(system: System, event_id: str) -> None:
    """They are answered before anything is made for a request, and one in a thousand is logged."""
    async with system.web.client(headers={"traceparent": GIVEN}) as client:
        for path in HOT:
            answer = await client.request("POST" if path == "/join" else "GET", f"/api/queue/{event_id}{path}")
            assert "x-request-id" not in answer.headers


async def test_what_is_passed_on_has_the_id_and_the_flags_and_a_span_of_its_own() -> None:
    assert request_id.passed_on() == {}
    request_id.begin([(b"traceparent", GIVEN.encode())])
    first, second = request_id.passed_on()["traceparent"], request_id.passed_on()["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", first)
    assert len({first, second, GIVEN}) == 3


async def test_other_servers_are_asked_under_the_id_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx2.Request] = []

    async def answer(_: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", answer)
    request_id.begin([(b"traceparent", GIVEN.encode())])
    async with httpx2.AsyncClient(transport=BoundedTransport()) as client:
        assert await fetch_json(client, "https://login.example/keys") == {}
    assert asked[0].headers["traceparent"].split("-")[1] == TRACE

"""A CAPTCHA instead of work: asked of its verifier, good once, and work while that one is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio

from app.door.captcha import OF_ONE_MAX, TOKEN_CHARS_MAX, Captcha, Verdict
from tests.http.system import System, Web

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"trusted_proxies": "127.0.0.1"}
SECRET = "verifier-knows-this"
SCRIPT = "https://captcha.example/api.js?render=explicit https://frames.example"
HOME = {"x-forwarded-for": "203.0.113.7"}


class Verifier:
    """A server of the siteverify protocol. Tokens that begin with `good` are."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.answer: bytes | None = None  # for everything, if it is broken

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        form = parse_qs((await reader.readexactly(length)).decode())
        self.asked.append(form)
        good = form["secret"] == [SECRET] and form["response"][0].startswith("good")
        body = self.answer or (b'{"success": %s}' % (b"true" if good else b"false"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("captcha") / "secret"
    file.write_text(f"{SECRET}\n")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(system: System, verifier: Verifier, secret: Path) -> AsyncIterator[Web]:
    server = await asyncio.start_server(verifier.serve, "127.0.0.1", 0)
    async with server:
        yield await system.another_web(
            captcha_verify_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/siteverify",
            captcha_site_key="for-pages",
            captcha_secret_file=secret,
            captcha_script_url=SCRIPT,
        )


@pytest_asyncio.fixture(loop_scope="module")
async def asking(system: System, web: Web, event_id: str) -> str:
    """An event whose line asks everybody."""
    await system.change(event_id, door="challenge")
    await web.state["rooms"].reload(event_id)
    return event_id


async def join(web: Web, event_id: str, token: str = "") -> httpx2.Response:
    headers = {**HOME, **({"x-captcha-token": token} if token else {})}
    async with web.client(headers=headers) as client:
        return await client.post(f"/api/queue/{event_id}/join")


async def test_a_person_gets_a_place_for_a_token_that_is_good_once(web: Web, asking: str, verifier: Verifier) -> None:
    asked = (await join(web, asking)).json()
    assert asked["code"] == "challenge_required"
    assert asked["captcha"] == {"siteKey": "for-pages", "scriptUrl": SCRIPT.split()[0]}
    assert "challenge" not in asked
    assert (await join(web, asking, "good-1")).status_code == 201
    assert verifier.asked[-1] == {"secret": [SECRET], "response": ["good-1"], "remoteip": ["203.0.113.7"]}
    assert (await join(web, asking, "good-1")).json()["code"] == "solution_spent"


@pytest.mark.parametrize("token", ["bad", "x" * (TOKEN_CHARS_MAX + 1)])
async def test_a_token_that_is_not_good_is_refused(web: Web, asking: str, token: str) -> None:
    answer = await join(web, asking, token)
    assert (answer.status_code, answer.json()["code"]) == (422, "captcha_refused")


async def test_only_pages_that_join_may_load_it(web: Web, asking: str) -> None:
    async with web.client() as client:
        policy = (await client.get(f"/events/{asking}")).headers["content-security-policy"]
        assert "script-src 'self' https://captcha.example https://frames.example;" in policy
        assert "frame-src https://captcha.example https://frames.example;" in policy
        assert "captcha.example" not in (await client.get("/login")).headers["content-security-policy"]


async def test_without_one_no_page_may_load_anything_else(system: System, event_id: str) -> None:
    async with system.web.client() as client:
        policy = (await client.get(f"/events/{event_id}")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-src" not in policy


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"success": "yes'])
async def test_while_it_does_not_answer_work_is_asked_for(
    web: Web, asking: str, verifier: Verifier, answer: bytes
) -> None:
    captcha = web.state["entrance"].captcha
    assert captcha is not None
    verifier.answer = answer
    asked = (await join(web, asking, "good-2")).json()
    verifier.answer, captcha.away_until_s = None, 0.0
    assert asked["code"] == "challenge_required"
    assert "captcha" not in asked
    assert asked["challenge"]["parameters"]["algorithm"] == "PBKDF2/SHA-256"


async def test_one_that_cannot_be_reached_is_left_alone_for_a_while() -> None:
    now_s = [100.0]
    captcha = Captcha("http://127.0.0.1:1/siteverify", "key", SECRET, SCRIPT, lambda: now_s[0])
    assert await captcha.check("good", "") is Verdict.away
    assert captcha.away_until_s > now_s[0]
    now_s[0] = captcha.away_until_s
    assert captcha.is_up
    await captcha.close()


async def test_a_script_that_sends_tokens_leaves_room_for_others() -> None:
    go = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{"success": true}')
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/siteverify"
        captcha = Captcha(url, "key", SECRET, SCRIPT, lambda: 0.0)
        script = [asyncio.create_task(captcha.check(f"t{each}", f"2001:db8::{each}")) for each in range(OF_ONE_MAX)]
        await asyncio.sleep(0)
        assert await captcha.check("one more", "2001:db8::ffff") is Verdict.busy
        other = asyncio.create_task(captcha.check("an honest one", "192.0.2.9"))
        await asyncio.sleep(0)
        go.set()
        assert await other is Verdict.good
        assert set(await asyncio.gather(*script)) == {Verdict.good}
        await captcha.close()

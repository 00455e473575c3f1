"""Posters from the outside: a picture is sent, made by a worker, shown by every process, cached for ever."""

from __future__ import annotations

import io
from typing import Any

import httpx2
import pytest
from PIL import Image

from app.http.events.poster_cache import PosterCache
from tests.http.buyer import assert_problem
from tests.http.system import BUYER, System, Web
from tests.pictures import bomb, moving, picture, text_bomb
from tests.waiting import wait_until

SETTINGS = {"poster_bytes_max": 400_000}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def client(system: System, web: Web | None = None) -> httpx2.AsyncClient:
    return (web or system.web).client(headers=await system.bearer())


async def sent(admin: httpx2.AsyncClient, event_id: str, data: bytes, media: str = "image/png") -> dict[str, Any]:
    """Send a picture and wait until a worker is done with it."""
    answer = await admin.post(f"/api/admin/events/{event_id}/poster", content=data, headers={"content-type": media})
    assert answer.status_code == 202, answer.text
    url = answer.json()["upload"]["statusUrl"]

    async def ended() -> dict[str, Any] | None:
        upload: dict[str, Any] = (await admin.get(url)).json()["upload"]
        return upload if upload["status"] in ("done", "failed") else None

    return await wait_until(ended, description="a worker ended the upload")


async def test_a_picture_is_shown_by_every_process_in_both_sizes(system: System, event_id: str) -> None:
    other = await system.another_web()
    async with await client(system) as admin, other.client() as buyer:
        before = (await buyer.get(f"/api/events/{event_id}")).json()["event"]
        assert before["poster"] is None
        upload = await sent(admin, event_id, picture("JPEG", (900, 1600)), "image/jpeg")
        assert upload["status"] == "done"

        async def is_told() -> dict[str, Any] | None:
            event: dict[str, Any] = (await buyer.get(f"/api/events/{event_id}")).json()["event"]
            return event["poster"]  # type: ignore[no-any-return]

        poster = await wait_until(is_told, description="the other process tells of the poster")
        assert poster["url"] == f"/posters/{upload['poster']}.webp"
        assert (poster["width"], poster["height"], poster["thumbWidth"], poster["thumbHeight"]) == (900, 1600, 240, 427)
        for name, size in (("url", (900, 1600)), ("thumbUrl", (240, 427))):
            answer = await buyer.get(poster[name])
            assert answer.headers["content-type"] == "image/webp"
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert Image.open(io.BytesIO(answer.content)).size == size
            again = await buyer.get(poster[name], headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        listed = (await buyer.get("/api/events")).json()["events"]
        assert [event["poster"] for event in listed if event["id"] == event_id] == [poster]
        page = (await buyer.get(f"/events/{event_id}")).text
        assert f'src="{poster["url"]}" width="900" height="1600"' in page
        assert f'src="{poster["thumbUrl"]}" width="240" height="427"' in (await buyer.get("/")).text


async def test_a_form_may_carry_the_picture_and_its_name_is_never_used(system: System, event_id: str) -> None:
    async with await client(system) as admin:
        files = {"file": ('../../../etc/passwd"><script>.png', picture(seed=3), "text/html")}
        answer = await admin.post(f"/api/admin/events/{event_id}/poster", files=files)
        assert answer.status_code == 202
        assert "passwd" not in answer.text


async def test_a_poster_is_taken_away(system: System, event_id: str) -> None:
    async with await client(system) as admin:
        await sent(admin, event_id, picture(seed=4))
        assert (await admin.delete(f"/api/admin/events/{event_id}/poster")).status_code == 200
        assert (await admin.get(f"/api/events/{event_id}")).json()["event"]["poster"] is None
        assert_problem(await admin.delete("/api/admin/events/nowhere/poster"), 404, "event_unknown")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "kind"),
        (b"%PDF-1.7", "kind"),
        (b"", "kind"),
        (moving("PNG"), "animated"),
        (moving("WEBP"), "animated"),
        (picture() + b"PK\x03\x04", "mixed"),
        (bomb(), "large"),
        (picture(size=(10, 10)), "small"),
        (picture()[:500], "broken"),
    ],
)
async def test_what_is_no_picture_is_refused_at_once(system: System, data: bytes, reason: str) -> None:
    async with await client(system) as admin:
        url = "/api/admin/events/direct/poster"
        answer = await admin.post(url, content=data, headers={"content-type": "image/png"})
        assert assert_problem(answer, 422, "picture_refused")["reason"] == reason
        assert (await admin.get("/api/events/direct")).json()["event"]["poster"] is None


async def test_what_only_decoding_can_tell_fails_with_its_reason(system: System, event_id: str) -> None:
    async with await client(system) as admin:
        hollow = await sent(admin, event_id, bomb(4_000, 4_000))
        assert (hollow["status"], hollow["reason"], hollow["poster"]) == ("failed", "broken", None)
        assert hollow["detail"].endswith(".")
        assert (await sent(admin, event_id, text_bomb()))["status"] == "failed"


async def test_size_type_and_packing_are_refused(system: System, event_id: str) -> None:
    async with await client(system) as admin:
        url = f"/api/admin/events/{event_id}/poster"
        large = await admin.post(url, content=b"x" * 400_001, headers={"content-type": "image/png"})
        assert_problem(large, 413, "body_too_large")
        svg = await admin.post(url, content=b"<svg/>", headers={"content-type": "image/svg+xml"})
        assert_problem(svg, 415, "media_type_unsupported")
        headers = {"content-type": "image/png", "content-encoding": "br"}
        assert_problem(await admin.post(url, content=picture(), headers=headers), 415, "encoding_unsupported")
        nowhere = await admin.post(
            "/api/admin/events/nowhere/poster", content=picture(), headers={"content-type": "image/png"}
        )
        assert_problem(nowhere, 404, "event_unknown")
        assert_problem(await admin.get("/api/admin/uploads/u_none"), 404, "upload_unknown")


async def test_only_admins_send_and_take_away(system: System, event_id: str) -> None:
    buyers = await system.bearer(BUYER)
    async with system.web.client() as nobody:
        for method, url in (
            ("POST", f"/api/admin/events/{event_id}/poster"),
            ("DELETE", f"/api/admin/events/{event_id}/poster"),
            ("GET", "/api/admin/uploads/u_x"),
        ):
            assert_problem(await nobody.request(method, url), 401, "login_required")
            assert_problem(await nobody.request(method, url, headers=buyers), 403, "admin_only")


@pytest.mark.parametrize(
    "name", ["x.webp", "../settings.py", "%2e%2e%2fetc%2fpasswd", "0" * 32, "0" * 32 + ".webp", "0" * 32 + "-thumb.png"]
)
async def test_only_names_of_posters_are_answered(system: System, name: str) -> None:
    async with system.web.client() as anyone:
        answer = await anyone.get(f"/posters/{name}")
        assert answer.status_code == 404


async def test_the_cache_keeps_a_bounded_number_of_bytes() -> None:
    """The poster not asked for longest makes room; one that does not exist takes none."""
    loads: list[str] = []

    async def load(name: str, thumb: bool) -> bytes | None:
        loads.append(name)
        return None if name == "none" else b"x" * (200 if name == "huge" else 40)

    cache = PosterCache(load, bytes_max=100)
    for name in ("a", "b", "a", "c", "a", "b", "none", "none", "huge"):
        await cache.get(name, False)
        assert cache.bytes_kept <= 100
    assert loads == ["a", "b", "c", "b", "none", "none", "huge"]

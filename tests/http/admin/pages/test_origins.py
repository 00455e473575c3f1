"""An admin makes a site and its rooms on pages: secrets are shown once, and rules are tried before they are saved."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from tests.http.forms import send
from tests.http.origins.site import asked, make_site
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SITE = {"name": "A <b>site</b>", "hosts": "a.example\nb.example", "target_url": "https://a.example/"}
ROOM = {
    "id": "page-room",
    "name": "Sale",
    "mode": "standby",
    "opening": "draw",
    "door": "open",
    "rate": "2.5",
    "burst": "5",
    "max_active": "9",
    "lobby": "0",
    "pass_s": "300",
    "pass_algorithm": "EdDSA",
    "do": "save",
    "rules": '[{"action": "pass", "path": "/about"}]',
}


@pytest_asyncio.fixture(loop_scope="module")
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with system.web.client(headers={"accept-language": "en", **await system.bearer()}) as client:
        yield client


def shown(text: str, part: str) -> str:
    found = re.search(rf'<pre[^>]* id="{part}"[^>]*>([^<]*)</pre>', text)
    assert found, part
    return html.unescape(found[1])


async def test_a_site_is_made_and_its_secret_is_on_that_page_only(system: System, admin: httpx2.AsyncClient) -> None:
    made = await send(admin, "/admin/origins/new", "/admin/origins", {**SITE, "id": "page-site"})
    assert made.status_code == 200
    secret, key = shown(made.text, "secret"), shown(made.text, "key")
    assert (len(secret), len(key)) == (72, 64)
    assert "A &lt;b&gt;site" in made.text
    again = (await admin.get("/admin/origins/page-site")).text
    assert not {secret, key} & {again, (await admin.get("/admin/origins")).text}
    assert secret not in again
    rotated = await send(admin, "/admin/origins/page-site", "/admin/origins/page-site/rotate", {})
    assert shown(rotated.text, "secret") != secret
    known = system.state["origins"].origins["page-site"]
    assert known.hosts == {"a.example", "b.example"}


async def test_what_was_typed_stays_after_a_mistake_which_is_named(admin: httpx2.AsyncClient) -> None:
    for wrong, words in (
        ({"id": "Upper"}, "Id: Small letters, digits and hyphens"),
        ({"name": " "}, "Name: This must be filled in."),
        ({"target_url": "https://evil.example/"}, "Where visitors go: This is not an address at one of"),
        ({"customer_id": "a-b"}, "Name in connectors: "),
    ):
        answer = await send(admin, "/admin/origins/new", "/admin/origins", {**SITE, "id": "mistaken", **wrong})
        assert answer.status_code == 422
        assert words in html.unescape(answer.text)
        assert 'aria-invalid="true"' in answer.text
        assert "b.example" in answer.text


async def test_a_site_is_changed_from_the_version_that_was_shown_and_deleted_without_rooms(
    system: System, admin: httpx2.AsyncClient
) -> None:
    made = await make_site(system)
    page = f"/admin/origins/{made.origin_id}"
    hosts = "shop.example\nhttp://localhost:3000"
    fields = {"name": "Other", "hosts": hosts, "target_url": "https://shop.example/", "version": "1"}
    assert (await send(admin, page, page, fields)).status_code == 303
    assert system.state["origins"].origins[made.origin_id].name == "Other"
    assert (await send(admin, page, page, fields)).status_code == 409
    kept = await send(admin, page, f"{page}/delete", {})
    assert (kept.status_code, "Delete its rooms first." in kept.text) == (409, True)
    await asked(system, "DELETE", f"/rooms/{made.room_id}")
    assert (await send(admin, page, f"{page}/delete", {})).headers["location"] == "/admin/origins"
    assert (await admin.get(page)).status_code == 404


async def test_a_site_s_page_has_its_rooms_and_what_goes_into_its_proxy(
    system: System, admin: httpx2.AsyncClient
) -> None:
    made = await make_site(system)
    page = f"/admin/origins/{made.origin_id}"
    text = (await admin.get(f"{page}?upstream=http://10.0.0.7:8080&fail=open")).text
    answer = await asked(system, "GET", f"/origins/{made.origin_id}/integration?upstream=http://10.0.0.7:8080")
    wanted = {each["name"]: each["text"] for each in answer.json()["snippets"] if each["fail"] in (None, "open")}
    assert {name: shown(text, f"snippet-{name}") for name in wanted} == wanted
    assert f'href="/admin/origins/{made.origin_id}/rooms/{made.room_id}"' in text
    assert (await admin.get(f"{page}?upstream=http://a;b")).status_code == 422
    assert (await admin.get(f"{page}?room=nobody")).status_code == 404


async def test_rules_are_tried_on_addresses_before_they_are_saved(system: System, admin: httpx2.AsyncClient) -> None:
    made = await make_site(system)
    page, samples = f"/admin/origins/{made.origin_id}/rooms/{made.room_id}", "https://shop.example/about\nPOST /cart"
    rules = '[{"action": "refuse", "method": "POST"}, {"action": "pass", "path": "/about"}]'
    tried = await send(admin, page, page, {**ROOM, "rules": rules, "samples": samples, "do": "try"})
    rows = re.findall(
        r'<th scope="row" class="code">([^<]*)</th><td>([^<]*)</td><td class="number">([^<]*)', tried.text
    )
    assert rows == [("https://shop.example/about", "goes on", "2"), ("POST /cart", "is refused", "1")]
    assert system.state["origins"].rooms[made.room_id].rules.objects == []
    preset = await send(admin, page, page, {**ROOM, "rules": "[]", "preset": "plain", "samples": "/", "do": "try"})
    assert "/.well-known/acme-challenge" in html.unescape(preset.text)
    wrong = await send(admin, page, page, {**ROOM, "rules": '[{"action": "wave"}]', "do": "try"})
    assert (wrong.status_code, "rules[0].action" in wrong.text) == (422, True)


async def test_a_room_is_made_changed_and_deleted(system: System, admin: httpx2.AsyncClient) -> None:
    made = await make_site(system)
    new = f"/admin/origins/{made.origin_id}/rooms"
    answer = await send(admin, f"{new}/new", new, ROOM)
    assert answer.headers["location"] == f"{new}/page-room?done=made", answer.text
    room = (await asked(system, "GET", "/rooms/page-room")).json()["room"]
    assert (room["mode"], room["ratePerSecond"], room["passSeconds"]) == ("standby", 2.5, 300)
    opened = room["opensAt"].removesuffix("Z")
    fields = {**ROOM, "opens": opened, "version": str(room["version"]), "name": "Other"}
    assert (await send(admin, f"{new}/page-room", f"{new}/page-room", fields)).status_code == 303
    after = (await asked(system, "GET", "/rooms/page-room")).json()["room"]
    assert (after["name"], after["opensAt"]) == ("Other", room["opensAt"])
    bad = await send(admin, f"{new}/page-room", f"{new}/page-room", {**fields, "rate": "0"})
    assert (bad.status_code, "People per second: 0.1 is the least." in bad.text) == (422, True)
    live = await admin.get("/admin/events/page-room")
    assert (live.status_code, 'data-door="accounts"' in live.text) == (200, False)
    assert "Other" in (await admin.get("/admin")).text
    assert (
        (await send(admin, f"{new}/page-room", f"{new}/page-room/delete", {})).headers["location"].endswith("page-room")
    )
    assert (await send(admin, f"{new}/page-room", f"{new}/page-room/delete", {"sure": "yes"})).status_code == 303
    assert (await admin.get(f"{new}/page-room")).status_code == 404


async def test_a_room_has_no_page_under_another_site(system: System, admin: httpx2.AsyncClient) -> None:
    made, other = await make_site(system), await make_site(system)
    assert (await admin.get(f"/admin/origins/{other.origin_id}/rooms/{made.room_id}")).status_code == 404

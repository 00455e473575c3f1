"""A proxy asks whether a request may go on: with a pass of the room it may, else the visitor is sent to wait."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from app.http.state import State
from app.origins.check import TOKENS_MAX
from tests.http.buyer import assert_problem, buyer
from tests.http.origins.site import HOST, SECRETIVE, TARGET, check, let_in, make_site
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = SECRETIVE
SCRIPT = {"sec-fetch-mode": "cors", "accept": "*/*"}


def wait_url(system: System, room_id: str, target: str | None) -> str:
    return f"{system.settings.buyers_url}/wait/{room_id}" + (f"?t={quote(target, safe='')}" if target else "")


async def test_a_page_without_a_pass_is_sent_to_wait_and_knows_the_way_back(system: System) -> None:
    site = await make_site(system)
    answer = await check(system, site.room_id, "/sale?size=%20M&x=1")
    assert answer.status_code == 302
    assert answer.headers["location"] == wait_url(system, site.room_id, f"https://{HOST}/sale?size=%20M&x=1")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("carried", ["cookie", "host cookie", "header"])
async def test_a_pass_lets_on_and_tells_the_site_whose_it_is(system: System, carried: str) -> None:
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    name = f"tiketi_pass_{site.room_id}"
    shown = {
        "cookie": {"cookie": f"a=b; {name}={token}; c=d"},
        "host cookie": {"cookie": f"__Host-{name}={token}"},
        "header": {"x-admission-pass": token},
    }
    answer = await check(system, site.room_id, headers={**shown[carried], "x-tiketi-subject": "forged"})
    assert answer.status_code == 200
    read: Any = system.state["passes"].read(token, site.room_id)
    told = {key: value for key, value in answer.headers.items() if key.startswith("x-tiketi-")}
    assert told == {
        "x-tiketi-subject": read.holder,
        "x-tiketi-room": site.room_id,
        "x-tiketi-number": "1",
        "x-tiketi-until": str(read.expires_s),
    }
    assert "set-cookie" not in answer.headers


def stop_clock(monkeypatch: pytest.MonkeyPatch, *states: State) -> None:
    """Else a cookie's Max-Age is another one in the next second."""
    now_s = states[0]["clock"].seconds()
    for state in states:
        monkeypatch.setattr(state["clock"], "seconds", lambda: now_s)


async def test_a_pass_in_the_address_moves_to_a_cookie_and_the_address_is_cleaned(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    stop_clock(monkeypatch, system.state)
    answer = await check(system, site.room_id, f"/sale?a=1&tiketi_pass={token}&b=2")
    assert (answer.status_code, answer.headers["location"]) == (302, f"https://{HOST}/sale?a=1&b=2")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"tiketi_pass_{site.room_id}={token}; Max-Age=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    told = await check(system, site.room_id, f"/sale?tiketi_pass={token}", query="?deny=401")
    assert (told.status_code, told.headers["x-tiketi-redirect"]) == (401, f"https://{HOST}/sale")
    assert told.headers["set-cookie"] == cookie
    script = await check(system, site.room_id, f"/api?tiketi_pass={token}", SCRIPT)
    assert (script.status_code, script.headers["set-cookie"]) == (200, cookie)
    form = await check(system, site.room_id, f"/api?tiketi_pass={token}", {"x-forwarded-method": "POST"})
    assert (form.status_code, form.headers["set-cookie"]) == (200, cookie)
    plain = await check(system, site.room_id, f"/?tiketi_pass={token}", {"x-forwarded-proto": "http"}, query="?a=b")
    assert not plain.headers["set-cookie"].endswith("Secure"), "a browser would not keep it"


@pytest.mark.parametrize("headers", [SCRIPT, {"accept": "application/json", "sec-fetch-mode": ""}])
async def test_a_script_is_told_why_and_where_to_go(system: System, headers: dict[str, str]) -> None:
    site = await make_site(system)
    answer = await check(system, site.room_id, headers=headers)
    body = assert_problem(answer, 401, "pass_missing")
    where = wait_url(system, site.room_id, TARGET)
    assert (body["room"], body["waitUrl"], answer.headers["x-tiketi-redirect"]) == (site.room_id, where, where)
    assert body["retryAfterMs"] > 0
    page = await check(system, site.room_id, query="?deny=401")
    assert_problem(page, 401, "pass_missing")
    assert page.headers["x-tiketi-redirect"] == where


async def test_a_pass_of_another_room_opens_nothing_and_neither_does_a_forged_one(system: System) -> None:
    ours, theirs = await make_site(system), await make_site(system)
    token = await let_in(system, theirs.room_id)
    admin = (await system.bearer())["authorization"].removeprefix("Bearer ")
    for shown in (token, "nonsense", "A" * 10_000, admin, token[:-3] + "AAA"):
        headers = {**SCRIPT, "x-admission-pass": shown}
        assert_problem(await check(system, ours.room_id, headers=headers), 401, "pass_foreign")
    carried = {**SCRIPT, "cookie": f"tiketi_pass_{ours.room_id}={token}"}
    assert_problem(await check(system, ours.room_id, headers=carried), 401, "pass_foreign")


async def test_a_good_pass_in_a_cookie_counts_beside_a_bad_one_in_the_address(system: System) -> None:
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    carried = {"cookie": f"tiketi_pass_{site.room_id}={token}"}
    answer = await check(system, site.room_id, "/sale?tiketi_pass=old", carried)
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    assert "set-cookie" not in answer.headers


async def test_few_passes_of_one_request_are_looked_at(system: System) -> None:
    """Each that is forged costs a signature, and a request has room for hundreds."""
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    forged = f"{token[:-4]}AAAA"
    statuses = []
    async with system.web.client() as client:
        for before in (TOKENS_MAX - 1, TOKENS_MAX):
            shown = [*[("x-admission-pass", forged)] * before, ("x-admission-pass", token)]
            statuses.append((await client.get(f"/check/{site.room_id}", headers=shown)).status_code)
    assert statuses == [200, 302]


async def test_who_is_no_trusted_proxy_is_not_believed(system: System) -> None:
    """What a client says of itself never decides where it is sent; its pass counts all the same."""
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    web = await system.another_web(trusted_proxies="10.0.0.1")
    told = await check(system, site.room_id, f"/sale?tiketi_pass={token}", web=web)
    assert told.headers["location"] == f"{web.state['settings'].buyers_url}/wait/{site.room_id}"
    spoofed = await check(system, site.room_id, headers={"x-forwarded-for": "10.0.0.1"}, web=web)
    assert spoofed.headers["location"] == told.headers["location"]
    assert (await check(system, site.room_id, headers={"x-admission-pass": token}, web=web)).status_code == 200


async def test_the_proxy_is_who_connected_and_not_whom_it_speaks_for(system: System) -> None:
    site = await make_site(system)
    answer = await check(system, site.room_id, headers={"x-forwarded-for": "198.51.100.7"})
    assert answer.headers["location"] == wait_url(system, site.room_id, TARGET)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-host": f"evil.example, {HOST}"},
        {"x-forwarded-host": f"{HOST}@evil.example"},
        {"x-forwarded-uri": "//evil.example/"},
        {"x-forwarded-uri": "@evil.example/"},
        {"x-forwarded-uri": "/\\evil.example"},
        {"x-forwarded-uri": "/" + "a" * 3_000},
        {"x-forwarded-proto": "javascript"},
        {"x-forwarded-proto": "http"},
        {"x-forwarded-uri": "https://evil.example/"},
    ],
)
async def test_nobody_is_sent_to_another_site(system: System, headers: dict[str, str]) -> None:
    site = await make_site(system)
    where = (await check(system, site.room_id, headers=headers)).headers["location"]
    assert where.partition("?")[0] == wait_url(system, site.room_id, None)
    for target in parse_qs(urlsplit(where).query).get("t", []):
        assert urlsplit(target).hostname == HOST
    token = await let_in(system, site.room_id)
    cleaned = await check(
        system,
        site.room_id,
        headers={**headers, "x-forwarded-uri": f"{headers.get('x-forwarded-uri', '/')}?tiketi_pass={token}"},
    )
    assert urlsplit(cleaned.headers.get("location", f"https://{HOST}")).hostname in (HOST, "127.0.0.1")


@pytest.mark.parametrize("behind", ["/sale?deny=401", "/sale", "/"])
async def test_some_proxies_send_the_request_itself_behind_the_address_of_the_check(
    system: System, behind: str
) -> None:
    site = await make_site(system)
    async with system.web.client() as client:
        answer = await client.post(f"/check/{site.room_id}{behind}", headers={"host": HOST}, content=b"x" * 100_000)
    assert answer.status_code == 302
    assert answer.headers["location"] == wait_url(system, site.room_id, f"https://{HOST}{behind}")


@pytest.mark.parametrize("name", ["x-forwarded-uri", "x-original-uri"])
async def test_what_stands_behind_the_address_of_the_check_is_believed_before_a_header(
    system: System, name: str
) -> None:
    """A proxy that sends the request as it is may hand on the headers of the client as well."""
    free = [{"action": "pass", "path": "/free"}, {"action": "pass", "method": "GET", "path": "/read"}]
    site = await make_site(system, rules=free)
    claimed = {"host": HOST, name: "/free", "x-forwarded-method": "GET"}
    async with system.web.client() as client:
        asked = [("POST", "/free"), ("POST", "/sale"), ("GET", "/read"), ("POST", "/read")]
        answers = [await client.request(method, f"/check/{site.room_id}{at}", headers=claimed) for method, at in asked]
    assert [answer.status_code for answer in answers] == [200, 302, 200, 302]


async def test_nginx_tells_the_address_alone(system: System) -> None:
    site = await make_site(system)
    async with system.web.client() as client:
        headers = {"x-original-uri": "/sale?a=1", "x-forwarded-host": HOST, "x-forwarded-proto": "https"}
        answer = await client.get(f"/check/{site.room_id}?deny=401", headers=headers)
    assert answer.headers["x-tiketi-redirect"] == wait_url(system, site.room_id, f"https://{HOST}/sale?a=1")


@pytest.mark.parametrize("query", ["", "?deny=401"])
async def test_no_address_makes_an_answer_that_a_proxy_cannot_take(system: System, query: str) -> None:
    """nginx takes 4 KiB of headers. Of more it says 502, or lets in without a pass if it is to while we are away."""
    site = await make_site(system)
    for uri in ("/" * 1_900, "/sale?" + "&" * 1_900, "/" + "x" * 1_900):
        answer = await check(system, site.room_id, uri, query=query)
        where = answer.headers.get("location") or answer.headers["x-tiketi-redirect"]
        assert len(where) < 3_000, "and as much again for all else"
        assert urlsplit(where).path == f"/wait/{site.room_id}"
    assert parse_qs(urlsplit(where).query)["t"] == [f"https://{HOST}{uri}"]


async def test_there_is_no_room_of_that_name(system: System) -> None:
    assert_problem(await check(system, "nowhere"), 404, "room_unknown")
    assert_problem(await check(system, "No%20where"), 404, "not_found")


async def test_the_room_of_an_event_of_ours_is_asked_about_alike(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        token = (await ann.enter())["pass"]
    assert (await check(system, event_id, headers={"x-admission-pass": token})).status_code == 200
    sent = await check(system, event_id)
    assert sent.headers["location"] == f"{system.settings.buyers_url}/events/{event_id}"


async def test_a_visit_that_has_ended_is_revoked_and_a_lost_one_is_not(system: System) -> None:
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    view = system.state["rooms"].views[site.room_id]
    shown = {**SCRIPT, "x-admission-pass": token}
    view.ended.add(1)
    view.unproven.add(1)
    assert (await check(system, site.room_id, headers=shown)).status_code == 200, "Redis forgot it, nobody ended it"
    view.unproven.discard(1)
    assert_problem(await check(system, site.room_id, headers=shown), 401, "pass_revoked")
    view.ended.discard(1)
    assert (await check(system, site.room_id, headers=shown)).status_code == 200
    view.epoch += 1
    assert_problem(await check(system, site.room_id, headers=shown), 401, "pass_revoked")
    view.epoch -= 1


async def test_every_answer_is_counted_for_its_origin(system: System) -> None:
    site = await make_site(system)
    token = await let_in(system, site.room_id)
    await check(system, site.room_id)
    await check(system, site.room_id, headers={"x-admission-pass": token})
    await check(system, site.room_id, f"/?tiketi_pass={token}")
    counted = {name[1]: count for name, count in system.state["meters"].checks.items() if name[0] == site.origin_id}
    assert counted == {"pass_missing": 1, "let_through": 1, "cleaned": 1}


async def test_a_plain_question_is_answered_the_same_before_the_router_and_behind_it(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await make_site(system, rules=[{"action": "pass", "path": "/free"}, {"action": "refuse", "path": "/never"}])
    ordinary = await system.another_web(fast_path=False)
    token = await let_in(system, site.room_id)

    async def is_known() -> bool:
        return site.room_id in ordinary.state["origins"].rooms and site.room_id in ordinary.state["rooms"].views

    await wait_until(is_known, description="the other process knows the room")
    stop_clock(monkeypatch, system.state, ordinary.state)
    by_cookie = {"cookie": f"tiketi_pass_{site.room_id}={token}"}
    for uri, headers, query in (
        ("/sale", {}, ""),
        ("/sale", by_cookie, ""),
        ("/sale", by_cookie, "?deny=401"),
        ("/sale", {"cookie": f"__Host-tiketi_pass_{site.room_id}={token}", **SCRIPT}, ""),
        (f"/sale?tiketi_pass={token}", {}, ""),
        (f"/sale?tiketi_pass={token}", SCRIPT, "?deny=401"),
        ("/sale", {"x-admission-pass": "nonsense", **SCRIPT}, ""),
        ("/free", {}, ""),
        ("/never", {}, ""),
        ("/sale", {"accept": "application/json"}, ""),
        ("/sale", {"connection": "close", **by_cookie}, ""),
        ("/sale", {"x-forwarded-host": "evil.example"}, ""),
    ):
        webs = (system.web, ordinary)
        answers = [await check(system, site.room_id, uri, headers, web=web, query=query) for web in webs]
        told = [{name: value for name, value in each.headers.items() if name != "date"} for each in answers]
        bases = [web.state["settings"].buyers_url for web in webs]
        assert answers[0].status_code == answers[1].status_code, uri
        assert str(told[0]).replace(bases[0], "") == str(told[1]).replace(bases[1], ""), uri
        assert answers[0].content.replace(bases[0].encode(), b"") == answers[1].content.replace(bases[1].encode(), b"")


async def test_a_compact_pass_opens_the_room_that_it_is_for(system: System) -> None:
    site, other = await make_site(system, passAlgorithm="compact"), await make_site(system)
    token = await let_in(system, site.room_id)
    assert token.startswith("p.")
    assert (await check(system, site.room_id, headers={"x-admission-pass": token})).status_code == 200
    refused = await check(system, other.room_id, headers={"x-admission-pass": token, **SCRIPT})
    assert_problem(refused, 401, "pass_foreign")

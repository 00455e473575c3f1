"""How a site is put behind a room: what admins are shown, and what Envoy, Traefik and gateways make of it.

A gateway is run nowhere: a test asks the check as the snippet makes it ask, and takes the answer as it does. Proxies
are run in tests/http/origins/test_proxies.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import yaml

from app.origins.snippets import KINDS, Fail, Site, render
from tests.http.buyer import assert_problem
from tests.http.origins.site import HOST, SECRETIVE, asked, let_in, make_site
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "X-Tiketi-Subject": "forged", "X-Other": "1"}


async def shown(system: System, origin_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = await asked(system, "GET", f"/origins/{origin_id}/integration{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["snippets"]
    return found


async def text_of(system: System, origin_id: str, name: str, fail: str | None = None) -> str:
    found = {(each["name"], each["fail"]): each["text"] for each in await shown(system, origin_id)}
    text: str = found[name, fail]
    return text


async def test_what_is_shown_is_what_is_rendered_for_the_room(system: System) -> None:
    made = await make_site(system)
    without = await shown(system, made.origin_id)
    assert "connector" not in [each["name"] for each in without], "connectors have no name for it"
    assert (await asked(system, "PUT", f"/origins/{made.origin_id}", {"customerId": "acme"})).status_code == 200
    found = await shown(system, made.origin_id, "?upstream=https://10.0.0.7:8443")
    site = Site(
        tiketi=system.settings.buyers_url,
        host=HOST,
        room=made.room_id,
        name="Sale",
        target=f"https://{HOST}/sale",
        upstream="https://10.0.0.7:8443",
        customer="acme",
    )
    for kind in KINDS:
        for fail in Fail if kind.can_open else (Fail.closed,):
            chosen = fail.value if kind.can_open else None
            (text,) = (each["text"] for each in found if (each["name"], each["fail"]) == (kind.name, chosen))
            assert text == render(kind, site, fail)
            assert made.room_id in text or kind.name == "thanks", "what stands before the page knows the room"
            assert made.secret not in text
            assert made.api_key not in text
    assert len(found) == sum(2 if kind.can_open else 1 for kind in KINDS)


async def test_what_connectors_are_not_told_of_the_rules_is_said(system: System) -> None:
    rules = [{"action": "pass", "method": "GET", "path": "=/ok"}, {"action": "pass", "path": "=/ok"}]
    made = await make_site(system, rules=rules)
    path = f"/origins/{made.origin_id}/integration"
    assert (await asked(system, "GET", path)).json()["notForConnectors"] == [], "it has no connector"
    await asked(system, "PUT", f"/origins/{made.origin_id}", {"customerId": made.origin_id.replace("-", "")})
    said = {"room": made.room_id, "rule": 0, "how": "left_out", "parts": ["method"]}
    assert (await asked(system, "GET", path)).json()["notForConnectors"] == [said]
    async with system.web.client(headers={"accept-language": "en", **await system.bearer()}) as client:
        page = (await client.get(f"/admin/origins/{made.origin_id}")).text
    assert f"{made.room_id}, rule 1: left out" in page


async def test_a_room_is_chosen_and_only_one_of_the_origin(system: System) -> None:
    made, other = await make_site(system), await make_site(system)
    chosen = await asked(system, "GET", f"/origins/{made.origin_id}/integration?room={made.room_id}")
    assert chosen.json()["room"] == made.room_id
    for path, code in (
        (f"/origins/{made.origin_id}/integration?room={other.room_id}", "room_unknown"),
        ("/origins/nobody/integration", "origin_unknown"),
    ):
        assert_problem(await asked(system, "GET", path), 404, code)
    await asked(system, "DELETE", f"/rooms/{made.room_id}")
    empty = await asked(system, "GET", f"/origins/{made.origin_id}/integration")
    assert empty.json() == {"origin": made.origin_id, "room": None, "snippets": [], "notForConnectors": []}


@pytest.mark.parametrize("upstream", ["http://a;evil", "http://a%0aevil", "ftp://a", "http://a/b", "a", "http://a b"])
async def test_an_upstream_that_is_none_is_put_into_no_snippet(system: System, upstream: str) -> None:
    made = await make_site(system)
    answer = await asked(system, "GET", f"/origins/{made.origin_id}/integration?upstream={upstream}")
    assert_problem(answer, 422, "payload_invalid")


def only(headers: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    wanted = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() in wanted}


async def asks(system: System, method: str, path: str, headers: Mapping[str, str]) -> httpx2.Response:
    async with system.web.client() as client:
        return await client.request(method, path, headers=dict(headers))


async def test_traefik_forwards_and_believes_what_is_answered(system: System) -> None:
    made = await make_site(system)
    config = yaml.safe_load(await text_of(system, made.origin_id, "traefik"))
    auth = config["http"]["middlewares"]["tiketi"]["forwardAuth"]
    path = urlsplit(auth["address"]).path
    forwarded = {"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https", "X-Forwarded-Host": HOST}
    headers = {**BROWSER, **forwarded, "X-Forwarded-Uri": "/sale?a=1", "X-Forwarded-For": "203.0.113.7"}
    denied = await asks(system, "GET", path, headers)  # what is not 2xx goes to the visitor as it is
    assert denied.status_code == 302
    assert parse_qs(urlsplit(denied.headers["location"]).query)["t"] == [f"https://{HOST}/sale?a=1"]
    token = await let_in(system, made.room_id)
    let = await asks(system, "GET", path, {**headers, "Cookie": f"tiketi_pass_{made.room_id}={token}"})
    assert let.status_code == 200
    assert all(let.headers[name] for name in auth["authResponseHeaders"])
    script = {**headers, "X-Forwarded-Uri": f"/api?tiketi_pass={token}", "Sec-Fetch-Mode": "cors"}
    kept = await asks(system, "GET", path, script)
    assert kept.headers["set-cookie"].partition("=")[0] in auth["addAuthCookiesToResponse"]


def envoy_of(text: str) -> dict[str, Any]:
    filters = {each["name"]: each["typed_config"] for each in yaml.safe_load(text)["http_filters"]}
    config: dict[str, Any] = filters["envoy.filters.http.ext_authz"]
    return config


async def test_envoy_asks_with_a_prefix_and_takes_exactly_200(system: System) -> None:
    made = await make_site(system)
    config = envoy_of(await text_of(system, made.origin_id, "envoy", "closed"))
    service, patterns = config["http_service"], config["http_service"]["authorization_request"]["allowed_headers"]
    exact = {each["exact"] for each in patterns["patterns"] if "exact" in each}
    prefixes = tuple(each["prefix"] for each in patterns["patterns"] if "prefix" in each)
    token = await let_in(system, made.room_id)
    cookie = f"tiketi_pass_{made.room_id}={token}"

    async def ask(method: str, uri: str, more: Mapping[str, str]) -> httpx2.Response:
        every = {**BROWSER, "x-forwarded-proto": "https", **more}
        told = only(every, {*exact, *(name for name in every if name.lower().startswith(prefixes))})
        return await asks(system, method, f"{service['path_prefix']}{uri}", {**told, "host": HOST})

    denied = await ask("GET", "/sale?a=1", {})
    assert parse_qs(urlsplit(denied.headers["location"]).query)["t"] == [f"https://{HOST}/sale?a=1"]
    let = await ask("GET", "/sale?a=1", {"cookie": cookie})
    assert let.status_code == 200
    upstream = service["authorization_response"]["allowed_upstream_headers"]["patterns"][0]["prefix"]
    assert [name for name in let.headers if name.startswith(upstream)]
    assert (await ask("POST", "/cart", {"cookie": cookie})).status_code == 200
    moved = await ask("GET", f"/sale?tiketi_pass={token}", {})
    assert (moved.status_code, moved.headers["location"]) == (302, f"https://{HOST}/sale")
    assert config["failure_mode_allow"] is False
    assert envoy_of(await text_of(system, made.origin_id, "envoy", "open"))["failure_mode_allow"] is True


async def test_a_gateway_asks_with_a_prefix_and_the_headers_that_it_may_pass_on(system: System) -> None:
    made = await make_site(system)
    route = yaml.safe_load(await text_of(system, made.origin_id, "gateway"))
    http = route["spec"]["rules"][0]["filters"][0]["externalAuth"]["http"]
    assert route["spec"]["hostnames"] == [HOST]
    token = await let_in(system, made.room_id)
    every = {**BROWSER, "X-Forwarded-Proto": "https"}
    told = {**only(every, http["allowedHeaders"]), "host": HOST}
    denied = await asks(system, "GET", f"{http['path']}/sale?a=1", told)
    assert parse_qs(urlsplit(denied.headers["location"]).query)["t"] == [f"https://{HOST}/sale?a=1"]
    shown_pass = only({"Cookie": f"tiketi_pass_{made.room_id}={token}"}, http["allowedHeaders"])
    let = await asks(system, "GET", f"{http['path']}/sale", {**told, **shown_pass})
    assert let.status_code == 200
    assert all(let.headers[name] for name in http["allowedResponseHeaders"])


async def test_the_snippets_of_middleware_run_and_the_page_s_link_leads_to_the_room(system: System) -> None:
    made = await make_site(system)
    for name in ("asgi", "wsgi"):
        for fail in Fail:
            code = await text_of(system, made.origin_id, name, fail.value)
            names: dict[str, Any] = {"app": None}
            exec(compile(code.replace("from shop import app\n", ""), name, "exec"), names)
            assert names["app"].gate.room == made.room_id
            assert f'fail="{fail.value}"' in code
    link = (await text_of(system, made.origin_id, "html")).partition('href="')[2].partition('"')[0]
    assert link == f"{system.settings.buyers_url}/wait/{made.room_id}?t=https%3A//{HOST}/sale"

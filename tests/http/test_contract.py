"""What a client may rely on: shapes, cookies, caching, versions of the seat map, and two web processes that agree."""

from __future__ import annotations

import asyncio
import re
import zlib
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.http.buyer import assert_problem, buyer
from tests.http.system import BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_events_are_listed_and_shown_with_what_is_left(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        listed = (await ann.client.get("/api/events")).json()["events"]
        assert {event_id, "direct", "later"} <= {event["id"] for event in listed}
        shown = (await ann.client.get(f"/api/events/{event_id}")).json()
        assert shown["event"] in listed
        assert shown["event"]["timeZone"] == "Asia/Seoul"
        assert datetime.fromisoformat(shown["event"]["eventDate"]).utcoffset() == timedelta(0)
        assert shown["ticketTypes"] == [
            {"grade": "R", "price": 100, "total": 6, "available": 6},
            {"grade": "S", "price": 50, "total": 6, "available": 6},
        ]
        await ann.enter()
        await ann.hold(quantity=2, grades=["S"])
        shown = (await ann.client.get(f"/api/events/{event_id}")).json()
        assert [kind["available"] for kind in shown["ticketTypes"]] == [6, 4]


async def test_payment_methods_are_the_three_of_the_contract(system: System) -> None:
    async with system.web.client() as client:
        assert (await client.get("/api/payments/methods")).json() == {
            "methods": ["naver_pay", "kakao_pay", "bank_transfer"]
        }


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.0", False),
        ("xgzip", False),
    ],
)
async def test_a_seat_map_is_packed_for_who_takes_it(system: System, event_id: str, accepts: str, packed: bool) -> None:
    path = f"/api/seats/events/{event_id}"
    async with system.web.client(headers={"accept-encoding": accepts}) as client:
        answer = await client.get(path)
        head = await client.head(path)
        known = await client.get(path, headers={"if-none-match": f"W/{answer.headers['etag']}"})
    assert ("content-encoding" in answer.headers) is packed
    assert len(answer.json()["seats"]) == 12
    assert {each.headers["vary"] for each in (answer, head, known)} == {"Accept-Encoding"}
    assert {each.headers["etag"] for each in (answer, head, known)} == {answer.headers["etag"]}
    assert (head.content, head.headers["content-length"]) == (b"", answer.headers["content-length"])
    assert (known.status_code, known.content) == (304, b"")


async def test_packed_and_plain_maps_are_known_by_tags_of_their_own(system: System, event_id: str) -> None:
    path = f"/api/seats/events/{event_id}"
    async with system.web.client() as client:
        plain = await client.get(path, headers={"accept-encoding": "identity"})
        packed = await client.get(path, headers={"if-none-match": plain.headers["etag"]})
    assert (packed.status_code, packed.json()) == (200, plain.json())
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3


async def test_a_version_of_a_map_is_packed_once_for_all(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packings: list[int] = []

    def compress(data: bytes, level: int, mtime: float) -> bytes:
        packings.append(len(data))
        return zlib.compress(data, level, wbits=31)

    monkeypatch.setattr("app.http.shop.seat_map.gzip.compress", compress)
    async with buyer(system, event_id) as ann:
        for _ in range(2):
            await asyncio.gather(*(ann.seat_statuses() for _ in range(5)))
        assert len(packings) == 1
        await ann.enter()
        await ann.hold(seatIds=["s0"])
        assert (await ann.seat_statuses())["s0"] == "held"
        assert len(packings) == 2


async def test_the_seat_map_has_a_version_an_etag_and_tells_only_changes(system: System, event_id: str) -> None:
    path = f"/api/seats/events/{event_id}"
    async with buyer(system, event_id) as ann:
        whole = await ann.client.get(path)
        seats, version = whole.json()["seats"], whole.json()["version"]
        assert (len(seats), whole.json()["layout"]) == (12, {"stage": "front"})
        assert seats[0] == {
            "id": "s0",
            "section": "A",
            "row": "0",
            "number": 1,
            "grade": "R",
            "price": 100,
            "x": 0.0,
            "y": 0.0,
            "status": "available",
        }
        tag = whole.headers["etag"]
        for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            same = await ann.client.get(path, headers={"if-none-match": given})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag), given
        nothing = (await ann.client.get(path, params={"since": version})).json()
        assert nothing == {"seats": [], "version": version}
        await ann.enter()
        held = await ann.hold(seatIds=["s3", "s4"])
        assert (await ann.client.get(path, headers={"if-none-match": tag})).status_code == 200
        changed = (await ann.client.get(path, params={"since": version})).json()
        assert changed["seats"] == [{"id": "s3", "status": "held"}, {"id": "s4", "status": "held"}]
        assert changed["version"] > version
        await ann.pay(held["id"])
        changed = (await ann.client.get(path, params={"since": changed["version"]})).json()
        assert [seat["status"] for seat in changed["seats"]] == ["sold", "sold"]
        for far in (10**17, 999):
            assert len((await ann.client.get(path, params={"since": far})).json()["seats"]) == 12
        for nonsense in ("-1", "x", "", "1.5", "9" * 19):
            assert_problem(await ann.client.get(path, params={"since": nonsense}), 422, "payload_invalid")


async def test_the_room_s_status_is_public_and_may_be_kept_for_a_second(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, system.web.client() as anybody:
        await ann.join()
        await ann.until("admitted")
        answer = await anybody.get(f"/api/queue/{event_id}/status")
        assert answer.headers["cache-control"] == "public, max-age=1"
        assert "set-cookie" not in answer.headers
        status = answer.json()
        assert datetime.fromisoformat(status.pop("updatedAt")).utcoffset() == timedelta(0)
        assert status == {"state": "open", "cursor": 1, "waiting": 0, "admissionRatePerSecond": 1000}
        await system.change(event_id, state="paused")
        assert (await anybody.get(f"/api/queue/{event_id}/status")).json()["admissionRatePerSecond"] == 0


async def test_what_is_about_one_buyer_is_never_kept_by_a_cache(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        answers = [await ann.join(), await ann.client.get(f"/api/queue/{event_id}/position")]
        await ann.until("admitted")
        answers += [await ann.claim(), await ann.reserve(seatIds=["s0"]), await ann.client.get("/api/reservations/my")]
        answers += [await ann.post("leave"), await ann.client.get("/api/reservations/none")]
        for answer in answers:
            assert answer.headers["cache-control"] == "no-store", answer.request.url
            assert answer.headers["x-content-type-options"] == "nosniff", answer.request.url


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        cookies = (await ann.join()).headers.get_list("set-cookie")
        await ann.until("admitted")
        cookies += (await ann.claim()).headers.get_list("set-cookie")
        names = [cookie.split("=")[0] for cookie in cookies]
        assert names == [f"tiketi_ticket_{event_id}", "tiketi_holder", f"tiketi_pass_{event_id}"]
        for cookie in cookies:
            assert cookie.split("; ")[2:] == ["Path=/", "HttpOnly", "SameSite=Lax"]
        assert "tiketi_holder" not in str((await ann.join()).headers.get_list("set-cookie"))


async def test_behind_https_every_cookie_is_secure_and_the_host_s_own(system: System, event_id: str) -> None:
    """As a browser keeps and sends them; the client of the tests talks plain HTTP and would keep none."""
    web = await system.another_web(public_url="https://tickets.example")
    kept: dict[str, str] = {}
    told: list[str] = []

    async def asked(method: str, path: str, **options: Any) -> httpx2.Response:
        header = {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
        async with web.client(headers={"host": "tickets.example", **header}) as client:
            answer = await client.request(method, path, **options)
        for cookie in answer.headers.get_list("set-cookie"):
            told.append(cookie)
            name, _, value = cookie.partition(";")[0].partition("=")
            kept[name] = value
        return answer

    async def is_admitted() -> bool:
        return bool((await asked("GET", f"/api/queue/{event_id}/position")).json()["state"] == "admitted")

    page = (await asked("GET", f"/events/{event_id}?lang=en")).text
    token = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
    assert (await asked("POST", f"/events/{event_id}/join", data={"csrf": token})).status_code == 303
    await wait_until(is_admitted, description="the turn has come")
    assert (await asked("POST", f"/api/queue/{event_id}/claim")).status_code == 200
    who = {"email": BUYER[0], "password": BUYER[1]}
    assert (await asked("POST", "/api/auth/login", json=who)).status_code == 200
    names = {"holder", "form", "lang", "session", "device", f"ticket_{event_id}", f"pass_{event_id}"}
    assert kept.keys() == {f"__Host-tiketi_{name}" for name in names}
    for cookie in told:
        assert cookie.split("; ")[2:] == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    assert (await asked("POST", "/api/auth/logout")).status_code == 200
    assert kept["__Host-tiketi_session"] == ""


@pytest.mark.parametrize("fast_path", [True, False])
async def test_behind_https_a_cookie_without_the_prefix_is_somebody_else_s(
    system: System, event_id: str, fast_path: bool
) -> None:
    """Another name of our domain, or whoever answers for it without TLS, can set one, and so say who a browser is."""
    web = await system.another_web(public_url="https://tickets.example", fast_path=fast_path)
    set_by_another = f"tiketi_holder={system.browser()['tiketi_holder']}"
    for cookie, is_known in ((set_by_another, False), (f"a=b; __Host-{set_by_another}", True)):
        async with web.client(headers={"host": "tickets.example", "cookie": cookie}) as client:
            joined = await client.post(f"/api/queue/{event_id}/join")
            assert joined.status_code == 201
            assert ("__Host-tiketi_holder" not in str(joined.headers.get_list("set-cookie"))) == is_known


async def test_a_web_process_that_starts_later_knows_what_is_held(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter({"quantity": 2})
        held = await ann.given()
        web = await system.another_web()
        answer = await ann.client.get(f"{web.url}/api/queue/{event_id}/position")
        assert answer.json()["reservation"] == held


async def test_two_web_processes_give_one_line_and_agree_on_it(system: System, event_id: str) -> None:
    other = await system.another_web()
    await system.change(event_id, state="paused")
    await other.state["rooms"].reload(event_id)
    async with system.web.client() as one, other.client() as two:
        joins = await asyncio.gather(
            *(web.post(f"/api/queue/{event_id}/join", headers={"cookie": ""}) for _ in range(50) for web in (one, two))
        )
        numbers = [answer.json()["number"] for answer in joins]
        assert sorted(numbers) == list(range(1, 101))
        tickets = {answer.json()["number"]: answer.json()["ticket"] for answer in joins}
        tenth = next(answer.cookies for answer in joins if answer.json()["number"] == 10)

        async def stands(web: Any, number: int) -> Any:
            answer = await web.get(f"/api/queue/{event_id}/position", headers={"x-queue-ticket": tickets[number]})
            return answer.json()

        for number in (1, 37, 100):
            assert await stands(one, number) == await stands(two, number)
            assert (await stands(one, number))["ahead"] == number - 1
        shown = {"x-queue-ticket": tickets[10], "cookie": f"tiketi_holder={tenth['tiketi_holder']}"}
        assert (await one.post(f"/api/queue/{event_id}/leave", headers=shown)).status_code == 200

        async def agree() -> bool:
            return [(await stands(web, 50))["ahead"] for web in (one, two)] == [48, 48]

        await wait_until(agree, description="both processes know who left")


async def test_two_web_processes_show_the_same_seats(system: System, event_id: str) -> None:
    other = await system.another_web()
    async with buyer(system, event_id) as ann, other.client() as elsewhere:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        path = f"/api/seats/events/{event_id}"

        async def agree() -> bool:
            return (await elsewhere.get(path)).content == (await ann.client.get(path)).content

        await wait_until(agree, description="both processes show the same seats")
        cookies = dict(ann.client.cookies)
        async with other.client(cookies=cookies) as tab:
            shown = await tab.get(f"/api/reservations/{held['id']}")
            assert shown.json()["reservation"] == held
            paid = await tab.post(
                "/api/payments/process", json={"reservationId": held["id"], "paymentMethod": "bank_transfer"}
            )
            assert paid.status_code == 201
        assert (await ann.pay(held["id"], "bank_transfer")).json() == paid.json()


async def test_one_browser_joining_at_two_processes_at_once_has_one_place(system: System, event_id: str) -> None:
    other = await system.another_web()
    cookies = system.browser()
    async with system.web.client(cookies=cookies) as one, other.client(cookies=cookies) as two:
        path = f"/api/queue/{event_id}/join"
        joins = await asyncio.gather(*(web.post(path) for _ in range(10) for web in (one, two)))
        assert {answer.json()["number"] for answer in joins} == {1}
        assert sorted(answer.status_code for answer in joins) == [200] * 19 + [201]


async def test_a_healthy_process_says_so(system: System) -> None:
    async with system.web.client() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}

        async def is_ready() -> bool:
            answer = await client.get("/readyz")
            return answer.status_code == 200 and answer.json() == {"status": "ready", "missing": []}

        await wait_until(is_ready, description="the process is ready")

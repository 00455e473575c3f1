"""What a client may rely on: shapes, cookies, caching, versions of the seat map, and two web processes that agree."""

from __future__ import annotations

import asyncio
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOLDER = "AAAAAAAAAAAAAAAAAAAAAA"


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


async def test_cookies_are_secure_where_the_shop_is_reached_by_https(system: System, event_id: str) -> None:
    web = await system.another_web(public_url="https://tickets.example")
    async with buyer(system, event_id, web) as ann:
        joined = await ann.join()
        ann.client.headers["x-queue-ticket"] = joined.json()["ticket"]
        await ann.until("admitted")
        cookies = [cookie for answer in (joined, await ann.claim()) for cookie in answer.headers.get_list("set-cookie")]
        assert len(cookies) == 3
        assert all(cookie.endswith("; Secure") for cookie in cookies)


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

        async def stands(web: Any, number: int) -> Any:
            answer = await web.get(f"/api/queue/{event_id}/position", headers={"x-queue-ticket": tickets[number]})
            return answer.json()

        for number in (1, 37, 100):
            assert await stands(one, number) == await stands(two, number)
            assert (await stands(one, number))["ahead"] == number - 1
        await one.post(f"/api/queue/{event_id}/leave", headers={"x-queue-ticket": tickets[10]})

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
    cookies = {"tiketi_holder": HOLDER}
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
            return answer.status_code == 200 and answer.json() == {"status": "ready", "missing": [], "warnings": []}

        await wait_until(is_ready, description="the process is ready")

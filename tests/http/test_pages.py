"""The pages as a person without JavaScript has them: plain forms from the event to the paid seats; every refusal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import app.http
from app.http.kit.headers import content_security_policy
from tests.http.browser import Browser
from tests.run.test_up import Up, up
from tests.waiting import wait_until

HTTP = Path(app.http.__file__).parent
ADMIN = {"email": "admin@tiketi.gg", "password": "admin123"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("pages") / "data") as system:
        yield system


@pytest.fixture
def browser(system: Up) -> Iterator[Browser]:
    """A browser that keeps cookies, speaks English and follows no redirect by itself."""
    headers = {"Accept-Language": "en"}
    with Browser(base_url=f"http://{system.netloc}", headers=headers, timeout=30) as client:
        yield client


def state_of(answer: httpx2.Response) -> str:
    """The state the waiting page was drawn in."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'id="room" class="wait" data-state="(\w+)"', answer.text)
    assert found is not None
    return found[1]


def join(browser: Browser, event: str = "demo", **fields: str) -> None:
    answer = browser.submit(f"/events/{event}/join", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/events/{event}/wait")


def enter(system: Up, browser: Browser, event: str = "demo") -> str:
    """Wait for the turn and take it up; answers where the claim leads."""
    system.wait_for_turn(browser.cookies[f"tiketi_ticket_{event}"], event)
    answer = browser.submit(f"/events/{event}/claim")
    assert answer.status_code == 303
    return str(answer.headers["location"])


def wish_is_answered(system: Up, browser: Browser) -> None:
    """Wait for the turn and for the seats, which are held a moment after it."""

    async def told() -> bool:
        return "reservation" in browser.get("/api/queue/demo/position").json()

    system.wait_for_turn(browser.cookies["tiketi_ticket_demo"], "demo")
    asyncio.run(wait_until(told, description="the wish's seats are held"))


def test_from_the_list_to_the_paid_seats_with_forms_alone(system: Up, browser: Browser) -> None:
    assert 'href="/events/demo"' in browser.get("/").text
    assert 'action="/events/demo/join"' in browser.get("/events/demo").text
    join(browser, quantity="2", grade="S", adjacent="yes")
    assert state_of(browser.get("/events/demo/wait")) in ("waiting", "admitted")
    wish_is_answered(system, browser)
    reservation = enter(system, browser)
    assert reservation.startswith("/reservations/r_"), "the wish's seats were not held at the turn"
    held = browser.get(reservation)
    assert 'data-status="pending"' in held.text
    assert held.text.count("<td>S</td>") == 2
    paid = browser.submit(f"{reservation}/pay", data={"method": "kakao_pay"})
    assert (paid.status_code, paid.headers["location"]) == (303, reservation)
    assert 'data-status="confirmed"' in browser.get(reservation).text
    told = f"{reservation}?said=pass_spent"
    assert browser.get("/events/demo/wait").headers["location"] == told, "a paid place leads to what was bought"
    assert "You have already bought your tickets." in browser.get(told).text


def test_best_available_works_as_a_form(system: Up, browser: Browser) -> None:
    join(browser)
    assert enter(system, browser) == "/events/demo/seats"
    assert "<noscript>" in browser.get("/events/demo/seats").text
    made = browser.submit("/events/demo/reserve", data={"quantity": "3", "grade": "A"})
    assert made.headers["location"].startswith("/reservations/")
    again = browser.submit("/events/demo/reserve", data={"quantity": "1"})
    told = f"{made.headers['location']}?said=already_holding"
    assert again.headers["location"] == told, "who holds seats is shown them"
    assert "These are the seats you hold already." in browser.get(told).text
    assert "These are the seats you hold already." not in browser.get(made.headers["location"]).text
    cancelled = browser.submit(f"{made.headers['location']}/cancel")
    assert cancelled.status_code == 303
    assert 'data-status="cancelled"' in browser.get(made.headers["location"]).text


def test_an_event_without_a_line_is_bought_at_once(browser: Browser) -> None:
    assert 'href="/events/open-air/seats"' in browser.get("/events/open-air").text
    assert browser.get("/events/open-air/wait").headers["location"] == "/events/open-air"
    made = browser.submit("/events/open-air/reserve", data={"quantity": "2", "adjacent": "yes"})
    assert made.headers["location"].startswith("/reservations/")


def test_leaving_is_shown_with_a_way_back(browser: Browser) -> None:
    join(browser, "small")
    assert browser.submit("/events/small/leave").status_code == 303

    async def is_left() -> str:
        left = browser.get("/events/small/wait")
        return left.text if state_of(left) == "left" else ""

    left = asyncio.run(wait_until(is_left, description="the page says that the place is left"))
    assert 'action="/events/small/join"' in left
    assert re.search(r'id="room-says"[^>]* hidden>', left), "nothing is said of a line that one is not in"


def test_a_waiting_page_refreshes_itself_only_without_a_script(browser: Browser) -> None:
    browser.submit("/admin/login", data=ADMIN)
    admission = "/api/admin/events/small/admission"
    same_site = {"X-Requested-With": "tiketi"}
    assert browser.patch(admission, json={"state": "paused", "message": "<b>soon</b>"}, headers=same_site).is_success
    join(browser, "small")
    page = browser.get("/events/small/wait")
    assert state_of(page) == "waiting"
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page.text
    assert "room-paused" in page.text
    assert "&lt;b&gt;soon&lt;/b&gt;" in page.text, "an admin's message is text, not markup"
    assert "<b>soon" not in page.text
    assert browser.patch(admission, json={"state": "open", "message": ""}, headers=same_site).is_success


def test_who_has_no_ticket_is_offered_to_join(browser: Browser) -> None:
    assert state_of(browser.get("/events/demo/wait")) == "none"
    browser.cookies.set("tiketi_ticket_demo", "forged")
    assert state_of(browser.get("/events/demo/wait")) == "none"
    assert browser.submit("/events/demo/claim").headers["location"] == "/events/demo/wait"


def test_a_scheduled_event_says_when_it_opens_and_takes_nobody(browser: Browser) -> None:
    page = browser.get("/events/upcoming").text
    assert "sale-upcoming" in page
    assert 'id="opening" data-until="' in page
    refused = browser.submit("/events/upcoming/join")
    assert (refused.status_code, refused.headers["location"]) == (303, "/events/upcoming")


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/events/nowhere", None, 404),
        ("GET", "/events/nowhere/seats", None, 404),
        ("GET", "/reservations/r_unknown", None, 404),
        ("POST", "/events/nowhere/join", {}, 404),
        ("POST", "/events/demo/join", {"quantity": "-1"}, 422),
        ("POST", "/events/demo/join", {"quantity": "two"}, 422),
        ("POST", "/events/demo/join", {"quantity": "2", "grade": "x" * 100}, 422),
        ("POST", "/events/demo/reserve", {"quantity": "2"}, 401),
        ("POST", "/events/demo/leave", {}, 401),
        ("POST", "/reservations/r_unknown/pay", {"method": "kakao_pay"}, 404),
        ("POST", "/events/demo/join", {"quantity": "1" * 20_000}, 413),
    ],
)
def test_a_refusal_is_a_page_that_leads_on(
    browser: Browser, method: str, path: str, fields: dict[str, str] | None, status: int
) -> None:
    answer = browser.get(path) if method == "GET" else browser.submit(path, data=fields)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>" in answer.text or "<h1 " in answer.text
    assert "Traceback" not in answer.text


def test_an_unknown_address_is_a_page_for_who_browses_only(browser: Browser) -> None:
    browses = {"Accept": "text/html,application/xhtml+xml"}
    assert "There is no such page." in browser.get("/nowhere", headers=browses).text
    assert browser.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert browser.get("/api/nowhere", headers=browses).headers["content-type"] == "application/problem+json"
    wrong = browser.get("/events/demo/join", headers=browses)
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "text/html; charset=utf-8")


def test_someone_else_s_reservation_does_not_exist(browser: Browser, system: Up) -> None:
    browser.get("/events/open-air")
    made = browser.submit("/events/open-air/reserve", data={"quantity": "1"}).headers["location"]
    with Browser(base_url=f"http://{system.netloc}", timeout=30) as stranger:
        assert stranger.get(made).status_code == 404
        assert stranger.submit(f"{made}/cancel").status_code == 404
    assert 'data-status="pending"' in browser.get(made).text


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_form_from_another_site_is_refused(browser: Browser, headers: dict[str, str]) -> None:
    assert browser.submit("/events/demo/join", headers=headers).status_code == 403
    assert "tiketi_ticket_demo" not in browser.cookies


def test_the_admin_pages_are_for_admins(browser: Browser) -> None:
    assert browser.get("/admin").headers["location"] == "/admin/login"
    assert browser.get("/admin/events/demo").headers["location"] == "/admin/login"
    wrong = browser.submit("/admin/login", data=ADMIN | {"password": "wrong"})
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    buyer = browser.submit("/admin/login", data={"email": "test@tiketi.gg", "password": "test1234"})
    assert buyer.status_code == 403
    assert "tiketi_session" not in browser.cookies
    assert browser.submit("/admin/login", data=ADMIN).headers["location"] == "/admin"
    assert 'data-event="demo"' in browser.get("/admin").text
    assert 'id="n-waiting"' in browser.get("/admin/events/demo").text
    assert browser.get("/admin/events/open-air").status_code == 404, "an event without a line has no room to manage"
    browser.submit("/logout")
    assert browser.get("/admin").headers["location"] == "/admin/login"


def test_the_language_chosen_stays(browser: Browser) -> None:
    assert '<html lang="en">' in browser.get("/").text
    korean = browser.get("/?lang=ko")
    assert '<html lang="ko">' in korean.text
    assert '<html lang="ko">' in browser.get("/events/demo").text


def test_pages_forbid_inline_code_and_have_none(browser: Browser) -> None:
    for path in ("/", "/events/demo", "/events/demo/wait", "/events/demo/seats", "/admin/login"):
        answer = browser.get(path)
        assert answer.headers["content-security-policy"] == content_security_policy()
        assert answer.headers["cache-control"] == "no-store"
        assert re.findall(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))", answer.text) == []
        assert re.findall(r"\s(?:on\w+|style)=\"", answer.text) == []


def test_files_are_cached_for_ever_under_a_name_of_their_content(browser: Browser) -> None:
    page = browser.get("/events/demo").text
    style = re.search(r'href="(/static/(\w+)/css/base\.css)"', page)
    assert style is not None
    file = browser.get(style[1])
    assert "immutable" in file.headers["cache-control"]
    assert file.headers["content-encoding"] == "gzip"
    assert file.headers["content-type"].startswith("text/css")
    assert "immutable" not in browser.get("/static/older/css/base.css").headers["cache-control"]
    assert browser.get("/static/x/../../main.py").status_code == 404


def test_scripts_use_nothing_from_elsewhere() -> None:
    for path in [path for kind in ("js/*.js", "css/*.css", "templates/*.html") for path in HTTP.glob(f"*/{kind}")]:
        source = path.read_text()
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", source) == [], path
        assert "innerHTML" not in source, path
        assert "|safe" not in source, path

"""Every state of an event times every state of a buyer: each page of theirs fits a phone and a desk, speaks one
language and says one thing. What a state says is other tests' business.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import APIResponse, BrowserContext, Page

from tests.browser.conftest import WAIT_MAX_MS
from tests.browser.people import Ask, NewContext

pytestmark = pytest.mark.slow  # some hundred pages
DAY = "2031-05-01T10:00:00Z"
WIDTHS = (320, 1280)
NAME = "테스트"  # of the demo's buyer
KEY = re.compile(r"\b(?:accounts|admin|common|events|kit|line|origins|shop|waitlist)\.[a-z_]+(?:\.[a-z_]+)*\b")
HANGUL = re.compile("[가-힣]")
SAYS = "[document.querySelector('main').innerText, document.documentElement.scrollWidth, innerWidth,"
SAYS += " [...document.querySelectorAll('h1')].filter((each) => each.offsetParent).length]"
NO_HURRY = "localStorage.setItem('tiketi:auto', 'false')"  # a turn is not taken up by itself


@dataclass
class Buyer:
    context: BrowserContext
    event_id: str
    reservation_id: str = ""
    held: list[str] = field(default_factory=list)

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        answer: APIResponse = self.context.request.post(path, data=body or {})
        assert answer.ok, (path, answer.status, answer.text())
        told: dict[str, Any] = answer.json()
        return told

    def join(self) -> None:
        self.post(f"/api/queue/{self.event_id}/join")

    def reach_the_turn(self) -> None:
        self.join()
        give_up = time.monotonic() + WAIT_MAX_MS / 1000
        while self.context.request.get(f"/api/queue/{self.event_id}/position").json()["state"] != "admitted":
            assert time.monotonic() < give_up

    def come_in(self) -> None:
        self.reach_the_turn()
        self.post(f"/api/queue/{self.event_id}/claim")

    def hold(self, quantity: int) -> None:
        self.come_in()
        wish = {"eventId": self.event_id, "quantity": quantity}
        held = self.post("/api/seats/reserve", wish)["reservation"]
        self.reservation_id, self.held = held["id"], [seat["id"] for seat in held["seats"]]

    def buy(self, quantity: int) -> None:
        self.hold(quantity)
        self.post("/api/payments/process", {"reservationId": self.reservation_id, "paymentMethod": "kakao_pay"})

    def give_back(self, *seat_ids: str) -> None:
        some = {"seatIds": list(seat_ids)} if seat_ids else {}
        self.post(f"/api/reservations/{self.reservation_id}/cancel", some)


def log_in(buyer: Buyer) -> None:
    buyer.post("/api/auth/login", {"email": "test@tiketi.gg", "password": "test1234"})


def came_by_account(buyer: Buyer) -> None:
    log_in(buyer)
    buyer.join()


def part(buyer: Buyer) -> None:
    buyer.buy(2)
    buyer.give_back(buyer.held[0])


def refunded(buyer: Buyer) -> None:
    buyer.buy(1)
    buyer.give_back()


BEFORE: dict[str, Callable[[Buyer], None]] = {  # what buyers do while the line moves
    "nobody": lambda buyer: None,
    "account": log_in,
    "turn": Buyer.reach_the_turn,
    "inside": Buyer.come_in,
    "holds": lambda buyer: buyer.hold(1),
    "paid": lambda buyer: buyer.buy(1),
    "part": part,
    "refunded": refunded,
}
LATER: dict[str, Callable[[Buyer], None]] = {
    "waits": Buyer.join,
    "waits by account": came_by_account,
}  # while it stands


def an_event(ask: Ask, **more: object) -> str:
    event = {"title": "Moon", "venue": "Hall", "eventDate": DAY, "admission": "room", **more}
    prices = [{"grade": "R", "price": 50_000}]
    event["room"] = {"ratePerSecond": 1000, "burst": 1000, "maxActive": 1000}
    event_id = str(ask("POST", "events", {**event, "ticketTypes": prices})["event"]["id"])
    ask("POST", f"events/{event_id}/seats", {"seats": [f"R/1F/A/1/{number}" for number in range(1, 13)]})
    return event_id


def soon(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat(timespec="seconds")


def sell_out(ask: Ask, new_context: NewContext, event_id: str) -> None:
    ask("PATCH", f"events/{event_id}/admission", {"state": "open"})
    rest = ask_seats(new_context, event_id)
    while rest:
        buyer = Buyer(new_context(), event_id)
        buyer.buy(min(rest, 4))
        rest = ask_seats(new_context, event_id)


def ask_seats(new_context: NewContext, event_id: str) -> int:
    context = new_context()
    told = context.request.get(f"/api/events/{event_id}").json()["ticketTypes"]
    return int(sum(each["available"] for each in told))


def change(ask: Ask, event_id: str, **what: object) -> None:
    ask("PUT", f"events/{event_id}", what)


Become = Callable[[Ask, NewContext, str], object]
STATES: dict[str, Become] = {
    "line": lambda ask, _, event_id: ask("PATCH", f"events/{event_id}/admission", {"state": "open", "maxActive": 1}),
    "paused": lambda ask, _, event_id: ask(
        "PATCH",
        f"events/{event_id}/admission",
        {"messages": {"ko": "잠시만 기다려 주세요.", "en": "One moment, please."}},
    ),
    "draining": lambda ask, _, event_id: ask("PATCH", f"events/{event_id}/admission", {"state": "draining"}),
    "sold out": sell_out,
    "closed": lambda ask, _, event_id: ask("PATCH", f"events/{event_id}/admission", {"state": "closed"}),
    "cancelled": lambda ask, _, event_id: ask("POST", f"events/{event_id}/cancel"),
    "moved": lambda ask, _, event_id: change(ask, event_id, eventDate="2031-06-01T10:00:00Z"),
}


def look(page: Page, name: str) -> list[str]:
    """What is wrong with the page that is shown, at both widths."""
    lang, wrong = page.locator("html").get_attribute("lang"), []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        text, wide, room, headings = page.evaluate(SAYS)
        wrong += [f"{name} {lang} {width}: {wide} px wide"] if wide > room else []
        wrong += [f"{name} {lang} {width}: {headings} headings"] if headings != 1 else []
    wrong += [f"{name} {lang}: the key {key}" for key in KEY.findall(text)]
    if (lang == "ko") != bool(HANGUL.search(text.replace(NAME, ""))):
        wrong.append(f"{name} {lang}: {text[:200]!r}")
    return wrong


def walk(buyer: Buyer, name: str) -> list[str]:
    """All pages of a buyer, in both languages."""
    page, base = buyer.context.new_page(), f"/events/{buyer.event_id}"
    page.add_init_script(NO_HURRY)
    paths = [base, f"{base}/wait", f"{base}/seats", f"{base}/waitlist", "/reservations"]
    paths += [f"/reservations/{buyer.reservation_id}"] if buyer.reservation_id else []
    wrong = []
    for path in paths:
        for lang in ("ko", "en"):
            answer = page.goto(f"{path}?lang={lang}")
            assert answer is not None
            wrong += [f"{name} {path}: {answer.status}"] if answer.status >= 500 else []
            wrong += look(
                page, f"{name} {path.replace(buyer.event_id, 'EVENT').replace(buyer.reservation_id or '-', 'ID')}"
            )
    page.close()
    return wrong


@pytest.fixture
def people(new_context: NewContext) -> Callable[[str], Buyer]:
    return lambda event_id: Buyer(new_context(), event_id)


@pytest.mark.parametrize("state", STATES)
def test_each_page_of_each_buyer_in_each_state(
    new_context: NewContext, people: Callable[[str], Buyer], ask: Ask, state: str
) -> None:
    event_id = an_event(ask)
    buyers = {name: people(event_id) for name in (*BEFORE, *LATER)}
    for name, act in BEFORE.items():
        act(buyers[name])
    ask("PATCH", f"events/{event_id}/admission", {"state": "paused"})
    for name, act in LATER.items():
        act(buyers[name])
    STATES[state](ask, new_context, event_id)
    if state == "sold out":
        listed = buyers["listed"] = people(event_id)
        listed.post(f"/api/waitlist/{event_id}", {"wish": {"quantity": 1}})
    assert [each for name, buyer in buyers.items() for each in walk(buyer, f"{state}, {name}")] == []


@pytest.mark.parametrize("state", ["upcoming", "lobby"])
def test_each_page_of_each_buyer_before_the_opening(people: Callable[[str], Buyer], ask: Ask, state: str) -> None:
    event_id = an_event(ask, saleOpensAt=soon(minutes=20))
    buyers = {name: people(event_id) for name in ("nobody", "account")}
    log_in(buyers["account"])
    if state == "lobby":
        ask("PATCH", f"events/{event_id}/admission", {"lobbyMinutes": 60})
        buyers["waits"] = people(event_id)
        give_up = time.monotonic() + WAIT_MAX_MS / 1000
        while ask("GET", f"events/{event_id}/admission")["state"] != "lobby":
            assert time.monotonic() < give_up
        buyers["waits"].join()
    assert [each for name, buyer in buyers.items() for each in walk(buyer, f"{state}, {name}")] == []

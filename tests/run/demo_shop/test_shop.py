"""The demo shop behind its middleware: who has a pass buys once, sees the purchase, and the visit ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx2
import pytest

from app.connect.asgi import WaitingRoom
from app.run.demo_shop import record
from app.run.demo_shop.crowd import SIZE, Crowd
from app.run.demo_shop.origin import RULES
from app.run.demo_shop.pages import WORDS
from app.run.demo_shop.shop import Shop
from config.demo import PRODUCTS, SHOP
from tests.connect.passes import TIKETI, Clock, Tiketi
from tests.waiting import wait_until

HERE = "http://127.0.0.1:8001"


@pytest.fixture
def tiketi() -> Tiketi:
    return Tiketi()


@pytest.fixture
def shop() -> Shop:
    return Shop(Clock(), TIKETI, Crowd(HERE, TIKETI, SHOP, 60))


@pytest.fixture
async def browser(tiketi: Tiketi, shop: Shop) -> AsyncIterator[httpx2.AsyncClient]:
    settings = tiketi.settings(Clock(), room=SHOP, origin=SHOP, rules=RULES)
    transport = httpx2.ASGITransport(WaitingRoom(shop.app(), **settings))
    async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
        yield client


def token(tiketi: Tiketi, number: int = 7) -> str:
    return tiketi.token(aud=SHOP, jti=f"{SHOP}.1.{number}", number=number)


async def test_who_buys_waits_first_and_comes_back_to_what_they_wanted(browser: httpx2.AsyncClient) -> None:
    home = await browser.get("/")
    wanted = re.findall(r'href="(/buy/\w+)"', home.text)
    assert len(wanted) == len(PRODUCTS)
    sent = await browser.get(wanted[0])
    assert sent.headers["location"] == f"{TIKETI}/wait/{SHOP}?t=http%3A%2F%2F127.0.0.1%3A8001%2Fbuy%2Fhan"


async def test_a_visitor_buys_once_sees_the_purchase_and_the_visit_ends(
    browser: httpx2.AsyncClient, tiketi: Tiketi, shop: Shop
) -> None:
    came = await browser.get(f"/buy/han?tiketi_pass={token(tiketi)}", follow_redirects=True)
    assert (came.status_code, str(came.url)) == (200, f"{HERE}/buy/han")
    first, again = [await browser.post("/buy/han") for _ in range(2)]
    assert first.headers["location"] == again.headers["location"]
    thanks = await browser.get(first.headers["location"])
    assert "Night on the Han is yours" in thanks.text
    assert tiketi.ended == [(f"{TIKETI}/api/origins/{SHOP}/visits/{SHOP}.1.7/end", "key")]
    assert "tiketi-visit" not in thanks.headers
    assert (await browser.get("/buy/han")).status_code == 302
    assert "Night on the Han is yours" in (await browser.get(first.headers["location"])).text
    (seen,) = shop.record.visits()
    assert (seen.jti, seen.number, seen.ended_s is not None) == (f"{SHOP}.1.7", 7, True)
    told = (await browser.get("/record")).json()
    assert [(visit["jti"], visit["order"]) for visit in told["visits"]] == [(seen.jti, seen.order)]


async def test_a_person_alone_can_send_others_first(
    browser: httpx2.AsyncClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, came = asyncio.Event(), []

    async def visit(place: int) -> None:
        came.append(place)
        await go_on.wait()

    monkeypatch.setattr(shop.crowd, "_visit", visit)
    assert (await browser.post("/crowd", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 404
    assert shop.crowd.left == 0
    for _ in range(2):  # a second click sends nobody more
        assert (await browser.post("/crowd")).headers["location"] == "/"
    assert f"{SIZE} simulated visitors" in (await browser.get("/")).text

    async def all_came() -> bool:
        return came == list(range(1, SIZE + 1))

    await wait_until(all_came, description="all of the crowd are on their way")
    async with shop.crowd.lifespan(None):
        pass
    assert shop.crowd.left == 0
    assert "/crowd" in (await browser.get("/")).text


async def test_an_address_that_is_none_says_so(browser: httpx2.AsyncClient, tiketi: Tiketi) -> None:
    assert (await browser.get("/nothing")).status_code == 404
    assert (await browser.get("/thanks/nothing")).status_code == 404
    headers = {"X-Admission-Pass": token(tiketi)}
    assert (await browser.get("/buy/nothing", headers=headers)).status_code == 404
    assert (await browser.post("/buy/nothing", headers=headers)).status_code == 404


class Text(HTMLParser):
    """The language of a page, and what is said on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lang: str | None = None
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.lang = dict(attrs)["lang"] if tag == "html" else self.lang

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.mark.parametrize(("asked", "lang"), [("ko-KR,ko;q=0.9", "ko"), ("en-GB", "en"), ("", "en")])
async def test_pages_are_in_the_language_of_the_browser(browser: httpx2.AsyncClient, asked: str, lang: str) -> None:
    page = Text((await browser.get("/", headers={"Accept-Language": asked})).text)
    assert page.lang == lang
    assert WORDS[lang]["title"] in page.said


def test_both_languages_say_everything() -> None:
    assert WORDS["ko"].keys() == WORDS["en"].keys()
    for key in WORDS["en"]:
        fields = [set(re.findall(r"{\w+}", WORDS[lang][key])) for lang in ("ko", "en")]
        assert fields[0] == fields[1], key


async def test_the_record_forgets_the_oldest_and_says_how_many(
    browser: httpx2.AsyncClient, tiketi: Tiketi, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "VISITS_MAX", 3)
    for number in range(1, 6):
        await browser.get("/buy/han", headers={"X-Admission-Pass": token(tiketi, number)})
    assert ([seen.number for seen in shop.record.visits()], shop.record.forgotten) == ([3, 4, 5], 2)

"""A line that asks everybody for work: a browser does it by itself, and one without scripts is asked to wait."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.browser.people import NewContext


@pytest.fixture
def asking(set_room: Callable[..., None]) -> Iterator[None]:
    """The demo's line asks everybody, and stands still."""
    set_room("paused", door="challenge")
    yield
    set_room("open", door="open")


@pytest.mark.usefixtures("asking")
def test_a_browser_works_for_its_place_while_a_bar_fills(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto("/events/demo")
    expect(page.locator("#join-work")).to_be_hidden()
    asked = []
    page.on("response", lambda answer: asked.append(answer.status) if answer.url.endswith("/join") else None)
    page.locator("#join-button").click()
    page.wait_for_url("**/events/demo/wait")
    assert asked == [428, 201]
    expect(page.locator("#number")).to_be_visible()


@pytest.mark.usefixtures("asking")
def test_without_scripts_the_page_asks_to_wait(new_context: NewContext) -> None:
    page = new_context(java_script_enabled=False, viewport={"width": 320, "height": 640}).new_page()
    page.goto("/events/demo")
    page.locator("details.wish summary").click()
    page.locator("[name=quantity]").select_option("2")
    page.locator("#join-button").click()
    page.wait_for_url("**/events/demo/check?quantity=2&adjacent=preferred")
    expect(page.locator(".notice.info").first).to_have_text(re.compile(r"You can join in \d+ seconds?\."))
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1


@pytest.mark.usefixtures("asking")
def test_who_was_sent_to_wait_and_has_scripts_works_instead(new_context: NewContext) -> None:
    context = new_context()
    plain = context.new_page()
    plain.route("**/*.js", lambda route: route.abort())
    plain.goto("/events/demo")
    plain.locator("#join-button").click()
    plain.wait_for_url("**/events/demo/check?")
    plain.unroute("**/*.js")
    plain.reload()
    plain.wait_for_url("**/events/demo/wait")
    expect(plain.locator("#number")).to_be_visible()


@pytest.mark.usefixtures("asking")
def test_a_person_solves_a_captcha_where_one_is_asked_for(new_context: NewContext) -> None:
    """The widget is drawn as Turnstile, hCaptcha and reCAPTCHA are; this one is solved by a press."""
    script = """globalThis.hcaptcha = { render(place, { sitekey, callback }) {
        const button = document.createElement("button");
        button.textContent = `I am a person of ${sitekey}`;
        button.type = "button";
        button.addEventListener("click", () => callback("token"));
        place.append(button);
    } };"""
    page, tokens = new_context().new_page(), []

    def answer(route: Route) -> None:
        tokens.append(route.request.headers.get("x-captcha-token"))
        captcha = {"siteKey": "the shop", "scriptUrl": "/captcha.js"}
        problem = {"code": "challenge_required", "captcha": captcha}
        route.fulfill(status=428, content_type="application/problem+json", body=json.dumps(problem))

    page.route("**/captcha.js", lambda route: route.fulfill(content_type="text/javascript", body=script))
    page.route("**/api/queue/demo/join", answer)
    page.goto("/events/demo")
    page.locator("#join-button").click()
    with page.expect_request("**/api/queue/demo/join") as sent:
        page.get_by_role("button", name="I am a person of the shop").click()
    assert sent.value.headers["x-captcha-token"] == "token"
    expect(page.locator("#join-captcha")).to_be_visible()  # it did not do, so another one is drawn
    assert tokens == [None, "token"]

"""A place goes from a browser inside of an app to one's own: said before joining, by a link or a code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, join
from tests.browser.test_accessibility import PHONE, assert_accessible

MOBILE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
APPS = ("KAKAOTALK 2610740", "NAVER(inapp; search; 1000; 12.1.0)", "Instagram 330.0.0.0.1")


@pytest.mark.parametrize("app", APPS)
def test_an_app_s_browser_is_told_before_it_joins_that_the_place_can_go_along(
    new_context: NewContext, app: str
) -> None:
    for user_agent, told in ((f"{MOBILE} {app}", True), (MOBILE, False)):
        page = new_context(viewport=PHONE, user_agent=user_agent).new_page()
        page.goto("/events/demo")
        notice = page.locator("#in-app")
        expect(notice).to_have_count(int(told))
        if told:
            expect(notice).to_contain_text("“Get a link for my browser”")
            assert_accessible(page)


@pytest.mark.parametrize("way", ["link", "code"])
def test_a_place_goes_along_to_one_s_own_browser(new_context: NewContext, paused: Callable[[], None], way: str) -> None:
    inside = new_context(viewport=PHONE, user_agent=f"{MOBILE} {APPS[0]}").new_page()
    own = new_context(viewport=PHONE).new_page()
    join(inside)
    number = inside.locator("#number").inner_text()
    expect(inside.get_by_text("This page is open inside of another app.")).to_be_visible()
    inside.get_by_role("button", name="Get a link for my browser").click()
    expect(inside.get_by_role("heading", level=1)).to_have_text("Take your place along")
    assert_accessible(inside)
    if way == "link":
        own.goto(inside.get_by_label("Link").input_value())
        expect(own.get_by_label("Code")).not_to_have_value("")
        assert "#" not in own.url, "nobody reads the code over a shoulder, or in a history"
    else:
        own.goto("/events/demo/resume")
        own.get_by_label("Code").fill(inside.locator("#code").inner_text())
    assert_accessible(own)
    own.get_by_role("button", name="Go on in this browser").click()
    own.wait_for_url("**/events/demo/wait")
    expect(own.locator("#number")).to_have_text(number)
    expect(inside.get_by_text("Your place is in the other browser now.")).to_be_visible()
    inside.goto("/events/demo/wait")
    expect(inside.locator("#room")).to_have_attribute("data-state", "none")


def test_a_code_that_is_good_no_more_is_told_and_can_be_typed_again(person: Page) -> None:
    person.goto("/events/demo/resume")
    person.get_by_label("Code").fill("nothing")
    person.get_by_role("button", name="Go on in this browser").click()
    expect(person.get_by_role("alert")).to_contain_text("There is no such code")
    expect(person.get_by_label("Code")).to_be_visible()
    assert_accessible(person)

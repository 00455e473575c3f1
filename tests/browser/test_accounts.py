"""Accounts in a real browser: a place taken before logging in is there on the phone too, and gone after a log-out."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, join, log_in_admin
from tests.browser.test_accessibility import PHONE, assert_accessible

PASSWORD = "correct horse"


def fill(page: Page, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_label(label.replace("_", "-"), exact=False).fill(text)


def test_a_place_follows_its_account_from_the_laptop_to_the_phone(
    new_context: NewContext, paused: Callable[[], None]
) -> None:
    laptop, phone = new_context().new_page(), new_context(viewport=PHONE).new_page()
    join(laptop)
    number = laptop.locator("#number").inner_text()
    laptop.get_by_role("link", name="Log in").click()
    laptop.get_by_role("link", name="I have no account yet").click()
    fill(laptop, Name="Ann Lee", E_mail="browser@example.com", Password="1234567")
    laptop.get_by_role("button", name="Make an account").click()
    expect(laptop.get_by_role("alert")).to_contain_text("at least 10 characters")
    assert_accessible(laptop)
    fill(laptop, Password=PASSWORD)
    laptop.keyboard.press("Enter")
    expect(laptop.get_by_role("status")).to_contain_text("Log in now")
    expect(laptop.get_by_label("E-mail")).to_have_value("browser@example.com")
    assert_accessible(laptop)
    fill(laptop, Password=PASSWORD)
    laptop.keyboard.press("Enter")
    laptop.wait_for_url("**/events/demo/wait")
    expect(laptop.locator("#number")).to_have_text(number)
    expect(laptop.get_by_role("banner")).to_contain_text("Ann Lee")

    phone.goto("/events/demo")
    phone.get_by_role("link", name="Log in").click()
    fill(phone, E_mail="browser@example.com", Password=PASSWORD)
    phone.get_by_role("button", name="Log in").click()
    phone.get_by_role("link", name="See my place").click()
    expect(phone.locator("#number")).to_have_text(number)
    assert_accessible(phone)
    phone.get_by_role("button", name="Log out").click()
    expect(phone.get_by_role("link", name="Log in")).to_be_visible()
    phone.goto("/events/demo/wait")
    expect(phone.locator("#room")).to_have_attribute("data-state", "none")
    laptop.reload()
    expect(laptop.locator("#number")).to_have_text(number)


def test_what_was_bought_is_in_the_list_and_a_log_out_in_one_tab_ends_the_other(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto("/register?next=/events/open-air/seats")
    fill(page, Name="Bo", E_mail="list@example.com", Password=PASSWORD)
    page.get_by_role("button", name="Make an account").click()
    fill(page, Password=PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/events/open-air/seats")
    page.locator("#best button").click()
    page.wait_for_url("**/reservations/*")
    page.get_by_role("link", name="My reservations").click()
    expect(page.locator("[data-status=pending] h2")).to_have_count(1)
    assert_accessible(page)
    other = page.context.new_page()
    other.goto("/")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    expect(other.get_by_role("link", name="Log in")).to_be_visible()
    other.goto("/reservations")
    expect(other.get_by_text("There are no reservations yet.")).to_be_visible()


def test_a_log_in_in_one_tab_renews_the_forms_of_another_which_keeps_what_was_chosen(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto("/events/demo")
    page.locator("details.wish summary").click()
    page.locator("[name=quantity]").select_option("2")
    other = page.context.new_page()
    log_in_admin(other)
    expect(page.get_by_role("banner")).to_contain_text("Log out")
    expect(page.locator("[name=quantity]")).to_have_value("2")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_two_tabs_that_are_opened_at_once_for_the_first_time_agree(new_context: NewContext) -> None:
    """Each was given a cookie for its forms; the browser has the later one, and the forms of both are good for it."""
    context = new_context()
    first, second = context.new_page(), context.new_page()
    first.goto("/login")
    mark = first.locator("footer").get_attribute("data-forms-for")
    context.clear_cookies()
    second.goto("/login")
    newer = second.locator("footer").get_attribute("data-forms-for") or ""
    assert newer != mark
    expect(first.locator("footer")).to_have_attribute("data-forms-for", newer)
    fill(first, E_mail="nobody@example.com", Password=PASSWORD)
    first.get_by_role("button", name="Log in").click()
    expect(first.get_by_role("alert")).to_be_visible()

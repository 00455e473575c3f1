"""Accounts as a person without JavaScript has them: make one, log out, log in, and see what was reserved."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from app.http.accounts.page import own_path
from tests.http.browser import Browser
from tests.run.test_up import Up, up

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("accounts") / "data") as system:
        yield system


@pytest.fixture
def browser(system: Up) -> Iterator[Browser]:
    with Browser(base_url=f"http://{system.netloc}", headers={"Accept-Language": "en"}, timeout=30) as client:
        yield client


def test_an_account_is_in_the_header_of_every_page_and_leaves_it_again(browser: Browser) -> None:
    assert 'href="/login?next=/events/demo"' in browser.get("/events/demo").text
    browser.enter("header@example.com", PASSWORD, name="Ann <b>Lee", onward="/events/demo")
    for path in ("/", "/events/demo", "/events/demo/wait", "/events/demo/seats", "/reservations", "/nowhere/at/all"):
        page = browser.get(path, headers={"Accept": "text/html"}).text
        assert "Ann &lt;b&gt;Lee" in page, path
        assert 'action="/logout"' in page, path
    assert browser.submit("/logout").headers["location"] == "/"
    assert "Ann" not in browser.get("/").text
    assert "tiketi_session" not in browser.cookies


def test_after_logging_in_one_is_where_one_came_from(browser: Browser) -> None:
    browser.enter("onward@example.com", PASSWORD, name="Ann <b>Lee")
    browser.submit("/logout")
    entered = browser.submit("/login", {"email": "onward@example.com", "password": PASSWORD, "next": "/events/small"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/events/small")
    away = browser.submit("/login", {"email": "onward@example.com", "password": PASSWORD, "next": "//evil.example/"})
    assert away.headers["location"] == "/"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/events/demo", "/events/demo"),
        ("", "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n", "/"),
        ("javascript:alert(1)", "/"),
        ("/" + "x" * 200, "/"),
    ],
)
def test_only_a_path_of_ours_is_gone_on_to(text: str, path: str) -> None:
    assert own_path(text) == path


def test_what_was_typed_wrongly_is_said_and_the_rest_is_kept_but_never_the_password(browser: Browser) -> None:
    refused = browser.submit("/register", {"name": "Ann", "email": "short@example.com", "password": "1234567"})
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    assert "at least 10 characters" in refused.text
    assert 'value="short@example.com"' in refused.text
    assert "1234567" not in refused.text
    wrong = browser.submit("/login", {"email": "short@example.com", "password": "not this one"})
    assert wrong.status_code == 401
    assert "not this one" not in wrong.text


def test_registering_leads_to_the_log_in_and_looks_alike_for_an_email_that_has_an_account(browser: Browser) -> None:
    def registered(email: str) -> str:
        made = browser.submit("/register", {"name": "Bo", "email": email, "password": PASSWORD, "next": "/events/demo"})
        assert (made.status_code, "set-cookie" in made.headers) == (200, False)
        assert 'role="status"' in made.text
        assert 'name="next" value="/events/demo"' in made.text
        assert f'value="{email}"' in made.text
        return re.sub(r'name="csrf" value="[^"]+"', "", made.text).replace(email, "")

    first = registered("pages@example.com")
    assert registered("pages@example.com") == first == registered("other@example.com")
    assert 'href="/login' in browser.get("/").text, "nobody is logged in by it"


def test_what_an_account_reserved_is_seen_wherever_it_is_logged_in(browser: Browser, system: Up) -> None:
    assert "There are no reservations yet." in browser.get("/reservations").text
    browser.enter("mine@example.com", PASSWORD, name="Ann <b>Lee")
    made = browser.submit("/events/open-air/reserve", {"quantity": "2", "adjacent": "yes"}).headers["location"]
    assert f'href="{made}"' in browser.get("/reservations").text
    with Browser(base_url=f"http://{system.netloc}", timeout=30) as phone:
        assert phone.get(made).status_code == 404
        phone.submit("/login", {"email": "mine@example.com", "password": PASSWORD})
        assert f'href="{made}"' in phone.get("/reservations").text
        assert 'data-status="pending"' in phone.get(made).text
        assert phone.submit(f"{made}/cancel").status_code == 303
    assert 'data-status="cancelled"' in browser.get("/reservations").text
    browser.submit("/logout")
    assert browser.get(made).status_code == 404, "the next person at this browser sees nothing of it"
    assert made not in browser.get("/reservations").text


def test_the_password_is_changed_on_a_page_of_its_own(browser: Browser, system: Up) -> None:
    assert browser.get("/account/password").headers["location"] == "/login?next=/account/password"
    browser.enter("changing@example.com", PASSWORD, name="Ann <b>Lee")
    with Browser(base_url=f"http://{system.netloc}", timeout=30) as phone:
        phone.submit("/login", {"email": "changing@example.com", "password": PASSWORD})
        wrong = browser.submit("/account/password", {"old": "wrong horse", "new": "another horse"})
        assert (wrong.status_code, "The old password is wrong." in wrong.text) == (403, True)
        short = browser.submit("/account/password", {"old": PASSWORD, "new": "short"})
        assert (short.status_code, "at least 10 characters" in short.text) == (422, True)
        assert browser.submit("/account/password", {"old": PASSWORD, "new": "another horse"}).status_code == 303
        assert "Ann &lt;b&gt;Lee" in browser.get("/").text
        assert "Ann &lt;b&gt;Lee" not in phone.get("/").text

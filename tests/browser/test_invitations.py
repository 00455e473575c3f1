"""Invitations in a browser: the link works and leaves its token nowhere, and without scripts it is pasted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import jwt
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.people import NewContext
from tests.run.test_up import Up, up

SECRET = "what the organiser and this shop know"


@pytest.fixture(scope="module")
def system(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("invited")
    secret: Path = folder / "secret"
    secret.write_text(SECRET)
    with up(folder / "data", TIKETI_INVITATION_SECRET_FILE=str(secret)) as system:
        with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
            login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
            token = {"Authorization": f"Bearer {login.json()['token']}"}
            changed = client.patch("/api/admin/events/demo/admission", json={"door": "invited"}, headers=token)
            assert changed.is_success, changed.text
        yield system


def invitation(sub: str, **changed: object) -> str:
    claims = {"aud": "demo", "sub": sub, "exp": time.time() + 3_600, "jti": "1", **changed}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_the_link_of_an_invitation_leads_into_the_line_and_its_token_is_in_no_address(person: Page) -> None:
    token, asked = invitation("ann"), list[Request]()
    person.on("request", lambda one: asked.append(one))
    person.goto(f"/events/demo#invitation={token}")
    expect(person.locator("#join-button")).to_be_visible()
    assert "#" not in person.url
    person.locator("#join-button").click()
    person.wait_for_url("**/events/demo/wait")
    person.go_back()
    expect(person.locator("#invitation")).to_have_count(0)
    shown = [one for one in asked if token in (one.post_data or "")]
    assert [(one.method, one.url.rpartition("/")[2]) for one in shown] == [("POST", "invitation")]
    assert all(token not in one.url.partition("#")[0] for one in asked)
    assert all(token not in value for one in asked for value in one.headers.values())


def test_one_that_has_expired_says_so_and_takes_no_place(person: Page) -> None:
    person.goto(f"/events/demo#invitation={invitation('old', exp=1_000_000_000)}")
    expect(person.locator("#invitation-error")).to_contain_text("has expired")
    expect(person.locator("#join-button")).to_have_count(0)


def test_without_scripts_it_is_pasted(new_context: NewContext) -> None:
    plain = new_context(java_script_enabled=False).new_page()
    link = f"/events/demo#invitation={invitation('ben')}"
    plain.goto(link)
    plain.get_by_label("Your invitation").fill(f"https://tickets.example{link}")
    plain.get_by_role("button", name="Show the invitation").click()
    plain.locator("#join-button").click()
    plain.wait_for_url("**/events/demo/wait")

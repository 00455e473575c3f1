"""An admin sends a seat map and a poster from a browser, without a script, and buyers see both."""

from __future__ import annotations

import httpx2
from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, log_in_admin
from tests.browser.test_accessibility import assert_accessible
from tests.pictures import picture
from tests.run.test_up import Up

EVENT = "upcoming"  # nobody can have reserved its seats
SEATS = "\n".join(
    f"{grade}석/1층/{section}구역/{row}열/{n}번"
    for grade, section in (("VIP", "가"), ("R", "나"))
    for row in range(1, 4)
    for n in range(1, 6)
)


def file_of(name: str, media: str, body: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": media, "buffer": body}


def send(page: Page, form: str, button: str, file: dict[str, object]) -> None:
    sent = page.locator(f"form[action$='/files/{form}']")
    sent.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]  # a payload as Playwright takes it
    sent.get_by_role("button", name=button).click()


def test_a_seat_map_and_a_poster_without_a_script(new_context: NewContext) -> None:
    page = new_context(java_script_enabled=False).new_page()
    log_in_admin(page)
    page.goto(f"/admin/events/{EVENT}")
    page.get_by_role("link", name="Seat map and poster").click()

    bad = file_of("seats.csv", "text/csv", f"{SEATS}\nVIP석/1층/가구역/1열/1번".encode("cp949"))
    send(page, "seats", "Replace the seat map", bad)
    expect(page.get_by_role("row", name="31")).to_contain_text("is on line 1 already")

    good = file_of("seats.csv", "application/vnd.ms-excel", SEATS.encode("cp949"))
    send(page, "seats", "Only check it", good)
    expect(page.get_by_role("status").filter(has_text="All is well")).to_contain_text("30 seats would be made")
    send(page, "seats", "Replace the seat map", good)
    expect(page.get_by_role("status").filter(has_text="imported")).to_contain_text("30 seats were imported")

    send(page, "poster", "Send the poster", file_of("p.jpg", "image/jpeg", picture("JPEG", (600, 900))))
    expect(page.locator(".poster-now")).to_have_attribute("width", "600")  # the page reloads itself until then

    buyer = new_context().new_page()
    buyer.goto(f"/events/{EVENT}")
    shown = buyer.get_by_role("img", name="Poster of")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.complete || image.decode().then(() => image.naturalWidth)")
    assert_accessible(buyer)
    buyer.goto(f"/events/{EVENT}/seats")
    expect(buyer.locator("rect.seat")).to_have_count(30)
    expect(buyer.get_by_role("row", name="1층 가")).to_have_count(3)


def test_a_seat_file_stays_chosen_from_one_check_to_the_import(new_context: NewContext) -> None:
    page = new_context().new_page()
    log_in_admin(page)
    page.goto(f"/admin/events/{EVENT}/files")
    form = page.locator("#seats-form")
    form.locator("[name=prices]").fill("VIP=170000")
    bad = f"{SEATS}\nVIP석/1층/가구역/1열/1번"
    send(page, "seats", "Only check it", file_of("bad.csv", "text/csv", bad.encode()))
    expect(page.locator("#map-now .faults")).to_contain_text("is on line 1 already")
    expect(page.locator("#map-now")).to_be_focused()
    assert_accessible(page)
    form.get_by_role("button", name="Replace the seat map").click()
    expect(page.locator("#map-now .faults")).to_contain_text("is on line 1 already")
    send(page, "seats", "Only check it", file_of("good.csv", "text/csv", SEATS.encode()))
    expect(page.get_by_role("status").filter(has_text="All is well")).to_contain_text("30 seats would be made")
    assert form.locator("input[type=file]").evaluate("input => input.files[0].name") == "good.csv"
    expect(form.locator("[name=prices]")).to_have_value("VIP=170000")
    form.get_by_role("button", name="Replace the seat map").click()
    expect(page.get_by_role("status").filter(has_text="imported")).to_contain_text("30 seats were imported")


def test_a_hall_without_seats_says_so_until_it_has_some(person: Page, system: Up) -> None:
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        client.headers["authorization"] = f"Bearer {login.json()['token']}"
        wanted = {"title": "Bare", "venue": "Hall", "eventDate": "2099-01-01T19:00", "admission": "open"}
        event_id = client.post("/api/admin/events", json=wanted).json()["event"]["id"]
        person.goto(f"/events/{event_id}/seats")
        expect(person.get_by_text("This event has no seats yet.")).to_be_visible()
        expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
        path = f"/api/admin/events/{event_id}/seats"
        csv = {"content-type": "text/csv"}
        sent = client.post(path, params={"prices": "VIP석=1;R석=1"}, content=SEATS.encode(), headers=csv)
        assert sent.status_code == 201, sent.text
    expect(person.locator("rect.seat")).to_have_count(30)
    expect(person.get_by_text("This event has no seats yet.")).to_be_hidden()

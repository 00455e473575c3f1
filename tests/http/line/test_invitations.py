"""A line for people who were invited: one place for each person the organiser names, which nobody else can use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from tests.http.buyer import assert_problem, buyer
from tests.http.forms import send
from tests.http.system import BUYER, System, Web

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "what the organiser and this shop know"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("invitations") / "secret"
    file.write_text(f"{SECRET}\n")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["fast", "ordinary"])
async def web(request: pytest.FixtureRequest, system: System, secret: Path) -> AsyncIterator[Web]:
    yield await system.another_web(invitation_secret_file=secret, fast_path=request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def party(system: System, web: Web) -> str:
    """An event whose line is for people who were invited."""
    event_id = await system.event()
    await system.change(event_id, door="invited")
    await web.state["rooms"].reload(event_id)
    return event_id


def invitation(event_id: str, sub: str = "ann", **changed: Any) -> dict[str, str]:
    claims = {"aud": event_id, "sub": sub, "exp": time.time() + 600, "jti": "1", **changed}
    return {"x-invitation": jwt.encode(claims, SECRET, algorithm="HS256")}


async def test_who_was_invited_buys_and_the_browser_needs_the_invitation_once(
    web: Web, system: System, party: str
) -> None:
    async with buyer(system, party, web) as ann:
        assert_problem(await ann.join(), 403, "invitation_required")
        joined = await ann.join(headers=invitation(party))
        assert joined.status_code == 201
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (200, joined.json()["number"])
        await ann.until("admitted")
        assert (await ann.claim()).status_code == 200
        held = await ann.hold(quantity=2)
        assert (await ann.pay(held["id"])).status_code == 201
        mine = (await ann.client.get("/api/reservations/my")).json()["reservations"]
        assert [one["id"] for one in mine] == [held["id"]]


async def test_one_person_has_one_place_however_many_invitations_and_browsers(
    web: Web, system: System, party: str
) -> None:
    async def joins(jti: str) -> tuple[int, int]:
        async with buyer(system, party, web) as browser:
            answer = await browser.join(headers=invitation(party, jti=jti))
            return answer.status_code, answer.json()["number"]

    answers = [await joins("0"), *await asyncio.gather(*(joins(str(jti)) for jti in range(8)))]
    assert answers == [(201, 1)] + [(200, 1)] * 8
    async with buyer(system, party, web) as bob:
        assert (await bob.join(headers=invitation(party, "bob"))).json()["number"] == 2


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"exp": 1_000_000_000}, "invitation_expired"),
        ({"aud": "event-0"}, "invitation_foreign"),
        ({"sub": None}, "invitation_invalid"),
    ],
)
async def test_an_invitation_that_is_none_takes_no_place(
    web: Web, system: System, party: str, changed: dict[str, Any], code: str
) -> None:
    async with buyer(system, party, web) as ann:
        claims = {"aud": party, "sub": "ann", "exp": time.time() + 600, "jti": "1"} | changed
        token = jwt.encode({k: v for k, v in claims.items() if v is not None}, SECRET, algorithm="HS256")
        assert_problem(await ann.join(headers={"x-invitation": token}), 403, code)
        unsigned = jwt.encode({**claims, "sub": "ann"}, "", algorithm="none")
        assert_problem(await ann.join(headers={"x-invitation": unsigned}), 403, "invitation_invalid")
        assert await system.last_number(party) == 0


async def test_a_ticket_and_a_pass_of_an_invitation_open_nothing_to_others(
    web: Web, system: System, party: str
) -> None:
    async with buyer(system, party, web) as ann, buyer(system, party, web) as thief:
        ticket = (await ann.join(headers=invitation(party))).json()["ticket"]
        await ann.until("admitted")
        shown = {"x-queue-ticket": ticket}
        assert_problem(await thief.post("claim", headers=shown), 403, "holder_other")
        thief.client.cookies.set(f"tiketi_invited_{party}", "A" * 44)
        assert_problem(await thief.post("claim", headers=shown), 403, "holder_other")
        taken = {"x-admission-pass": (await ann.claim()).json()["pass"]}
        assert_problem(await thief.reserve(quantity=1, headers=taken), 403, "holder_other")
        held = await ann.hold(quantity=1)
        assert (await thief.client.get(f"/api/reservations/{held['id']}")).status_code == 404


async def test_an_invitation_to_one_line_is_none_to_another(web: Web, system: System, party: str) -> None:
    other = await system.event()
    await system.change(other, door="invited")
    await web.state["rooms"].reload(other)
    async with buyer(system, party, web) as ann:
        assert (await ann.join(headers=invitation(party))).status_code == 201
        found = await ann.client.post(f"/api/queue/{other}/join")
        assert (found.status_code, found.json()["code"]) == (403, "invitation_required")
        ann.client.cookies.set(f"tiketi_invited_{other}", ann.client.cookies[f"tiketi_invited_{party}"])
        found = await ann.client.post(f"/api/queue/{other}/join")
        assert (found.status_code, found.json()["code"]) == (403, "invitation_required")


async def test_logging_in_keeps_the_place_and_adds_none(web: Web, system: System, party: str) -> None:
    async with buyer(system, party, web) as ann:
        await ann.join(headers=invitation(party))
        login = {"email": BUYER[0], "password": BUYER[1]}
        assert (await ann.client.post("/api/auth/login", json=login)).status_code == 200
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (200, 1)
        await ann.until("admitted")
        assert (await ann.claim()).status_code == 200


@pytest.mark.parametrize("before", ["showed it", "had a place", "had a place in a line that is over"])
async def test_an_account_joins_a_line_that_asks_for_one_in_a_browser_that_was_invited_before(
    web: Web, system: System, party: str, before: str
) -> None:
    page = f"/events/{party}"
    async with buyer(system, party, web) as ann:
        if before != "showed it":
            await ann.join(headers=invitation(party))
        if before == "had a place":
            await ann.post("leave")
            await ann.until("left")
        elif before == "had a place in a line that is over":
            await system.change(party, state="closed")
            await system.change(party, state="open")
        else:
            token = invitation(party)["x-invitation"]
            await send(ann.client, page, f"{page}/invitation", {"invitation": token})
        await _ask_for_accounts(system, web, party)
        assert_problem(await ann.join(), 401, "login_required")
        login = {"email": BUYER[0], "password": BUYER[1]}
        assert (await ann.client.post("/api/auth/login", json=login)).status_code == 200
        joined = await ann.join()
        again = await ann.join()
        assert (joined.status_code, again.status_code) == (201, 200)
        assert again.json()["number"] == joined.json()["number"] == await system.last_number(party)
        await ann.until("admitted")
        assert (await ann.claim()).status_code == 200


async def test_the_place_of_an_invitation_stays_and_stays_the_only_one_where_an_account_is_asked_for(
    web: Web, system: System, party: str
) -> None:
    async with buyer(system, party, web) as ann:
        await ann.join(headers=invitation(party))
        await _ask_for_accounts(system, web, party)
        assert (await ann.join()).json()["number"] == 1
        login = {"email": BUYER[0], "password": BUYER[1]}
        assert (await ann.client.post("/api/auth/login", json=login)).status_code == 200
        again = await ann.join()
        assert (again.status_code, again.json()["number"], await system.last_number(party)) == (200, 1, 1)
        await ann.until("admitted")
        assert (await ann.claim()).status_code == 200


async def _ask_for_accounts(system: System, web: Web, event_id: str) -> None:
    await system.change(event_id, door="accounts")
    await web.state["rooms"].reload(event_id)


async def test_nobody_gets_onto_the_waiting_list_of_a_line_without_an_invitation(
    web: Web, system: System, party: str
) -> None:
    async with buyer(system, party, web) as first:
        await first.join(headers=invitation(party))
        await first.until("admitted")
        await first.claim()
        await first.hold(quantity=6, grades=["R"])
    async with buyer(system, party, web) as stranger:
        wish = {"wish": {"quantity": 6, "grades": ["R"]}}
        assert_problem(await stranger.client.post(f"/api/waitlist/{party}", json=wish), 403, "invitation_required")


def forged(event_id: str) -> dict[str, tuple[str, str]]:
    """What is no invitation to this event, by name, and the code that says so."""
    claims: dict[str, Any] = {"aud": event_id, "sub": "ann", "exp": time.time() + 600, "jti": "1"}

    def signed(changed: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
        return jwt.encode(claims | changed, secret, algorithm=algorithm)

    good = signed({})
    return {
        "expired": (signed({"exp": 1_000_000_000}), "invitation_expired"),
        "foreign": (signed({"aud": "event-0"}), "invitation_foreign"),
        "of another signer": (signed({}, f"{SECRET}, or nearly"), "invitation_invalid"),
        "alg none": (signed({}, "", "none"), "invitation_invalid"),
        "unsigned": (good.rpartition(".")[0] + ".", "invitation_invalid"),
        "not yet": (signed({"nbf": time.time() + 600}), "invitation_invalid"),
        "of another algorithm": (signed({}, SECRET * 2, "HS512"), "invitation_invalid"),
        "huge": ("x" * 5_000, "invitation_invalid"),
    }


@pytest.mark.parametrize("name", list(forged("")))
async def test_what_is_no_invitation_gets_in_by_no_way(web: Web, system: System, party: str, name: str) -> None:
    token, code = forged(party)[name]
    page = f"/events/{party}"
    async with buyer(system, party, web, headers={"accept-language": "en"}) as ann:
        assert_problem(await ann.join(headers={"x-invitation": token}), 403, code)
        bare = await ann.client.post(f"/api/queue/{party}/join", headers={"x-invitation": token, "content-length": "0"})
        assert_problem(bare, 403, code)
        shown = await send(ann.client, page, f"{page}/invitation", {"invitation": token})
        assert (shown.status_code, 'id="invitation-error"' in shown.text) == (403, True)
        assert token not in shown.text
        assert f"tiketi_invited_{party}" not in ann.client.cookies
        for place in ("params", "cookies"):
            sent = {place: {"invitation": token, "x-invitation": token, f"tiketi_invited_{party}": token}}
            async with web.client(**sent) as stranger:
                answer = await stranger.post(f"/api/queue/{party}/join")
                assert_problem(answer, 403, "invitation_required")
        assert await system.last_number(party) == 0


async def test_an_invitation_is_shown_by_a_form_without_a_script(web: Web, system: System, party: str) -> None:
    page = f"/events/{party}"
    async with buyer(system, party, web, headers={"accept-language": "en"}) as ann:
        shown = (await ann.client.get(page)).text
        assert ('id="invitation"' in shown, 'id="join"' in shown) == (True, False)
        token = invitation(party)["x-invitation"]
        pasted = f" https://tickets.example{page}#invitation={token[:40]}\r\n{token[40:]} "
        answer = await send(ann.client, page, f"{page}/invitation", {"invitation": pasted})
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        shown = (await ann.client.get(page)).text
        assert 'id="join"' in shown
        assert token not in shown
        assert (await send(ann.client, page, f"{page}/join", {})).headers["location"] == f"{page}/wait"
        assert (await ann.join()).json()["number"] == await system.last_number(party) == 1
    async with buyer(system, party, web) as again:
        await send(again.client, page, f"{page}/invitation", {"invitation": token})
        assert (await again.join()).json()["number"] == 1


async def test_a_form_of_another_site_shows_no_invitation(web: Web, system: System, party: str) -> None:
    async with buyer(system, party, web) as ann:
        token = invitation(party)["x-invitation"]
        answer = await ann.client.post(f"/events/{party}/invitation", data={"invitation": token})
        assert answer.status_code == 403
        assert f"tiketi_invited_{party}" not in ann.client.cookies

"""Keys are rotated while people wait: processes that start again one by one believe each other all along."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from app.http.accounts import keyring
from app.http.accounts.keyring import Keyring
from config.keys import load_keys, rotate
from tests.http.buyer import Buyer
from tests.http.system import BUYER, System, Web
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def knows(web: Web, keys_total: int) -> None:
    async with web.client() as client:

        async def publishes_them() -> bool:
            return len((await client.get("/.well-known/jwks.json")).json()["keys"]) == keys_total

        await wait_until(publishes_them, description="the process has learned the new key")


async def test_what_a_process_signs_after_a_rotation_is_good_at_those_that_did_not_start_again(
    system: System, event_id: str
) -> None:
    """Ticket, session, pass and form made by the one that started again, shown to the one that did not, and back."""
    known = len(load_keys(system.settings.data_dir).signing_keys)
    rotate(system.settings.data_dir)
    await knows(system.web, known + 1)
    fresh = await system.another_web()
    for first, second in ((fresh, system.web), (system.web, fresh)):
        email, password = BUYER
        async with first.client() as client, second.client() as elsewhere:
            login = await client.post("/api/auth/login", json={"email": email, "password": password})
            elsewhere.headers["authorization"] = f"Bearer {login.json()['token']}"
            assert (await elsewhere.get("/api/reservations/my")).status_code == 200
        async with first.client() as client, second.client() as elsewhere:
            here, there = Buyer(client, event_id), Buyer(elsewhere, event_id)
            await here.join()
            elsewhere.cookies = client.cookies
            await there.until("admitted")
            elsewhere.headers["x-admission-pass"] = (await here.claim()).json()["pass"]
            held = await there.hold(quantity=1)
            page = await client.get(f"/reservations/{held['id']}")
            token = re.findall(r'name="csrf" value="([^"]+)"', page.text)[-1]
            elsewhere.cookies = client.cookies  # a copy each time: with the form's own now
            paid = await elsewhere.post(f"/reservations/{held['id']}/pay", data={"method": "kakao_pay", "csrf": token})
            assert paid.status_code == 303, paid.text


def replace(path: Path, text: str) -> None:
    """As whoever changes keys does it: with another file, which its time alone may not tell from the last."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


async def test_a_damaged_key_file_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "LOOK_S", 0.0)
    load_keys(tmp_path)
    ring, learned = Keyring(tmp_path / "keys.json"), asyncio.Event()
    ring.on_change(lambda _: learned.set())
    good = (tmp_path / "keys.json").read_text()
    replace(tmp_path / "keys.json", "{")
    following = asyncio.create_task(ring.run())
    try:
        first = ring.seen

        async def was_looked_at() -> bool:
            return ring.seen != first

        await wait_until(was_looked_at, description="the damaged file was looked at")
        assert not learned.is_set()
        replace(tmp_path / "keys.json", good)
        await asyncio.wait_for(learned.wait(), 20)
        assert not following.done()
    finally:
        following.cancel()

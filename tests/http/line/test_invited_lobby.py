"""People who were invited in the draw of an opening: one entry each, in however many browsers they show whatever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.domain.line import RoomState
from tests.http.buyer import buyer
from tests.http.line.test_invitations import SECRET, invitation
from tests.http.line.test_lobby import lobby_of, shown
from tests.http.system import System, Web
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"opening_draw_s": 0.5}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["fast", "ordinary"])
async def web(
    request: pytest.FixtureRequest, system: System, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Web]:
    file: Path = tmp_path_factory.mktemp("invited") / "secret"
    await asyncio.to_thread(file.write_text, SECRET)
    yield await system.another_web(invitation_secret_file=file, fast_path=request.param)


async def test_one_person_is_one_entry_and_gets_one_number(system: System, web: Web) -> None:
    event_id = await lobby_of(system, door="invited")
    await web.state["rooms"].reload(event_id)

    async def enters(sub: str, jti: str) -> int:
        async with buyer(system, event_id, web) as browser:
            answer = await browser.join(headers=invitation(event_id, sub, jti=jti))
            entry: int = answer.json()["entry"]
            return entry

    ann = await enters("ann", "0")
    assert await asyncio.gather(*(enters("ann", str(jti % 3)) for jti in range(9))) == [ann] * 9
    assert await enters("bob", "0") == ann + 1
    assert await system.last_number(event_id) == 2
    await system.change(event_id, state=RoomState.open)

    async def is_drawn() -> bool:
        return (await shown(system, event_id))["seed"] is not None

    await wait_until(is_drawn, description="the draw was made")
    assert (await shown(system, event_id))["entries"] == 2

    async def numbers(sub: str) -> set[int]:
        found = set()
        for jti in ("0", "another"):
            async with buyer(system, event_id, web) as browser:
                await browser.join(headers=invitation(event_id, sub, jti=jti))
                await browser.until("waiting", "admitted", "claimed")
                found.add((await browser.position()).get("number", 0))
        return found

    of_ann, of_bob = await numbers("ann"), await numbers("bob")
    assert (len(of_ann), len(of_bob), of_ann & of_bob) == (1, 1, set())
    assert await system.last_number(event_id) == 2

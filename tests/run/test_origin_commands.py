"""`tiketi origins` and `tiketi rooms` do what the admin API does; secrets are told once and logged nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.origins.connector.test_imported import integration, part
from tests.pictures import picture
from tests.room.server import server_in

pytestmark = pytest.mark.slow  # starts the product's own processes
SHOP = ("--name", "A shop", "--host", "shop.example", "--target", "https://shop.example/")
Tiketi = Callable[..., subprocess.CompletedProcess[str]]


@pytest_asyncio.fixture
async def tiketi(tmp_path: Path) -> AsyncIterator[Tiketi]:
    """The command, on tables and a Redis of its own."""
    async with server_in(tmp_path / "redis") as server:
        where = {"TIKETI_DATA_DIR": str(tmp_path / "data"), "REDIS_URL": server.url}

        def run(*args: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-P", "-m", "app.cli", *args]
            environ = {**os.environ, **where}
            return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

        assert run("migrate").returncode == 0
        yield run


async def test_an_origin_is_made_listed_rotated_and_deleted(tiketi: Tiketi, tmp_path: Path) -> None:
    made = tiketi("origins", "create", "shop", *SHOP, "--customer", "shop1")
    assert (made.returncode, made.stderr) == (0, "")
    said = made.stdout.splitlines()
    assert said[:2] == ["shop is made.", "Nobody can show these two again:"]
    secret, key = (line.split()[-1] for line in said[2:])
    assert (len(secret), len(key)) == (72, 64)
    listed = tiketi("origins", "list", "--json")
    assert json.loads(listed.stdout)["customerId"] == "shop1"
    rotated = json.loads(tiketi("origins", "rotate", "shop", "--json").stdout)
    assert secret not in (rotated["secret"], listed.stdout)
    assert rotated["origin"]["previousUntil"]
    assert tiketi("origins", "frames", "shop", "https://shop.example").stdout == "In a frame at: https://shop.example\n"
    assert tiketi("origins", "frames", "shop").stdout == "In a frame at: nobody\n"
    file = tmp_path / "logo.png"
    file.write_bytes(picture())
    logo = json.loads(tiketi("origins", "logo", "shop", str(file), "--json").stdout)["logo"]
    assert (logo["width"], logo["height"]) == (120, 160)
    assert json.loads(tiketi("origins", "logo", "shop", "--remove", "--json").stdout)["logo"] is None
    assert tiketi("origins", "delete", "shop").stdout == "shop is deleted.\n"
    assert tiketi("origins", "list").stdout == ""


async def test_a_room_is_made_shown_changed_and_deleted(tiketi: Tiketi, tmp_path: Path) -> None:
    tiketi("origins", "create", "shop", *SHOP)
    file = tmp_path / "rules.json"
    file.write_text('[{"action": "pass", "path": "/about"}]')
    options = ("--rate", "7", "--mode", "standby", "--rules", str(file), "--opens", "2020-01-01T00:00Z")
    made = tiketi("rooms", "create", "sale", "--origin", "shop", "--name", "Sale", *options, "--json")
    assert made.returncode == 0, made.stderr
    room = json.loads(made.stdout)
    assert (room["mode"], room["ratePerSecond"], room["rules"]) == ("standby", 7, json.loads(file.read_text()))
    changed = json.loads(tiketi("rooms", "change", "sale", "--capacity", "9", "--preset", "plain", "--json").stdout)
    assert (changed["maxActive"], changed["ratePerSecond"], len(changed["rules"])) == (9, 7, 3)
    assert "maxActive       9\n" in tiketi("rooms", "show", "sale").stdout
    assert tiketi("rooms", "pause", "sale").stdout == "sale: paused\n"
    assert tiketi("rooms", "open", "sale").stdout == "sale: open\n"
    assert tiketi("rooms", "list").stdout == "sale                 of shop: Sale, standby\n"
    assert tiketi("rooms", "delete", "sale").stdout == "sale is deleted.\n"
    assert tiketi("rooms", "list").stdout == ""


async def test_what_happens_at_an_origin_is_told(tiketi: Tiketi) -> None:
    tiketi("origins", "create", "shop", *SHOP)
    tiketi("rooms", "create", "sale", "--origin", "shop", "--name", "Sale")
    figures = tiketi("origins", "figures", "shop")
    assert (figures.returncode, figures.stderr) == (0, "")
    assert "sale                 0 checks/s, 0 through, 0 to the room; 0 inside, 0 waiting, 0 ended" in figures.stdout
    assert "Warning: No proxy is trusted (TIKETI_TRUSTED_PROXIES is empty)." in figures.stdout


async def test_what_cannot_be_is_refused_in_one_sentence(tiketi: Tiketi, tmp_path: Path) -> None:
    tiketi("origins", "create", "shop", *SHOP)
    wrong = tmp_path / "wrong.json"
    wrong.write_text('[{"action": "wave"}]')
    new = ("rooms", "create", "sale", "--origin", "shop", "--name", "Sale")
    for args, words in (
        (("origins", "create", "shop", *SHOP), "There is a room, an event or an origin 'shop' already."),
        (("origins", "create", "Upper", *SHOP), "connectors go round in circles"),
        (("origins", "delete", "nobody"), "There is no origin 'nobody'."),
        (("rooms", "show", "nobody"), "'nobody'"),
        (("rooms", "pause", "nobody"), "'nobody'"),
        ((*new, "--rules", str(wrong)), "rules[0].action: it is queue, pass or refuse."),
        ((*new, "--rules", str(tmp_path / "none.json")), "none.json cannot be read"),
        ((*new, "--rate", "0"), "`float` >= 0.1"),
        ((*new, "--target", "https://evil.example/"), "targetUrl is not an address at one of the origin's hosts"),
    ):
        said = tiketi(*args)
        assert (said.returncode, said.stdout) == (2, "")
        assert words in said.stderr, args
        assert said.stderr.count("\n") == 1


async def test_rules_of_a_connector_s_configuration_are_shown_and_saved_when_that_is_said(
    tiketi: Tiketi, tmp_path: Path
) -> None:
    tiketi("origins", "create", "shop", *SHOP)
    tiketi("rooms", "create", "sale", "--origin", "shop", "--name", "Sale")
    queued = integration("Queue", part("PagePath", "Contains", "/sale"), event="Theirs")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"Integrations": [queued, integration("Cancel", part("PagePath", "Equals", "/ok"))]}))
    shown = tiketi("rooms", "import", "sale", str(file), "--event", "theirs")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, '{"action": "queue", "path": ["*/sale*"]}')
    assert "Not taken: Cancel Sale: no rule ends a visit" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "Nothing is saved; with --save they are."
    assert json.loads(tiketi("rooms", "show", "sale", "--json").stdout)["rules"] == []
    rules = json.loads(tiketi("rooms", "import", "sale", str(file), "--event", "theirs", "--save", "--json").stdout)
    assert json.loads(tiketi("rooms", "show", "sale", "--json").stdout)["rules"] == rules["rules"]
    other = tiketi("rooms", "import", "sale", str(file))
    assert (other.returncode, "'sale'" in other.stderr) == (2, True)

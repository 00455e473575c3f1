"""`tiketi guard`: what it takes, and that it stands before a site from the first start on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from app.cli import make_parser
from app.run.guard.command import guarded_of
from app.run.guard.room import hosts_of, why_not
from tests.run.guard.site import Site, serving
from tests.waiting import wait_until

WAIT_S = 90


def refused(*args: str, **variables: str) -> str:
    """What it says when it does not start."""
    command = [sys.executable, "-P", "-m", "app.cli", "guard", *args]
    environ = {**os.environ, **variables}
    said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert said.returncode == 2
    return said.stderr


@pytest.mark.parametrize("site", ["localhost:3000", "http://localhost:3000/shop"])
def test_a_site_that_is_none_is_refused(site: str) -> None:
    assert "is no address of a site" in refused(site)


def test_a_rate_that_no_room_has_is_refused() -> None:
    assert "ratePerSecond" in refused("http://localhost:3000", "--rate", "0")


def test_where_others_reach_us_it_must_be_said_how_they_call_the_site() -> None:
    assert "--url" in refused("http://localhost:3000", HOST="0.0.0.0")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://127.0.0.1:8080", ["http://127.0.0.1:8080", "http://localhost:8080"]),
        ("https://Shop.example", ["shop.example"]),
        ("https://shop.example:443", ["shop.example"]),
        ("https://shop.example:8443", ["shop.example:8443"]),
        ("http://shop.test:8080", ["http://shop.test:8080"]),
    ],
)
def test_visitors_are_sent_to_the_site_and_nowhere_else(url: str, hosts: list[str]) -> None:
    assert hosts_of(url) == hosts


def test_without_options_it_is_a_small_room_that_fails_closed() -> None:
    guarded = guarded_of(make_parser().parse_args(["guard", "http://localhost:3000/", "--rate", "2.4"]), 8080)
    assert (guarded.site, guarded.url) == ("http://localhost:3000", "http://127.0.0.1:8080")
    assert (guarded.rate_per_s, guarded.burst, guarded.fail) == (2.4, 2, "closed")
    assert why_not(guarded) is None


@pytest.mark.slow
async def test_visitors_of_any_site_wait_and_come_in(tmp_path: Path) -> None:
    """The whole way, with the real system: to the room, and back in with a pass."""
    site = Site()
    async with serving(site) as url:
        command = [sys.executable, "-P", "-m", "app.cli", "guard", url, "--rate", "50", "--port", "0"]
        environ = {**os.environ, "PORT": "0", "TIKETI_DATA_DIR": str(tmp_path / "data")}
        log = tmp_path / "log"
        running = await asyncio.to_thread(_start, command, environ, log)
        try:
            await _come_in(await _address(log), site)
        finally:
            running.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(running.wait, WAIT_S) == 0


def _start(command: list[str], environ: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environ, stdout=output, stderr=output)


async def _address(log: Path) -> str:
    async def said() -> str | None:
        found = re.search(r"Your site\s+(http\S+)/", await asyncio.to_thread(log.read_text))
        return found and found[1]

    return await wait_until(said, description="the address of the site is said")


async def _come_in(address: str, site: Site) -> None:
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False, timeout=WAIT_S) as browser:

        async def came_in() -> bool:
            site.answer(b"the site")
            answer = await browser.get(f"{address}/shop?a=1", headers={"Accept": "text/html"})
            return answer.text == "the site"

        assert await wait_until(came_in, description="the visitor is in")
    method, target, headers = site.seen[-1]
    assert (method, target) == ("GET", "/shop?a=1")
    assert dict(headers)[b"x-tiketi-room"] == b"guard"

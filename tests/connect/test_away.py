"""A site with `fail="open"` before a Tiketi that is a process of its own and is killed, or stands still."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.connect import asgi, wsgi
from app.connect.keys import LOOKED_S
from tests.connect.passes import ROOM, Clock, Tiketi
from tests.connect.test_middleware import KINDS, Shop, asking_asgi, asking_wsgi

PORT = re.compile(rb"port (\d+)")


class Process:
    """Publishes the keys of this Tiketi, and nothing else."""

    def __init__(self, tiketi: Tiketi, folder: Path) -> None:
        (folder / ".well-known").mkdir()
        (folder / ".well-known/jwks.json").write_bytes(tiketi.fetch())
        command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        found = PORT.search(self.process.stdout.readline())
        assert found is not None
        self.url = f"http://127.0.0.1:{int(found[1])}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def tiketi() -> Tiketi:
    return Tiketi()


@pytest.fixture
def there(tiketi: Tiketi, tmp_path: Path) -> Iterator[Process]:
    process = Process(tiketi, tmp_path)
    yield process
    process.end()
    assert process.process.stdout is not None
    process.process.stdout.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["killed", "stands still"])
def test_nobody_is_sent_to_a_tiketi_that_has_not_answered_for_two_seconds(
    tiketi: Tiketi, there: Process, kind: str, how: str
) -> None:
    clock, shop = Clock(), Shop([])
    settings = {"internal": there.url, "fail": "open", "fetch": None}
    if kind == "asgi":
        ask = asking_asgi(asgi.WaitingRoom(shop.asgi, **tiketi.settings(clock, **settings)))
    else:
        ask = asking_wsgi(wsgi.WaitingRoom(shop.wsgi, **tiketi.settings(clock, **settings)))
    cookie = f"tiketi_pass_{ROOM}={tiketi.token()}"
    assert (ask()[0], ask(cookie=cookie)[0]) == (302, 200)
    if how == "killed":
        there.end()
    else:
        there.process.send_signal(signal.SIGSTOP)
    clock.now_s += LOOKED_S
    assert (ask()[0], ask(cookie=cookie)[0]) == (200, 200)
    assert shop.seen[-2][0] is None, "who came in unchecked is nobody's visit"

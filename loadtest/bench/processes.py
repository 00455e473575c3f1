"""Starts what is measured, in a folder that is thrown away: Redis as shipped, a web process, the whole system.

Everything started here ends with the block that started it, and with this process however that ends.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.run import redis_server as embedded
from app.run.children import DIE_WITH_PARENT
from app.run.database import prepare
from app.run.supervisor import BACKLOG, own_command
from config.settings import Settings, environment
from loadtest.bench.client import Address
from loadtest.bench.machine import ALL_CORES, CLIENT_CORE, SERVER_CORE, on_cores
from loadtest.bench.report import BenchError

READY_S = 30.0
READY_POLL_S = 0.05
READY_ANSWER_S = 1.0
ANSWER_S = 10.0
STOP_S = 15.0
HOST = "127.0.0.1"
OUTPUT = "output.log"
OUTPUT_LINES = 10
LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Web:
    address: Address
    pid: int


@contextmanager
def scratch() -> Iterator[Settings]:
    """Settings for a system of its own: a folder with empty stores and without demo events."""
    with tempfile.TemporaryDirectory(prefix="tiketi-bench-") as folder:
        settings = Settings(data_dir=Path(folder), demo=False, demo_shop=False, log_format="json")
        asyncio.run(prepare(settings))
        yield settings


@contextmanager
def redis(settings: Settings) -> Iterator[int]:
    """The Redis of these settings, on the client's core. Gives its process id."""
    folder, path = settings.data_dir, settings.redis_socket
    command = embedded.command(embedded.find_server(folder), folder, path)
    with _process(command, settings, CLIENT_CORE) as server:
        if not asyncio.run(embedded.wait_until_answering(path, lambda: server.poll() is None)):
            raise BenchError("Redis does not start")
        yield server.pid


@contextmanager
def product(settings: Settings) -> Iterator[Web]:
    """One web process exactly as the supervisor starts it, on the server's core."""
    with _listening() as listening:
        command = own_command("web-1", listening.fileno())
        with _web(command, listening, settings, "/readyz") as web:
            yield web


@contextmanager
def compared(settings: Settings, kind: str, *arguments: str) -> Iterator[Web]:
    """A server of servers.py, on the server's core."""
    with _listening() as listening:
        module = (sys.executable, "-P", "-m", "loadtest.bench.servers")
        command = (*module, kind, "--fd", str(listening.fileno()), *arguments)
        with _web(command, listening, settings, "/healthz") as web:
            yield web


NGINX = """
master_process off; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
{servers}
}}
"""


@contextmanager
def nginx(settings: Settings, servers: Callable[[Address], str], cores: set[int] = SERVER_CORE) -> Iterator[Web]:
    """nginx in one process on the server's core or others, with what is said for the address that it listens on."""
    if shutil.which("nginx") is None:
        raise BenchError("there is no nginx on PATH")
    with _listening() as listening:
        address: Address = listening.getsockname()
    conf = settings.data_dir / "nginx.conf"
    conf.write_text(NGINX.format(folder=settings.data_dir, servers=servers(address)))
    with _process(("/usr/bin/env", "nginx", "-c", str(conf)), settings, cores) as server:
        _wait_until_ready(server, settings, address, "/healthz", range(200, 500))
        yield Web(address, server.pid)


@contextmanager
def worker(settings: Settings, name: str) -> Iterator[int]:
    """One worker exactly as the supervisor starts it, on all cores. Gives its process id."""
    with _process(own_command(name, 0), settings, ALL_CORES) as process:
        yield process.pid


@contextmanager
def system(settings: Settings) -> Iterator[Web]:
    """Everything, as `tiketi up` runs it, on all cores. Gives its address and the supervisor's process id."""
    with _listening() as listening:
        address: Address = listening.getsockname()
    settings = replace(settings, host=address[0], port=address[1])
    with _process((sys.executable, "-P", "-m", "app.cli", "up"), settings, ALL_CORES) as supervisor:
        _wait_until_ready(supervisor, settings, address, "/readyz")
        yield Web(address, supervisor.pid)
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(STOP_S)


def ask(
    address: Address, method: str, path: str, headers: dict[str, str], timeout_s: float = ANSWER_S
) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0), backlog=BACKLOG) as listening:
        yield listening


@contextmanager
def _web(command: Sequence[str], listening: socket.socket, settings: Settings, ready: str) -> Iterator[Web]:
    address: Address = listening.getsockname()
    with _process(command, settings, SERVER_CORE, listening.fileno()) as server:
        _wait_until_ready(server, settings, address, ready)
        yield Web(address, server.pid)


@contextmanager
def _process(
    command: Sequence[str], settings: Settings, cores: set[int], *fds: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Killed at the end: nobody needs what is in its folder."""
    with on_cores(cores), (settings.data_dir / OUTPUT).open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  # our own commands
            (sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid()), *command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment(settings)},
            pass_fds=fds,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(
    server: subprocess.Popen[bytes],
    settings: Settings,
    address: Address,
    path: str,
    answers: Container[int] = (200,),
) -> None:
    gives_up_s = time.monotonic() + READY_S
    while time.monotonic() < gives_up_s and server.poll() is None:
        try:
            if ask(address, "GET", path, {}, READY_ANSWER_S)[0] in answers:
                return
        except (OSError, http.client.HTTPException):
            pass  # not listening yet, or ended meanwhile
        time.sleep(READY_POLL_S)
    said = (settings.data_dir / OUTPUT).read_text(errors="replace").splitlines()
    raise BenchError(
        "a server did not get ready; it last said:\n" + "\n".join(line[:LINE_CHARS] for line in said[-OUTPUT_LINES:])
    )

"""Runs the whole product on one machine: `tiketi up`.

Holds the data folder, starts Redis (unless REDIS_URL names one), prepares the stores, then keeps the workers
and web processes running until it is told to stop; then web, workers and Redis end in that order. The
listening socket is opened once, here, so a web process that is restarted loses no waiting connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from app.run import data_folder as folder
from app.run import redis_server as embedded
from app.run.accounts import why_not_public
from app.run.children import Child, RestartPolicy, Say, Spec, how_it_ended, spawn
from config.demo import ACCOUNTS, SHOP
from config.keys import load_keys
from config.settings import LOOPBACK, Settings, environment, unknown
from config.urls import shown

PROGRESS_S = 2.0  # a person is told what we wait for this often
READY_WAIT_S = 60.0
READY_POLL_S = 0.1
READY_ANSWER_S = 1.0
START_ENDINGS_MAX = 3  # a child that ends this often before we are ready will not get better
BACKLOG = 4096  # connections the kernel keeps for us while a web process is restarted
DEAD_CLIENT_MS = 45_000  # a client that confirms nothing for three heartbeats of a stream is gone, and so not in line
STOP_GRACE_S = 10.0  # besides the time in which a web process says that it is not ready
REDIS_LOG_LINES = 5
DEMO_EVENT = "demo"

T = TypeVar("T")
Command = Callable[[str, int], tuple[str, ...]]


class StartError(Exception):
    """We cannot start; the message says why and what to do."""


def own_command(name: str, listening: int) -> tuple[str, ...]:
    """How one of our processes is run: `name` is seed, worker-N or web-N. -P: a folder named app nearby is not ours."""
    kind = name.split("-")[0]
    options = ("--name", name) if kind != "seed" else ()
    return (sys.executable, "-P", "-m", "app.cli", kind, *options, *(("--fd", str(listening)) if kind == "web" else ()))


@dataclass(frozen=True, slots=True)
class Listening:
    """The socket that buyers reach, and its address as people type it."""

    socket: socket.socket
    url: str

    @property
    def fd(self) -> int:
        return self.socket.fileno()


@dataclass(frozen=True, slots=True)
class Beside:
    """A site that runs beside us, on a port of its own. `port` 0: any that is free. `label`: of it in the banner.
    `command` is told the open socket and its port."""

    name: str
    label: str
    port: int
    command: Callable[[int, int], tuple[str, ...]]


def demo_shop(port: int) -> Beside:
    def command(listening: int, _: int) -> tuple[str, ...]:
        return (sys.executable, "-P", "-m", "app.run.demo_shop", "--name", SHOP, "--fd", str(listening))

    return Beside(SHOP, "Demo shop", port, command)


class Supervisor:
    """One run of the product. `command` says how our own processes are started; tests give smaller ones. `beside`:
    instead of the demo shop."""

    def __init__(
        self,
        settings: Settings,
        say: Say,
        command: Command = own_command,
        restart_policy: RestartPolicy | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._beside = beside or (demo_shop(settings.demo_shop_port) if settings.has_demo_shop else None)
        self._settings = settings
        self._say = say
        self._command = command
        self._restart_policy = restart_policy or RestartPolicy(stop_grace_s=STOP_GRACE_S + settings.lame_duck_s)
        self._metrics_dir = settings.data_dir.resolve() / "metrics"
        self.children: list[Child] = []
        self._told_to_stop = asyncio.Event()
        self._forced = False

    async def run(self) -> int:
        """Start, serve until told to stop, stop. Returns the exit code: 0 unless it had to be forced.

        Raises StartError, FolderError, KeysError or NoServerError when it cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self.stop)
        async with AsyncExitStack() as stack:
            starting = asyncio.ensure_future(self._start(stack))
            told = asyncio.ensure_future(self._told_to_stop.wait())
            await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await told
            told.cancel()
            starting.cancel()
            await asyncio.wait([starting, told])
            self._say("Stopping. Press Ctrl-C again to stop at once.")
        self._say("Stopped at once." if self._forced else "Stopped.")
        return 1 if self._forced else 0

    def stop(self) -> None:
        """Stop in order; told a second time, kill everything."""
        if self._told_to_stop.is_set():
            self._forced = True
            for child in self.children:
                child.kill()
        self._told_to_stop.set()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        stack.enter_context(folder.held(settings.data_dir))
        load_keys(settings.data_dir, settings.keys_file)
        shutil.rmtree(self._metrics_dir, ignore_errors=True)  # of processes that ended with an earlier run
        listening = listen(settings.host, settings.port)
        stack.callback(listening.socket.close)
        beside = self._beside and self._listen_beside(stack, listening, self._beside)
        settings = replace(settings, port=port_of(listening), demo_shop_port=port_of(beside) if beside else 0)
        self._settings = settings
        store = await self._start_redis(stack) if settings.embedded_redis else "your Redis"
        await self._shown("Preparing the stores", self._prepare())
        if why_not := await why_not_public(settings):
            raise StartError(why_not)
        workers = [f"worker-{n}" for n in range(1, settings.workers + 1)]
        webs = [f"web-{n}" for n in range(1, settings.web + 1)]
        await self._shown(
            "Starting the web and worker processes",
            self._serve(stack, listening, workers, webs),
        )
        shown = None
        if self._beside and beside:
            self._keep_beside(stack, self._beside, beside)
            shown = self._beside.label, beside.url
        self._say(banner(settings, listening.url, store, shown))

    def _listen_beside(self, stack: AsyncExitStack, ours: Listening, beside: Beside) -> Listening:
        """At the port that is set, else at the one after ours if that is free. Raises StartError."""
        settings = self._settings
        if beside.port or not settings.port:
            listening = listen(settings.host, beside.port)
        else:
            try:
                listening = listen(settings.host, port_of(ours) + 1)
            except (StartError, OverflowError):
                listening = listen(settings.host, 0)
        stack.callback(listening.socket.close)
        return listening

    def _keep_beside(self, stack: AsyncExitStack, beside: Beside, listening: Listening) -> None:
        spec = Spec(
            name=beside.name,
            command=beside.command(listening.fd, port_of(listening)),
            environ=self._environ_of(beside.name),
            fds=(listening.fd,),
        )
        self._begin(stack, [Child(spec, self._say, self._restart_policy)])

    async def _serve(
        self, stack: AsyncExitStack, listening: Listening, workers: Sequence[str], webs: Sequence[str]
    ) -> None:
        ours = [*self._keep(stack, listening, workers), *self._keep(stack, listening, webs)]
        try:
            async with asyncio.timeout(READY_WAIT_S):
                while not await _ready(listening):
                    for child in ours:
                        if child.endings >= START_ENDINGS_MAX:
                            raise StartError(f"{child.name} does not stay up; its last output is above.")
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise StartError(f"Nothing answered {listening.url}/readyz within {READY_WAIT_S:g} s.") from None

    def _keep(self, stack: AsyncExitStack, listening: Listening, names: Sequence[str]) -> list[Child]:
        """Start children that are stopped together, after all that are started later."""
        children = [
            Child(
                Spec(
                    name=name,
                    command=self._command(name, listening.fd),
                    environ=self._environ_of(name),
                    fds=(listening.fd,) if name.startswith("web") else (),
                ),
                self._say,
                self._restart_policy,
            )
            for name in names
        ]
        self._begin(stack, children)
        return children

    def _environ_of(self, name: str) -> dict[str, str]:
        """What a child is told. They share a folder of numbers, so the metrics port of the first web tells of all."""
        port = self._settings.metrics_port if name == "web-1" else 0
        settings = replace(self._settings, metrics_dir=self._metrics_dir, metrics_port=port)
        said = unknown(os.environ)  # and need not be said by each child again
        return {**{key: value for key, value in os.environ.items() if key not in said}, **environment(settings)}

    def _begin(self, stack: AsyncExitStack, children: Sequence[Child]) -> None:
        async def stop() -> None:
            await asyncio.gather(*(child.stop() for child in children))

        stack.push_async_callback(stop)
        self.children.extend(children)
        for child in children:
            child.start()

    async def _start_redis(self, stack: AsyncExitStack) -> str:
        data_dir, path = self._settings.data_dir.resolve(), self._settings.redis_socket
        if path.parent != data_dir:
            folder.private(path.parent)
        binary = await asyncio.to_thread(embedded.find_server, data_dir)
        log = data_dir / "redis.log"
        log.unlink(missing_ok=True)
        limit = int(embedded.machine_memory_bytes() * self._settings.redis_memory_share)
        spec = Spec(name="redis", command=tuple(embedded.command(binary, data_dir, path, limit)), log=log)
        redis = Child(spec, self._say, self._restart_policy)
        self._begin(stack, [redis])
        answering = embedded.wait_until_answering(path, lambda: redis.endings == 0)
        if not await self._shown("Starting Redis", answering):
            raise StartError(f"{binary} does not start. The end of {log}:\n{_last_lines(log)}")
        version: embedded.Version | None = await asyncio.to_thread(embedded.version_of, binary)
        return f"{binary.name} {version[0]}.{version[1]}" if version else binary.name

    async def _prepare(self) -> None:
        process = await spawn(Spec(name="seed", command=self._command("seed", -1), environ=self._environ_of("seed")))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if code != 0:
            raise StartError(f"Preparing the stores {how_it_ended(code)}; its output is above.")

    async def _shown(self, what: str, work: Awaitable[T]) -> T:
        """Await `work`, saying so every few seconds."""
        clock = asyncio.get_running_loop().time
        began_s = clock()
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=PROGRESS_S))[0]:
                self._say(f"{what}… {clock() - began_s:.0f} s")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        return task.result()


def port_of(listening: Listening) -> int:
    port: int = listening.socket.getsockname()[1]
    return port


def listen(host: str, port: int) -> Listening:
    """Open the listening socket. Port 0 takes any free one. Raises StartError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_CLIENT_MS)  # and what it accepts
    except OSError as error:
        raise StartError(_why_not(host, port, error)) from error
    shown = host if host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104  # compared, not bound
    return Listening(listening, f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}")


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program. Choose another: PORT={port + 1} make run"
    if isinstance(error, PermissionError):
        return f"Port {port} needs more rights than you have. Choose one above 1023: PORT=8000 make run"
    return f"Cannot listen on HOST={host} PORT={port}: {error.strerror or error}."


async def _ready(listening: Listening) -> bool:
    """Whether a web process answers /readyz with 200. Asks without a client library: none is needed for one line."""
    family, address = listening.socket.family, listening.socket.getsockname()
    host = address[0] if address[0] not in ("0.0.0.0", "::") else LOOPBACK[0]  # noqa: S104  # compared, not bound
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(READY_ANSWER_S):
            reader, writer = await asyncio.open_connection(host, address[1], family=family if ":" in host else 0)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


def banner(settings: Settings, url: str, store: str, beside: tuple[str, str] | None = None) -> str:
    """The text shown once everything runs: addresses, logins, and how to stop. `beside`: what runs beside us, where."""
    url = settings.public_url.rstrip("/") or url
    rows = [("Events", f"{url}/")]
    if settings.demo:
        rows.append(("Demo sale", f"{url}/events/{DEMO_EVENT}"))
    if beside:
        rows.append((beside[0], f"{beside[1]}/"))
    rows.append(("Admin", f"{url}/admin"))
    if settings.demo and not settings.is_public:
        admin = next(account for account in ACCOUNTS if account.role == "admin")
        rows.append(("Login", f"{admin.email} / {admin.password}"))
    lines = ["", "Tiketi is ready.", "", *(f"  {name:<10} {value}" for name, value in rows), ""]
    if settings.is_public:
        lines.append("  Make the first admin: tiketi admin create EMAIL")
    lines.append(f"  {settings.web} web, {settings.workers} worker, {store}; {_kept(settings)}")
    lines.append("  Stop with Ctrl-C.")
    return "\n".join([*lines, ""])


def _kept(settings: Settings) -> str:
    """Where the data is stored, without passwords."""
    if not settings.database_url:
        return f"data in {settings.data_dir}"
    return f"database {shown(settings.database_url)}, keys in {settings.keys_file or settings.data_dir}"


def _last_lines(log: Path) -> str:
    lines: list[str] = []
    with suppress(OSError):
        lines = [line.rstrip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-REDIS_LOG_LINES:] or ["(empty)"])

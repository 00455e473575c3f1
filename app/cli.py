"""The `tiketi` command: runs Tiketi or one process of it, and lets an admin look at waiting rooms and change them.

Exit codes: 0 done, 1 it failed or had to be killed, 2 a wrong argument or setting. An error is one sentence on stderr.
Each command imports only what it needs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from config.keys import KeysError, rotate
from config.settings import Settings, SettingsError, load

Run = Callable[[Settings, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    run: Run = args.run
    os.umask(0o077)  # only this user may read the files that we write
    try:
        return run(load(os.environ), args)
    except (SettingsError, KeysError) as error:
        return _refuse(str(error), 2)
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiketi", description="A waiting room and the ticket shop behind it.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", _up, "start everything on this machine; Ctrl-C stops it")
    web = add("web", _web, "run one web process")
    web.add_argument("--fd", type=int, help="a listening socket that is open already, instead of HOST and PORT")
    web.add_argument("--name", default="web", help="its name in the log")
    add("worker", _worker, "run one worker").add_argument("--name", default="worker", help="its name in the log")
    add("migrate", _migrate, "create or update the database's tables; safe to repeat")
    add("seed", _seed, "create or update the tables and, unless TIKETI_DEMO=0, create the demo events")
    keys = add("keys", _keys, "add new keys for signing; what the old ones signed stays valid")
    keys.add_argument("action", choices=["rotate"])
    add("clean-data", _clean_data, "delete every event, place in line and reservation in the data folder")
    add("status", _status, "show the waiting rooms").add_argument("event", nargs="?", help="the id of one event")
    add("check", _check, "check the invariants of all events; exit code 1 if one is broken")
    add("watch", _watch, "show a waiting room once a second").add_argument("event")
    trace = add("trace", _trace, "show every step of one number in line, for a buyer who says they lost their place")
    trace.add_argument("event")
    trace.add_argument("number", type=int, help="the number in line")
    trace.add_argument("--json", action="store_true", help="one line of JSON with codes instead of words")
    _add_changes(add)
    return parser


def _add_changes(add: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    for name, kind, text in (
        ("rate", float, "set how many people are let in per second"),
        ("burst", int, "set how many people may be let in at once"),
        ("capacity", int, "set how many people may be inside the shop at a time"),
    ):
        command = add(name, _change, text)
        command.add_argument("event")
        command.add_argument("value", type=kind)
        command.set_defaults(what=name)
    for name, text in (
        ("pause", "let nobody in for now; people may still join the line"),
        ("resume", "open the room, or open it again"),
        ("drain", "let in the people in line, but let nobody new join"),
        ("close", "end the line: everybody in it loses their place"),
    ):
        command = add(name, _change, text)
        command.add_argument("event")
        command.set_defaults(what=name, value=None)
    command = add("accounts", _change, "set who may join the line: only people with an account, or all")
    command.add_argument("event")
    command.add_argument("value", choices=["only", "all"])
    command.set_defaults(what="accounts")
    command = add("message", _change, "show a message to everyone in line; an empty text removes it")
    command.add_argument("event")
    command.add_argument("value", metavar="text")
    command.set_defaults(what="message")


def _up(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError
    from app.run.redis_server import NoServerError
    from app.run.supervisor import StartError, Supervisor

    try:
        return asyncio.run(Supervisor(settings, _say).run())
    except (StartError, FolderError, NoServerError) as error:
        return _refuse(str(error), 1)


def _web(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.supervisor import StartError
    from app.run.web import serve
    from config.logging import logged

    if (code := _ready(settings)) != 0:
        return code
    try:
        with logged(settings, args.name):
            serve(settings, args.fd, args.name)
    except StartError as error:
        return _refuse(str(error), 1)
    return 0


def _worker(settings: Settings, args: argparse.Namespace) -> int:
    """Replace this process by a worker, which is a separate program that nothing in `app` imports."""
    command = [sys.executable, "-P", "-m", "workers", "--name", args.name]
    return _ready(settings) or os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _seed(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.database import prepare

    return _stored(lambda: _logged(settings, "seed", lambda: asyncio.run(prepare(settings))))


def _migrate(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.database import migrate

    def work() -> int:
        taken = asyncio.run(migrate(settings))
        _say(f"Applied: {', '.join(taken)}." if taken else "The database's tables are up to date.")
        return 0

    return _stored(work)


def _ready(settings: Settings) -> int:
    """0 if the database has the tables that we need; else 1, after an error that says what to do."""
    from app.run.database import require_tables

    def work() -> int:
        asyncio.run(require_tables(settings))
        return 0

    return _stored(work)


def _stored(work: Callable[[], int]) -> int:
    """Do work that needs the database; returns its exit code, or 1 after an error of the database."""
    from app.ledger.errors import StoreError
    from app.ledger.migrations import SchemaError

    try:
        return work()
    except (StoreError, SchemaError) as error:
        return _refuse(str(error), 1)


def _keys(settings: Settings, _: argparse.Namespace) -> int:
    keys = rotate(settings.data_dir, settings.keys_file)
    _say(f"Ticket key {keys.ticket_kid} and signing key {keys.signing_kid} are used from the next start on.")
    return 0


def _clean_data(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError, delete_data

    try:
        others = delete_data(settings.data_dir)
    except FolderError as error:
        return _refuse(str(error), 1)
    _say(f"Deleted the data in {settings.data_dir}.")
    if others:
        _say(f"Not deleted, because Tiketi did not make it: {', '.join(others)}.")
    for name, elsewhere in (("REDIS_URL", settings.redis_url), ("DATABASE_URL", settings.database_url)):
        if elsewhere:
            _say(f"Not deleted: the data in the store that {name} names.")
    return 0


def _status(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    return _asked(console.status(settings, args.event, _say))


def _watch(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    with suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to end it
        return _asked(console.watch(settings, args.event, _say))
    return 0


def _trace(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.trace import trace

    return _stored(lambda: _asked(trace(settings, args.event, args.number, _say, as_json=args.json)))


def _check(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.check import BrokenError, check

    try:
        return _asked(check(settings, _say))
    except BrokenError as error:
        return _refuse(str(error), 1)


def _change(settings: Settings, args: argparse.Namespace) -> int:
    import msgspec

    from app.control.rooms import RoomChange
    from app.run import console

    field = {"rate": "ratePerSecond", "capacity": "maxActive"}.get(args.what, args.what)
    given: dict[str, Any] = {field: args.value}
    if args.what in console.STATES:
        given = {"state": console.STATES[args.what]}
    elif args.what == "accounts":
        given = {"accountsOnly": args.value == "only"}
    try:
        wanted = msgspec.convert(given, RoomChange)
    except msgspec.ValidationError as error:
        return _refuse(f"{args.what} {args.value}: {_limit(str(error))}.", 2)
    return _asked(console.change(settings, args.event, wanted, _say))


def _limit(error: str) -> str:
    """The limit of a value in words, from msgspec's sentence ("Expected `float` >= 0.1 - at `$.ratePerSecond`")."""
    said = error.split(" - at")[0]
    for sign, words in ((">=", "the minimum is"), ("length <=", "the maximum length is"), ("<=", "the maximum is")):
        if sign in said:
            limit = said.rpartition(" ")[2]
            return f"{words} {limit}{' characters' if 'length' in sign else ''}"
    return said


def _asked(question: Coroutine[Any, Any, None]) -> int:
    from app.ledger.errors import StoreError
    from app.run.console import ConsoleError, NotRunningError

    try:
        asyncio.run(question)
    except (NotRunningError, StoreError) as error:
        return _refuse(str(error), 1)
    except ConsoleError as error:
        return _refuse(str(error), 2)
    return 0


def _logged(settings: Settings, process: str, work: Callable[[], None]) -> int:
    from config.logging import configure

    flush = configure(settings, process)
    try:
        work()
    finally:
        flush()
    return 0


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # the reader of our output has ended; we go on without it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _refuse(sentence: str, code: int) -> int:
    print(f"tiketi: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

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
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import VERSION
from config.keys import KeysError
from config.settings import Settings, SettingsError, load, unknown

if TYPE_CHECKING:
    from app.run.telling import Tell

Run = Callable[[Settings, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    run: Run = args.run
    os.umask(0o077)  # only this user may read the files that we write
    for name, nearest in unknown(os.environ).items():
        _complain(f"{name} is no setting and changes nothing.{f' Did you mean {nearest}?' if nearest else ''}")
    try:
        return run(load(os.environ), args)
    except (SettingsError, KeysError) as error:
        return _refuse(str(error), 2)
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiketi", description="A waiting room and the ticket shop behind it.")
    parser.add_argument("--version", action="version", version=f"tiketi {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if run in TELLING:
            command.add_argument("--json", action="store_true", help="one object a line, with codes instead of words")
        return command

    add("up", _up, "start everything on this machine; Ctrl-C stops it")
    web = add("web", _web, "run one web process")
    web.add_argument("--fd", type=int, help="a listening socket that is open already, instead of HOST and PORT")
    web.add_argument("--name", default="web", help="its name in the log")
    add("worker", _worker, "run one worker").add_argument("--name", default="worker", help="its name in the log")
    add("migrate", _migrate, "create or update the database's tables; safe to repeat")
    add("seed", _seed, "create or update the tables and, unless TIKETI_DEMO=0, create the demo events")
    keys = add("keys", _keys, "make the key file, list its keys, add new ones for signing, or remove an old one")
    keys.add_argument("action", choices=["create", "list", "rotate", "retire"])
    keys.add_argument("kid", nargs="?", default="", help="the old key that retire removes")
    admin = add(
        "admin",
        _admin,
        "make an admin; give an account another password, let it in again, or verify it",
    )
    admin.add_argument("action", choices=["create", "promote", "password", "unlock", "verify", "unverify"])
    admin.add_argument("email")
    admin.add_argument("--name", default="", help="of a new admin; by default the email's first part")
    admin.add_argument("--password-file", type=Path, help="a file with the password, which is asked for otherwise")
    add("clean-data", _clean_data, "delete every event, place in line and reservation in the data folder")
    add("backup", _backup, "write a backup into a new folder, while all runs").add_argument("folder", type=Path)
    add("restore", _restore, "fill empty stores from a backup, while nothing runs").add_argument("folder", type=Path)
    pruned = add("prune", _prune, "delete what ended sales leave beside their orders, and old audit log entries")
    pruned.add_argument("--dry-run", action="store_true", help="only say how much that is")
    pruned.add_argument("--yes", action="store_true", help="without being asked")
    add("status", _status, "show the waiting rooms").add_argument("event", nargs="?", help="the id of one event")
    add("check", _check, "check the invariants of all events; exit code 1 if one is broken")
    add("watch", _watch, "show a waiting room once a second").add_argument("event")
    trace = add("trace", _trace, "show every step of one number in line, for a buyer who says they lost their place")
    trace.add_argument("event")
    trace.add_argument("number", type=int, help="the number in line")
    _add_changes(add)
    shell = add("completion", _completion, "print a script with which a shell completes all of this: see the docs")
    shell.add_argument("shell", choices=["bash", "zsh", "fish"])
    return parser


def _add_changes(add: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    for name, kind, text in (
        ("rate", float, "set how many people are let in per second"),
        ("burst", int, "set how many people may be let in at once"),
        ("capacity", int, "set how many people may be inside the shop at a time"),
        ("lobby", int, "set how many minutes before the next opening people may come and wait"),
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
        if name == "close":
            command.add_argument("--yes", action="store_true", help="also while people are in it, without being asked")
    command = add(
        "door", _change, "set what a new place takes: nothing, a challenge, an account, a verified one or an invitation"
    )
    command.add_argument("event")
    command.add_argument("value", choices=["open", "challenge", "accounts", "verified", "invited"])
    command.set_defaults(what="door")
    command = add("opening", _change, "set the order at the next opening: by one draw, or first come, first served")
    command.add_argument("event")
    command.add_argument("value", choices=["draw", "first"])
    command.set_defaults(what="opening")
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
    from app.run.supervisor import StartError, listen
    from app.run.web import serve
    from config.logging import logged

    try:
        if args.fd is None:
            listen(settings.host, settings.port).socket.close()  # if it is taken, that is said before any waiting
        if (code := _ready(settings, args.name) or _stored(lambda: _unpublished(settings))) != 0:
            return code
        with logged(settings, args.name):
            serve(settings, args.fd, args.name)
    except StartError as error:
        return _refuse(str(error), 1)
    return 0


def _unpublished(settings: Settings) -> int:
    """0 unless others can reach us while everybody knows a password; else 1, after what to do."""
    from app.run.accounts import why_not_public

    why_not = asyncio.run(why_not_public(settings))
    return _refuse(why_not, 1) if why_not else 0


def _worker(settings: Settings, args: argparse.Namespace) -> int:
    """Replace this process by a worker, which is a separate program that nothing in `app` imports."""
    command = [sys.executable, "-P", "-m", "workers", "--name", args.name]
    return _ready(settings, args.name) or os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _seed(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.database import prepare

    return _stored(lambda: _logged(settings, "seed", lambda: asyncio.run(prepare(settings))))


def _migrate(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.database import migrate

    def work() -> int:
        taken = asyncio.run(migrate(settings))
        said = f"Applied: {', '.join(taken)}." if taken else "The database's tables are up to date."
        _tell(args)({"applied": taken}, said)
        return 0

    return _stored(work)


def _ready(settings: Settings, process: str) -> int:
    """0 once the stores are there, with the tables that we need; 1, after an error that says what to do, if waiting
    cannot help."""
    from app.run.data_folder import use
    from app.run.database import wait_for_stores

    use(settings.data_dir)
    return _stored(lambda: _logged(settings, process, lambda: asyncio.run(wait_for_stores(settings))))


def _stored(work: Callable[[], int]) -> int:
    """Do work that needs the stores; returns its exit code, or 1 after an error of theirs."""
    from app.connections import RedisRefused
    from app.ledger.errors import StoreError
    from app.ledger.migrations import SchemaError

    try:
        return work()
    except (StoreError, SchemaError, RedisRefused) as error:
        return _refuse(str(error), 1)


def _keys(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.key_file import keys

    keys(settings, args.action, args.kid, _tell(args))
    return 0


def _admin(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import accounts
    from app.run.console import ConsoleError

    def work() -> int:
        if args.action in accounts.PLAIN:
            return _asked(accounts.PLAIN[args.action](settings, args.email, _say))
        try:
            password = accounts.password_from(args.password_file, getpass)
        except ConsoleError as error:
            return _refuse(str(error), 2)
        except EOFError:
            return _refuse("No password was given.", 2)
        if args.action == "create":
            return _asked(accounts.create(settings, args.email, args.name, password, _say))
        return _asked(accounts.set_password(settings, args.email, password, _say))

    return _stored(work)


def _clean_data(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError, delete_data

    try:
        deleted, others = delete_data(settings.data_dir)
    except FolderError as error:
        return _refuse(str(error), 1)
    _say(f"Deleted in {settings.data_dir}: {', '.join(deleted) or 'nothing, there was nothing'}.")
    if others:
        _say(f"Not deleted, because Tiketi did not make it: {', '.join(others)}.")
    for name, elsewhere in (("REDIS_URL", settings.redis_url), ("DATABASE_URL", settings.database_url)):
        if elsewhere:
            _say(f"Not deleted: the data in the store that {name} names.")
    return 0


def _backup(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.backup import backup

    return _stored(lambda: _asked(backup(settings, args.folder, _say)))


def _restore(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.backup import restore
    from app.run.data_folder import FolderError

    try:
        return _stored(lambda: _asked(restore(settings, args.folder, _say)))
    except FolderError as error:
        return _refuse(str(error), 1)


def _prune(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.prune import prune

    return _stored(lambda: _asked(prune(settings, args.dry_run, partial(_sure, args), _tell(args))))


def _status(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    return _asked(console.status(settings, args.event, _tell(args)))


def _watch(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    with suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to end it
        return _asked(console.watch(settings, args.event, _tell(args)))
    return 0


def _trace(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.trace import trace

    return _stored(lambda: _asked(trace(settings, args.event, args.number, _tell(args))))


def _completion(_: Settings, args: argparse.Namespace) -> int:
    from app.run.completion import script

    _say(script(make_parser(), args.shell))
    return 0


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.check import BrokenError, check

    try:
        return _asked(check(settings, _tell(args)))
    except BrokenError as error:
        return _refuse(str(error), 1)


def _change(settings: Settings, args: argparse.Namespace) -> int:
    import msgspec

    from app.control.rooms import RoomChange
    from app.run import console

    names = {"rate": "ratePerSecond", "capacity": "maxActive", "lobby": "lobbyMinutes"}
    field = names.get(args.what, args.what)
    given: dict[str, Any] = {field: args.value}
    if args.what in console.STATES:
        given = {"state": console.STATES[args.what]}
    try:
        wanted = msgspec.convert(given, RoomChange)
    except msgspec.ValidationError as error:
        return _refuse(f"{args.what} {args.value}: {console.limit_of(str(error))}.", 2)
    return _asked(console.change(settings, args.event, wanted, _tell(args), lambda cost: _sure(args, cost)))


def _sure(args: argparse.Namespace, cost: str) -> bool:
    """Whether to go on: by `--yes`, or by who is asked at a terminal."""
    if args.yes:
        return True
    _complain(cost)
    return sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() in ("y", "yes")


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


def _tell(args: argparse.Namespace) -> Tell:
    from app.run.telling import Tell

    return Tell(_say, args.json)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # the reader of our output has ended; we go on without it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _refuse(sentence: str, code: int) -> int:
    _complain(sentence)
    return code


def _complain(sentence: str) -> None:
    print(f"tiketi: {sentence}", file=sys.stderr, flush=True)


TELLING = (_migrate, _keys, _prune, _status, _watch, _trace, _check, _change)  # these take --json


if __name__ == "__main__":
    sys.exit(main())

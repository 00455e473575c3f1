"""The `tiketi` command: runs Tiketi or one process of it, and lets an admin look at waiting rooms and change them.

Exit codes: 0 done, 1 it failed or had to be killed, 2 a wrong argument or setting. An error is one sentence on stderr.
Each command imports only what it needs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from getpass import getpass
from pathlib import Path

from app import VERSION
from app.run import line_commands, origin_commands, seat_commands
from app.run.guard import command as guard
from app.run.terminal import Run, adding, asked, complain, refuse, say, stored, sure, tell_of
from config.keys import KeysError
from config.settings import Settings, SettingsError, load, unknown


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    run: Run = args.run
    os.umask(0o077)  # only this user may read the files that we write
    for name, nearest in unknown(os.environ).items():
        complain(f"{name} is no setting and changes nothing.{f' Did you mean {nearest}?' if nearest else ''}")
    try:
        return run(load(os.environ), args)
    except (SettingsError, KeysError) as error:
        return refuse(str(error), 2)
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiketi", description="A waiting room and the ticket shop behind it.")
    parser.add_argument("--version", action="version", version=f"tiketi {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    add = adding(commands)
    add("up", _up, "start everything on this machine; Ctrl-C stops it")
    web = add("web", _web, "run one web process")
    web.add_argument("--fd", type=int, help="a listening socket that is open already, instead of HOST and PORT")
    web.add_argument("--name", default="web", help="its name in the log")
    add("worker", _worker, "run one worker").add_argument("--name", default="worker", help="its name in the log")
    add("migrate", _migrate, "create or update the database's tables; safe to repeat", tells=True)
    add("seed", _seed, "create or update the tables and, unless TIKETI_DEMO=0, create the demo events")
    keys = add(
        "keys", _keys, "make the key file, list its keys, add new ones for signing, or remove an old one", tells=True
    )
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
    pruned = add(
        "prune", _prune, "delete what ended sales leave beside their orders, and old audit log entries", tells=True
    )
    pruned.add_argument("--dry-run", action="store_true", help="only say how much that is")
    pruned.add_argument("--yes", action="store_true", help="without being asked")
    add("status", _status, "show the waiting rooms", tells=True).add_argument(
        "event", nargs="?", help="the id of one event"
    )
    add("check", _check, "check the invariants of all events; exit code 1 if one is broken", tells=True)
    add("watch", _watch, "show a waiting room once a second", tells=True).add_argument("event")
    trace = add(
        "trace", _trace, "show every step of one number in line, for a buyer who says they lost their place", tells=True
    )
    trace.add_argument("event")
    trace.add_argument("number", type=int, help="the number in line")
    line_commands.add_to(add)
    origin_commands.add_to(add)
    seat_commands.add_to(add)
    guard.add_to(add)
    shell = add("completion", _completion, "print a script with which a shell completes all of this: see the docs")
    shell.add_argument("shell", choices=["bash", "zsh", "fish"])
    return parser


def _up(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError
    from app.run.redis_server import NoServerError
    from app.run.supervisor import StartError, Supervisor

    try:
        return asyncio.run(Supervisor(settings, say).run())
    except (StartError, FolderError, NoServerError) as error:
        return refuse(str(error), 1)


def _web(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.supervisor import StartError, listen
    from app.run.web import serve
    from config.logging import logged

    try:
        if args.fd is None:
            listen(settings.host, settings.port).socket.close()  # if it is taken, that is said before any waiting
        if (code := _ready(settings, args.name) or stored(lambda: _unpublished(settings))) != 0:
            return code
        with logged(settings, args.name):
            serve(settings, args.fd, args.name)
    except StartError as error:
        return refuse(str(error), 1)
    return 0


def _unpublished(settings: Settings) -> int:
    """0 unless others can reach us while everybody knows a password; else 1, after what to do."""
    from app.run.accounts import why_not_public

    why_not = asyncio.run(why_not_public(settings))
    return refuse(why_not, 1) if why_not else 0


def _worker(settings: Settings, args: argparse.Namespace) -> int:
    """Replace this process by a worker, which is a separate program that nothing in `app` imports."""
    command = [sys.executable, "-P", "-m", "workers", "--name", args.name]
    return _ready(settings, args.name) or os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _seed(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.database import prepare

    return stored(lambda: _logged(settings, "seed", lambda: asyncio.run(prepare(settings))))


def _migrate(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.database import migrate

    def work() -> int:
        taken = asyncio.run(migrate(settings))
        said = f"Applied: {', '.join(taken)}." if taken else "The database's tables are up to date."
        tell_of(args)({"applied": taken}, said)
        return 0

    return stored(work)


def _ready(settings: Settings, process: str) -> int:
    """0 once the stores are there, with the tables that we need; 1, after an error that says what to do, if waiting
    cannot help."""
    from app.run.data_folder import use
    from app.run.database import wait_for_stores

    use(settings.data_dir)
    return stored(lambda: _logged(settings, process, lambda: asyncio.run(wait_for_stores(settings))))


def _keys(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.key_file import keys

    keys(settings, args.action, args.kid, tell_of(args))
    return 0


def _admin(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import accounts
    from app.run.console import ConsoleError

    def work() -> int:
        if args.action in accounts.PLAIN:
            return asked(accounts.PLAIN[args.action](settings, args.email, say))
        try:
            password = accounts.password_from(args.password_file, getpass)
        except ConsoleError as error:
            return refuse(str(error), 2)
        except EOFError:
            return refuse("No password was given.", 2)
        if args.action == "create":
            return asked(accounts.create(settings, args.email, args.name, password, say))
        return asked(accounts.set_password(settings, args.email, password, say))

    return stored(work)


def _clean_data(settings: Settings, _: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError, delete_data

    try:
        deleted, others = delete_data(settings.data_dir)
    except FolderError as error:
        return refuse(str(error), 1)
    say(f"Deleted in {settings.data_dir}: {', '.join(deleted) or 'nothing, there was nothing'}.")
    if others:
        say(f"Not deleted, because Tiketi did not make it: {', '.join(others)}.")
    for name, elsewhere in (("REDIS_URL", settings.redis_url), ("DATABASE_URL", settings.database_url)):
        if elsewhere:
            say(f"Not deleted: the data in the store that {name} names.")
    return 0


def _backup(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.backup import backup

    return asked(backup(settings, args.folder, say))


def _restore(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.backup import restore
    from app.run.data_folder import FolderError

    try:
        return asked(restore(settings, args.folder, say))
    except FolderError as error:
        return refuse(str(error), 1)


def _prune(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.prune import prune

    return asked(prune(settings, args.dry_run, partial(sure, args), tell_of(args)))


def _status(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    return asked(console.status(settings, args.event, tell_of(args)))


def _watch(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    with suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to end it
        return asked(console.watch(settings, args.event, tell_of(args)))
    return 0


def _trace(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.trace import trace

    return asked(trace(settings, args.event, args.number, tell_of(args)))


def _completion(_: Settings, args: argparse.Namespace) -> int:
    from app.run.completion import script

    say(script(make_parser(), args.shell))
    return 0


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.check import BrokenError, check

    try:
        return asked(check(settings, tell_of(args)))
    except BrokenError as error:
        return refuse(str(error), 1)


def _logged(settings: Settings, process: str, work: Callable[[], None]) -> int:
    from config.logging import configure

    flush = configure(settings, process)
    try:
        work()
    finally:
        flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

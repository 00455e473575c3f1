"""What the commands have in common: what they say, what they ask, and which exit code what they do leads to."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from config.settings import Settings

if TYPE_CHECKING:
    from app.run.telling import Tell

Run = Callable[[Settings, argparse.Namespace], int]


class Add(Protocol):
    """Adds a command. `tells`: it takes `--json`."""

    def __call__(self, name: str, run: Run, text: str, *, tells: bool = False) -> argparse.ArgumentParser: ...


def adding(commands: Any) -> Add:
    """What adds commands to these, the subparsers of a parser."""

    def add(name: str, run: Run, text: str, *, tells: bool = False) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if tells:
            command.add_argument("--json", action="store_true", help="one object a line, with codes instead of words")
        return command

    return add


def asked(question: Coroutine[Any, Any, None]) -> int:
    """Its exit code, after an error of its own, or of the stores, in one sentence."""
    from app.run.console import ConsoleError, NotRunningError

    def ask() -> int:
        try:
            asyncio.run(question)
        except NotRunningError as error:
            return refuse(str(error), 1)
        except ConsoleError as error:
            return refuse(str(error), 2)
        return 0

    return stored(ask)


def stored(work: Callable[[], int]) -> int:
    """Do work that needs the stores; returns its exit code, or 1 after an error of theirs."""
    from app.connections import RedisRefused
    from app.ledger.errors import StoreError
    from app.ledger.migrations import SchemaError

    try:
        return work()
    except (StoreError, SchemaError, RedisRefused) as error:
        return refuse(str(error), 1)


def sure(args: argparse.Namespace, cost: str) -> bool:
    """Whether to go on: by `--yes`, or by who is asked at a terminal."""
    if args.yes:
        return True
    complain(cost)
    return sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def tell_of(args: argparse.Namespace) -> Tell:
    from app.run.telling import Tell

    return Tell(say, args.json)


def say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # the reader of our output has ended; we go on without it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def refuse(sentence: str, code: int) -> int:
    complain(sentence)
    return code


def complain(sentence: str) -> None:
    print(f"tiketi: {sentence}", file=sys.stderr, flush=True)

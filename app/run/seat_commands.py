"""`tiketi seats`: what it takes. What it does is in app/run/seats.py."""

from __future__ import annotations

import argparse

from app.domain.seatvalues import MARKS
from app.run.terminal import Add, asked, tell_of
from config.settings import Settings

ACTIONS = ("block", "release", "regrade", "mark", "add")


def add_to(add: Add) -> None:
    text = "block, release, regrade, mark or add seats, also during a sale"
    take_arguments(add("seats", _seats, text, tells=True))


def take_arguments(command: argparse.ArgumentParser) -> None:
    """Let a command name seats and what is to be done to them."""
    command.add_argument("event")
    command.add_argument("action", choices=ACTIONS)
    command.add_argument("section")
    command.add_argument("--row", default="", help="of that section; every row if it is not said")
    command.add_argument("--numbers", default="", help="such as 1-10,12,12A; every seat if they are not said")
    command.add_argument("--grade", default="", help="of seats that are regraded or added")
    command.add_argument("--mark", action="append", default=[], choices=MARKS, help="of seats that are marked or added")


def _seats(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.seats import change

    return asked(change(settings, args, tell_of(args)))

"""The commands that change how a line moves: `tiketi rate`, `pause`, `door`, `message` and the others."""

from __future__ import annotations

import argparse
from typing import Any

from app.run.terminal import Add, asked, refuse, sure, tell_of
from config.settings import Settings


def add_to(add: Add) -> None:
    for name, kind, text in (
        ("rate", float, "set how many people are let in per second"),
        ("burst", int, "set how many people may be let in at once"),
        ("capacity", int, "set how many people may be inside the shop at a time"),
        ("lobby", int, "set how many minutes before the next opening people may come and wait"),
    ):
        command = add(name, _change, text, tells=True)
        command.add_argument("event")
        command.add_argument("value", type=kind)
        command.set_defaults(what=name)
    for name, text in (
        ("pause", "let nobody in for now; people may still join the line"),
        ("resume", "open the room, or open it again"),
        ("drain", "let in the people in line, but let nobody new join"),
        ("close", "end the line: everybody in it loses their place"),
    ):
        command = add(name, _change, text, tells=True)
        command.add_argument("event")
        command.set_defaults(what=name, value=None)
        if name == "close":
            command.add_argument("--yes", action="store_true", help="also while people are in it, without being asked")
    text = "set what a new place takes: nothing, a challenge, an account, a verified one or an invitation"
    command = add("door", _change, text, tells=True)
    command.add_argument("event")
    command.add_argument("value", choices=["open", "challenge", "accounts", "verified", "invited"])
    command.set_defaults(what="door")
    text = "set the order at the next opening: by one draw, or first come, first served"
    command = add("opening", _change, text, tells=True)
    command.add_argument("event")
    command.add_argument("value", choices=["draw", "first"])
    command.set_defaults(what="opening")
    command = add("message", _announce, "show a message to everyone in line; an empty text removes it", tells=True)
    command.add_argument("event")
    command.add_argument("value", metavar="text", nargs="?", help="for everybody whose language has none of its own")
    command.add_argument("--ko", metavar="text", help="for those who read Korean")
    command.add_argument("--en", metavar="text", help="for those who read English")


def _announce(settings: Settings, args: argparse.Namespace) -> int:
    messages = {lang: text for lang, text in (("ko", args.ko), ("en", args.en)) if text is not None}
    if args.value is None and not messages:
        return refuse("message: no text. Give one, or --ko and --en; an empty one removes what is shown.", 2)
    return _send(settings, args, {"message": args.value, "messages": messages or None}, "message")


def _change(settings: Settings, args: argparse.Namespace) -> int:
    from app.run import console

    names = {"rate": "ratePerSecond", "capacity": "maxActive", "lobby": "lobbyMinutes"}
    field = names.get(args.what, args.what)
    given: dict[str, Any] = {field: args.value}
    if args.what in console.STATES:
        given = {"state": console.STATES[args.what]}
    return _send(settings, args, given, f"{args.what} {args.value}")


def _send(settings: Settings, args: argparse.Namespace, given: dict[str, Any], what: str) -> int:
    import msgspec

    from app.control.rooms import RoomChange
    from app.run import console

    try:
        wanted = msgspec.convert(given, RoomChange)
    except msgspec.ValidationError as error:
        return refuse(f"{what}: {console.limit_of(str(error))}.", 2)
    return asked(console.change(settings, args.event, wanted, tell_of(args), lambda cost: sure(args, cost)))

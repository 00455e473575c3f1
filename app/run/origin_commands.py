"""`tiketi origins` and `tiketi rooms`: the sites of others that stand behind rooms, and those rooms.

They do what the admin API does. A secret and an API key are told once, by the command that makes them, and are nowhere
in a log. Web processes learn of a change within a second.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.domain.passing import PassAlgorithm
from app.run.imported_rules import imported_from, tell_imported
from app.run.terminal import Add, Run, adding, asked, sure, tell_of
from config.settings import Settings

if TYPE_CHECKING:
    from app.control.origin_rooms import OriginRooms
    from app.control.origins import OriginControl, Shown
    from app.run.telling import Tell

T = TypeVar("T")
Command = Coroutine[Any, Any, None]
ROOM_OPTIONS = (
    ("name", str, "as people read it"),
    ("rate", float, "how many people are let in per second"),
    ("burst", int, "how many people may be let in at once"),
    ("capacity", int, "how many people may be inside at a time"),
    ("pass-seconds", int, "how long who was let in may stay"),
    ("lobby", int, "how many minutes before the opening people may come and wait"),
    ("opens", str, "when it opens, such as 2026-05-01T09:00Z; now, if it is not said"),
    ("closes", str, "when it closes; never, if it is not said"),
    ("target", str, "where visitors go if nothing else is asked for, instead of the origin's address"),
)
CHOICES = (
    ("mode", ("always", "standby"), "whether everybody queues, or only while more come than may be let in"),
    ("door", ("open", "challenge", "invited"), "what a new place takes"),
    ("opening", ("draw", "first"), "the order at the opening"),
    ("pass-algorithm", tuple(PassAlgorithm), "with our keys, with the origin's secret, or for our check alone"),
)
FIELDS = {
    "rate": "ratePerSecond",
    "capacity": "maxActive",
    "pass_seconds": "passSeconds",
    "lobby": "lobbyMinutes",
    "opens": "opensAt",
    "closes": "closesAt",
    "target": "targetUrl",
    "pass_algorithm": "passAlgorithm",
}


def add_to(add: Add) -> None:
    _add_origins(add)
    _add_rooms(add)


def _family(add: Add, name: str, text: str) -> Add:
    command = add(name, _no_action, text)
    return adding(command.add_subparsers(title="what to do", required=True, metavar="ACTION"))


def _no_action(_: Settings, __: argparse.Namespace) -> int:
    raise AssertionError("argparse asks for an action")


def _add_origins(add: Add) -> None:
    action = _family(add, "origins", "the sites of others that stand behind rooms")
    action("list", _run(_list_origins), "show every origin", tells=True)
    made = action("create", _run(_create_origin), "make an origin; tells its secret and its API key, once", tells=True)
    made.add_argument("origin", help="its id: small letters, digits and hyphens")
    made.add_argument("--name", required=True)
    made.add_argument("--host", required=True, action="append", help="where visitors may be sent; several may be given")
    made.add_argument("--target", required=True, help="where they go if nothing else is asked for")
    made.add_argument("--customer", help="what connectors call it: letters and digits")
    text = "a connector takes a token only from the address that it was made for"
    made.add_argument("--bind-tokens", action="store_true", help=text)
    text = "give an origin another secret and API key; those before are good for another day"
    text = "what happens at an origin: checks, visits, refusals, and the last errors with what to do"
    action("figures", _run(_show_figures), text, tells=True).add_argument("origin")
    action("rotate", _run(_rotate), text, tells=True).add_argument("origin")
    logo = action("logo", _run(_set_logo), "give an origin's waiting pages a logo, or take it away", tells=True)
    logo.add_argument("origin")
    picture = logo.add_mutually_exclusive_group(required=True)
    picture.add_argument("file", type=Path, nargs="?", help="a still PNG, JPEG or WebP")
    picture.add_argument("--remove", action="store_true")
    frames = action("frames", _run(_set_frames), "say whose pages may have its waiting pages in a frame", tells=True)
    frames.add_argument("origin")
    frames.add_argument("address", nargs="*", help="such as https://shop.example; without any, nobody's may")
    action("delete", _run(_delete_origin), "delete an origin without rooms", tells=True).add_argument("origin")


def _add_rooms(add: Add) -> None:
    action = _family(add, "rooms", "the rooms of other sites; how all rooms are now, `tiketi status` tells")
    action("list", _run(_list_rooms), "show every room of an origin", tells=True)
    made = action("create", _run(_create_room), "make a room of an origin", tells=True)
    made.add_argument("room", help="its id: small letters, digits and hyphens")
    made.add_argument("--origin", required=True)
    action("show", _run(_show_room), "show how a room is set", tells=True).add_argument("room")
    changed = action("change", _run(_change_room), "change what is given of a room; the rest stays", tells=True)
    changed.add_argument("room")
    for each in (made, changed):
        for name, kind, text in ROOM_OPTIONS:
            each.add_argument(f"--{name}", type=kind, help=text, required=each is made and name == "name")
        for name, choices, text in CHOICES:
            each.add_argument(f"--{name}", choices=choices, help=text)
        rules = each.add_mutually_exclusive_group()
        rules.add_argument("--rules", type=Path, help="a JSON file that says which requests need a pass")
        rules.add_argument("--preset", choices=["plain", "woocommerce", "shopify"], help="rules to begin with")
    text = "make rules of the configuration that a shop's connector had; shown, and saved with --save"
    imported = action("import", _run(_import_rules), text, tells=True)
    imported.add_argument("room")
    imported.add_argument("file", type=Path, help="the integration configuration, a JSON file")
    imported.add_argument("--event", help="what the room was called there, if not the same")
    imported.add_argument("--save", action="store_true", help="save the rules in place of those that the room has")
    for name, state, text in (
        ("pause", "paused", "let nobody in for now; people may still join the line"),
        ("open", "open", "open the room, or open it again"),
    ):
        command = action(name, _run(_set_state), text, tells=True)
        command.add_argument("room")
        command.set_defaults(state=state)
    deleted = action("delete", _run(_delete_room), "close a room and delete it; its id is not given again", tells=True)
    deleted.add_argument("room")
    deleted.add_argument("--yes", action="store_true", help="also while people are in it, without being asked")


def _run(command: Any) -> Run:
    """Each is told the settings, its arguments and whom to tell; what is refused is said in one sentence."""

    def run(settings: Settings, args: argparse.Namespace) -> int:
        from config.logging import configure

        flush = configure(settings, "cli")
        try:
            return asked(_refusing(settings, command(settings, args, tell_of(args))))
        finally:
            flush()

    return run


async def _refusing(settings: Settings, command: Command) -> None:
    """Raises ConsoleError, StoreError."""
    from app.control.origins import OriginRefused
    from app.http.kit.problems import Problem
    from app.room.errors import RoomUnavailable
    from app.run.console import ConsoleError, NotRunningError, not_running

    try:
        await command
    except OriginRefused as refused:
        raise ConsoleError(Problem(refused.code, **refused.known).detail) from None
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error


@asynccontextmanager
async def _origins(settings: Settings) -> AsyncIterator[OriginControl]:
    """On SQL alone: an origin is nothing in Redis."""
    from secrets import token_bytes

    from app.connections import store_of_command, utc_now
    from app.control.origins import OriginControl
    from app.origins.secrets import Sealer
    from config.keys import load_keys

    async with store_of_command(settings) as db:
        keys = load_keys(settings.data_dir, settings.keys_file)
        yield OriginControl(db, Sealer(keys.holder_key, token_bytes), utc_now, token_bytes)


@asynccontextmanager
async def _rooms(settings: Settings) -> AsyncIterator[OriginRooms]:
    """Raises RoomUnavailable."""
    from app.control.origin_rooms import OriginRooms
    from app.control.rooms import open_room_control

    async with open_room_control(settings) as control:
        yield OriginRooms(control)


def _wanted(given: Mapping[str, Any], kind: type[T]) -> T:
    """What was typed, as the API takes it. Raises ConsoleError."""
    import msgspec

    from app.http.kit.fields import misfit_of
    from app.run.console import ConsoleError

    known = {name: value for name, value in given.items() if value is not None}
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        raise ConsoleError(f"{misfit_of(error, kind, known).words}.") from None


async def _list_origins(settings: Settings, _: argparse.Namespace, tell: Tell) -> None:
    from app.http.origins.shapes import origin_shown
    from app.ledger import origins

    async with _origins(settings) as control:
        for row in await origins.listed(control.db):
            tell(origin_shown(row), f"{row.id:<20} {row.name}  {row.target_url}  ({', '.join(row.hosts)})")


async def _show_figures(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.control.origins import found
    from app.http.admin.origin_figures import Site, made
    from app.ledger.origins import listed_rooms
    from app.run.site_figures import lines_of

    async with _rooms(settings) as rooms:
        row = await found(rooms.control.db, args.origin)
        own = [each for each in await listed_rooms(rooms.control.db) if each.origin_id == row.id]
        views = {each.id: view for each in own if (view := await rooms.control.rooms.find(each.id)) is not None}
        figures = await made(rooms.control, Site(row, own, views), bool(settings.trusted_proxies))
    tell(figures, *lines_of(figures))


async def _create_origin(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.origins.wanted import OriginWanted

    given = {"id": args.origin, "name": args.name, "hosts": args.host, "targetUrl": args.target}
    wanted = _wanted({**given, "customerId": args.customer, "bindTokens": args.bind_tokens}, OriginWanted)
    async with _origins(settings) as control:
        _tell_secrets(await control.create(_who(), wanted), f"{wanted.id} is made.", tell)


async def _rotate(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    async with _origins(settings) as control:
        shown = await control.rotate(_who(), args.origin)
    words = f"{args.origin} has another secret and API key; those before are good until {shown.origin.before_until}."
    _tell_secrets(shown, words, tell)


def _tell_secrets(shown: Shown, words: str, tell: Tell) -> None:
    from app.http.origins.shapes import created_of

    told = (words, "Nobody can show these two again:", f"secret   {shown.secret}", f"API key  {shown.api_key}")
    tell(created_of(shown), *told)


async def _set_logo(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.http.origins.shapes import origin_shown
    from app.origins.logos import SENT_BYTES_MAX
    from app.run.console import ConsoleError

    async with _origins(settings) as control:
        if args.remove:
            row = await control.remove_logo(_who(), args.origin)
            tell(origin_shown(row), f"{args.origin} has no logo.")
            return
        try:
            with args.file.open("rb") as opened:
                data = opened.read(SENT_BYTES_MAX + 1)
        except OSError as error:
            raise ConsoleError(f"{args.file} cannot be read: {error}.") from None
        if len(data) > SENT_BYTES_MAX:
            raise ConsoleError(f"A logo may have at most {SENT_BYTES_MAX} bytes.")
        row = await control.put_logo(_who(), args.origin, data)
    tell(origin_shown(row), f"{args.origin} has a logo.")


async def _set_frames(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.http.origins.shapes import origin_shown
    from app.origins.wanted import OriginEdit

    wanted = _wanted({"frameAncestors": args.address}, OriginEdit)
    async with _origins(settings) as control:
        row = await control.edit(_who(), args.origin, wanted)
    tell(origin_shown(row), f"In a frame at: {', '.join(row.frame_ancestors) or 'nobody'}")


async def _delete_origin(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    async with _origins(settings) as control:
        await control.remove(_who(), args.origin)
    tell({"deleted": args.origin}, f"{args.origin} is deleted.")


async def _list_rooms(settings: Settings, _: argparse.Namespace, tell: Tell) -> None:
    from app.http.origins.shapes import room_shown
    from app.ledger import origins

    async with _origins(settings) as control:
        for row in await origins.listed_rooms(control.db):
            tell(room_shown(row), f"{row.id:<20} of {row.origin_id}: {row.name}, {row.mode}")


async def _show_room(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    async with _rooms(settings) as rooms:
        _tell_room(await rooms.found(args.room), tell)


async def _create_room(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.origins.wanted import OriginRoomWanted

    wanted = _wanted({**_given(args), "id": args.room, "origin": args.origin}, OriginRoomWanted)
    async with _rooms(settings) as rooms:
        _tell_room(await rooms.create(_who(), wanted), tell)


async def _change_room(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.origins.wanted import OriginRoomEdit

    wanted = _wanted(_given(args), OriginRoomEdit)
    async with _rooms(settings) as rooms:
        _tell_room(await rooms.edit(_who(), args.room, wanted), tell)


async def _import_rules(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.origins.wanted import OriginRoomEdit

    imported = imported_from(args.file, args.event or args.room)
    async with _rooms(settings) as rooms:
        await rooms.found(args.room)
        if args.save:
            await rooms.edit(_who(), args.room, _wanted({"rules": imported.rules}, OriginRoomEdit))
    tell_imported(imported, args.save, tell)


async def _set_state(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.control.origins import OriginRefused
    from app.control.rooms import RefusedChange, RoomChange
    from app.domain.line import RoomState

    async with _rooms(settings) as rooms:
        await rooms.found(args.room)
        try:
            changed = await rooms.control.change(args.room, _who(), RoomChange(state=RoomState(args.state)))
        except RefusedChange as error:
            raise OriginRefused("change_refused", why=str(error).capitalize()) from None
    tell(changed, f"{args.room}: {args.state}")


async def _delete_room(settings: Settings, args: argparse.Namespace, tell: Tell) -> None:
    from app.control.rooms import UnknownRoom
    from app.run.console import ConsoleError

    async with _rooms(settings) as rooms:
        await rooms.found(args.room)
        try:
            here = await rooms.control.sample(args.room)
            people = here.waiting + here.admitted + here.active
        except UnknownRoom:  # Redis has lost it
            people = 0
        if people and not sure(args, f"In line and inside of {args.room}: {people}. They lose their place."):
            raise ConsoleError(f"Nothing was changed. To delete it: tiketi rooms delete {args.room} --yes")
        await rooms.remove(_who(), args.room)
    tell({"deleted": args.room}, f"{args.room} is deleted.")


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a room, by the API's names. Raises ConsoleError."""
    names = [name.replace("-", "_") for name, *_ in (*ROOM_OPTIONS, *CHOICES)]
    given = {FIELDS.get(name, name): getattr(args, name) for name in names}
    return given | {"rules": _rules(args)}


def _rules(args: argparse.Namespace) -> Any:
    from app.connect.presets import preset
    from app.connect.rules import JSON_BYTES_MAX
    from app.run.console import ConsoleError

    if args.preset is not None:
        return preset(args.preset)
    if args.rules is None:
        return None
    try:
        with args.rules.open(encoding="utf-8") as opened:
            return json.loads(opened.read(JSON_BYTES_MAX))
    except (OSError, ValueError, RecursionError) as error:
        raise ConsoleError(f"{args.rules} cannot be read: {error}.") from None


def _tell_room(row: Any, tell: Tell) -> None:
    import msgspec

    from app.http.origins.shapes import room_shown

    shown = room_shown(row)
    words = msgspec.to_builtins(shown)
    rules = f"{len(words.pop('rules'))} rules"
    tell(shown, *(f"{name:<15} {_word(value)}" for name, value in words.items()), f"{'rules':<15} {rules}")


def _word(value: Any) -> str:
    return "-" if value in (None, {}, []) else str(value)


def _who() -> str:
    from app.run.console import who

    return who()

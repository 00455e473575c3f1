"""What connectors cannot be told of a room's rules, so that an admin knows before a visitor notices. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from app.connect.rules import AGENT, TEXTS
from app.origins.connector.triggers import IN_WHOLE_URLS, NO_CONDITIONS, condition, triggers_of, whole_urls


class How(StrEnum):
    """What became of a rule. `wider`: a rule that asks for a pass asks for more than it says."""

    left_out = "left_out"
    in_part = "in_part"
    wider = "wider"
    other_room = "other_room"  # what lets pass is said of the last room only


class Unsaid(NamedTuple):
    """`rule`: its place, from 0. `parts`: what of it could not be said, such as `method` or `path /a/*.css`."""

    room: str
    rule: int
    how: How
    parts: tuple[str, ...]


def unsaid_of(room: str, place: int, rule: Mapping[str, Any], *, is_last: bool, hosts: Sequence[str]) -> Unsaid | None:
    """What is lost of this rule; None: nothing."""
    lets_pass = rule["action"] == "pass"
    if lets_pass and not is_last:
        return Unsaid(room, place, How.other_room, ())
    parts = tuple(_parts(rule, wider=not lets_pass, hosts=hosts))
    if lets_pass and not triggers_of(rule, wider=False, hosts=hosts):
        return Unsaid(room, place, How.left_out, parts)
    if not lets_pass:
        return Unsaid(room, place, How.wider, parts) if parts else None
    return Unsaid(room, place, How.in_part, parts) if parts else None


def _parts(rule: Mapping[str, Any], *, wider: bool, hosts: Sequence[str]) -> Iterator[str]:
    if rule["action"] == "refuse":
        yield "refuse"
    for group in (rule, *rule.get("also", ())):
        is_wider = wider is not bool(group.get("negate"))
        is_whole = not is_wider and whole_urls(group, hosts) is not None
        said = (*NO_CONDITIONS, *IN_WHOLE_URLS) if is_whole else NO_CONDITIONS
        for kind, value in group.items():
            if kind not in said:
                yield from _of_condition(kind, value, is_wider, hosts)


def _of_condition(kind: str, value: Any, wider: bool, hosts: Sequence[str]) -> Iterator[str]:
    if (kind == "query" and wider) or condition(kind, value, wider=wider, hosts=hosts, ignoring=False) is None:
        yield kind
    elif kind == "queryOnly":
        yield from ("queryOnly " + name for name in value)
    elif kind in (*TEXTS, AGENT) and not wider:
        texts = [value] if isinstance(value, str) else value
        yield from (
            f"{kind} {text}" for text in texts if not condition(kind, [text], wider=False, hosts=hosts, ignoring=False)
        )

"""Rules from an integration configuration that a shop had: what its connector did, a room's rules say.

Rules decide by the first that fits, as integrations do, and what none fits needed no pass. What rules cannot say is
named, and asks for a pass where it would have: so nobody gets in who did not before. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote

import msgspec

from app.connect.rules import Rules, RulesError

CONFIG_BYTES_MAX = 1_048_576
INTEGRATIONS_MAX = 200
TRIGGERS_MAX = 200
PARTS_MAX = 8  # of a trigger all of whose parts must fit
VALUES_MAX = 200
TEXT_CHARS_MAX = 1_000
WHAT_CHARS_MAX = 60

_Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]


class ConfigError(ValueError):
    """This is no integration configuration; the text says why."""


class Why(StrEnum):
    """Why no rule says what an integration did. The value names the words of it."""

    too_many_parts = "too_many_parts"
    comparison = "comparison"
    nothing = "nothing"
    star = "star"
    validator = "validator"
    cancel = "cancel"


SENTENCES = {
    Why.too_many_parts: f"more than {PARTS_MAX} parts that must all fit",
    Why.comparison: "the operator {what!r}",
    Why.nothing: "a comparison with nothing",
    Why.star: "a star within {what!r}, which is a star for a connector and any text for a rule",
    Why.validator: "the validator {what!r}, or what it compares with",
    Why.cancel: "no rule ends a visit; let the page answer with Tiketi-Visit: end, or embed /connect/thanks.js there",
}


class Note(NamedTuple):
    """What the rules do not say as the configuration did: of the integration `name`, because of `what`."""

    name: str
    why: Why
    what: str = ""

    @property
    def words(self) -> str:
        return f"{self.name}: {SENTENCES[self.why].format(what=self.what)}"


class Imported(NamedTuple):
    """`rules`: as objects. `notes`: what they do not say as the configuration did."""

    rules: list[dict[str, Any]]
    notes: list[Note]


class _Part(msgspec.Struct, frozen=True, rename="pascal"):
    validator_type: _Text
    comparison: _Text = msgspec.field(name="Operator")
    value_to_compare: _Text | None = None
    values_to_compare: Annotated[list[_Text], msgspec.Meta(max_length=VALUES_MAX)] | None = None
    url_part: _Text | None = None
    cookie_name: _Text | None = None
    http_header_name: _Text | None = None
    is_negative: bool = False
    is_ignore_case: bool = False


class _Trigger(msgspec.Struct, frozen=True, rename="pascal"):
    trigger_parts: Annotated[list[_Part], msgspec.Meta(max_length=TRIGGERS_MAX)]
    joint: _Text = msgspec.field(default="And", name="LogicalOperator")


class _Integration(msgspec.Struct, frozen=True, rename="pascal"):
    action_type: _Text
    triggers: Annotated[list[_Trigger], msgspec.Meta(max_length=TRIGGERS_MAX)]
    name: _Text = ""
    event_id: _Text | None = None


class IntegrationConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What is read of one; connectors know more."""

    integrations: Annotated[list[_Integration], msgspec.Meta(max_length=INTEGRATIONS_MAX)]


_decoder = msgspec.json.Decoder(IntegrationConfig)


class _Unsaid(Exception):
    """No rule can say this."""

    def __init__(self, why: Why, what: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.what = what[:WHAT_CHARS_MAX]


def rules_of(config: bytes, event_id: str) -> Imported:
    """The rules of the room that was this event there. Raises ConfigError."""
    if len(config) > CONFIG_BYTES_MAX:
        raise ConfigError(f"It is longer than {CONFIG_BYTES_MAX:,} bytes")
    try:
        read = _decoder.decode(config)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(str(error)) from error
    if not any(_is_of(each, event_id) for each in read.integrations):
        raise ConfigError(f"No integration of it sends anybody to {event_id!r}")
    rules: list[dict[str, Any]] = []
    notes: list[Note] = []
    for integration in read.integrations:
        action = _action(integration, event_id, notes)
        for trigger in integration.triggers:
            try:
                rules += [{"action": action, **group} for group in _groups(trigger)]
            except _Unsaid as unsaid:
                notes.append(Note(integration.name, unsaid.why, unsaid.what))
                if action == "queue":
                    rules.append({"action": action})  # of all that follows, as nobody can say of what less
    rules.append({"action": "pass"})
    try:
        return Imported(Rules(rules).objects, notes)
    except RulesError as error:
        raise ConfigError(f"It makes rules that are none: {error}") from error


def _is_of(integration: _Integration, event_id: str) -> bool:
    return integration.action_type == "Queue" and (integration.event_id or "").lower() == event_id.lower()


def _action(integration: _Integration, event_id: str, notes: list[Note]) -> str:
    match integration.action_type:
        case "Queue" if _is_of(integration, event_id):
            return "queue"
        case "Queue" | "Ignore":  # to another room, whose own rules say so
            return "pass"
        case "Cancel":
            notes.append(Note(integration.name, Why.cancel))
            return "queue" if (integration.event_id or "").lower() == event_id.lower() else "pass"
        case other:
            raise ConfigError(f"{integration.name}: there is no action {other!r}")


def _groups(trigger: _Trigger) -> list[dict[str, Any]]:
    """Several rules for one of which any part is enough, else one that has all of them. Raises _Unsaid."""
    groups = [_group(part) for part in trigger.trigger_parts]
    if trigger.joint == "Or":
        return groups
    if not groups:
        return [{}]  # all of none
    if len(groups) > PARTS_MAX:
        raise _Unsaid(Why.too_many_parts)
    return [groups[0] | ({"also": groups[1:]} if groups[1:] else {})]


def _group(part: _Part) -> dict[str, Any]:
    values = (part.values_to_compare if part.comparison.endswith("Any") else [part.value_to_compare or ""]) or []
    match part.comparison:
        case "Equals" | "EqualsAny":
            patterns = [f"={value}" for value in values]
        case "Contains" | "ContainsAny":
            patterns = [_inside(value) for value in values]
        case other:
            raise _Unsaid(Why.comparison, other)
    if not patterns or "=" in patterns or "**" in patterns:
        raise _Unsaid(Why.nothing)
    group: dict[str, Any] = _where(part, patterns)
    if part.is_negative and "*" in patterns:  # connectors take a star as there, negative or not
        return {}
    if part.is_negative:
        group["negate"] = True
    if part.is_ignore_case:
        group["ignoreCase"] = True
    return group


def _inside(value: str) -> str:
    if "*" in value and value != "*":
        raise _Unsaid(Why.star, value)
    return value if value == "*" else f"*{value}*"


def _where(part: _Part, patterns: list[str]) -> dict[str, Any]:
    match part.validator_type, part.url_part:
        case "UrlValidator", "HostName":
            return {"host": patterns}
        case "UrlValidator", "PagePath":
            return {"path": [unquote(pattern) for pattern in patterns]}
        case "UrlValidator", "PageUrl" if not any("%" in pattern for pattern in patterns):
            return {"url": patterns}
        case "UserAgentValidator", _:
            return {"userAgent": patterns}
        case "CookieValidator", _ if part.cookie_name:
            return {"cookie": {part.cookie_name: patterns}}
        case "HttpHeaderValidator", _ if part.http_header_name:
            return {"header": {part.http_header_name: patterns}}
        case other, where:
            raise _Unsaid(Why.validator, f"{other} {where or ''}".strip())

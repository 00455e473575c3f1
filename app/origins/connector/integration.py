"""The integration configuration that connectors load: which requests of a shop go to which room, from the rooms' rules.

Every key that connectors read is there with its true type; their first integration that fits decides. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.targets import DEVELOPMENT
from app.origins.connector.triggers import AMBIGUOUS, HOST, PATH, URL, Any_, Part, triggers_of, url_part
from app.origins.connector.unsaid import How, Unsaid, unsaid_of

FORMAT = "1.0.0.3"
ANY_PAGE = url_part(URL, "*")
UNCLEAR_PATH = url_part(PATH, *AMBIGUOUS, IsIgnoreCase=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedRoom:
    """A room as far as a connector has to know it. `rules`: as objects, in their order."""

    id: str
    pass_s: int
    rules: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Whose configuration it is. `queue_domain`: the host at which this waiting room is reached. `version`: is not 0
    and grows with every change."""

    customer_id: str
    name: str
    hosts: Sequence[str]
    queue_domain: str
    version: int
    published_at: datetime


def integration_of(shop: Shop, rooms: Sequence[GuardedRoom]) -> dict[str, Any]:
    """The whole configuration. Rooms that are for some requests only come before one that is for all others; what such
    a room lets pass may need a pass of another, so only the last room of all says what needs none."""
    made = [each for room, is_last in _ordered(rooms) for each in _integrations(shop, room, is_last=is_last)]
    lost = [f"{each.room} rules[{each.rule}]" for each in unsaid(shop.hosts, rooms) if each.how is not How.wider]
    return {
        "Description": shop.name if not lost else f"{shop.name} (not for connectors: {', '.join(lost)})",
        "Integrations": made,
        "CustomerId": shop.customer_id,
        "AccountId": shop.customer_id,
        "Version": shop.version,
        "PublishDate": shop.published_at.isoformat(timespec="seconds"),
        "ConfigDataVersion": FORMAT,
    }


def unsaid(hosts: Sequence[str], rooms: Sequence[GuardedRoom]) -> list[Unsaid]:
    """What the configuration does not say as the rules do, in its order."""
    found = [
        unsaid_of(room.id, place, rule, is_last=is_last, hosts=hosts)
        for room, is_last in _ordered(rooms)
        for place, rule in enumerate(_rules_said(room))
    ]
    return [each for each in found if each is not None]


def _ordered(rooms: Sequence[GuardedRoom]) -> list[tuple[GuardedRoom, bool]]:
    """Each with whether it is the last."""
    ordered = sorted(rooms, key=lambda room: (not _is_for_some(room), room.id))
    return [(room, place == len(ordered)) for place, room in enumerate(ordered, start=1)]


def _rules_said(room: GuardedRoom) -> Sequence[Mapping[str, Any]]:
    """But for the last one of a room that is for some requests, which a configuration says by saying nothing."""
    return room.rules[:-1] if _is_for_some(room) else room.rules


def _is_for_some(room: GuardedRoom) -> bool:
    """Whether its rules end with one that lets everything else pass."""
    return bool(room.rules) and room.rules[-1] == {"action": "pass"}


def _integrations(shop: Shop, room: GuardedRoom, *, is_last: bool) -> Iterator[dict[str, Any]]:
    """Those of one room, each once more for hosts of development if there are others beside them."""
    if is_last:
        yield from _by_host(shop, room, f"{room.id} unclear", "Queue", [[UNCLEAR_PATH]])
    for place, rule in enumerate(_rules_said(room)):
        lets_pass = rule["action"] == "pass"
        found = triggers_of(rule, wider=not lets_pass, hosts=shop.hosts) if is_last or not lets_pass else None
        if found:
            name, action = f"{room.id} rules[{place}]", "Ignore" if lets_pass else "Queue"
            yield from _by_host(shop, room, name, action, found)
    if not _is_for_some(room):
        yield from _by_host(shop, room, room.id, "Queue", [[ANY_PAGE]])


def _by_host(shop: Shop, room: GuardedRoom, name: str, action: str, found: Any_) -> Iterator[dict[str, Any]]:
    """A browser keeps no Secure cookie of a host that is reached by http; all others get one."""
    here = [host.removeprefix(DEVELOPMENT) for host in shop.hosts if host.startswith(DEVELOPMENT)]
    if here and action != "Ignore":
        names = sorted({*here, *(host.partition(":")[0] for host in here)})
        at = [
            url_part(URL, *(f"{DEVELOPMENT}{host}/" for host in here), IsIgnoreCase=True),
            url_part(HOST, *names, whole=True, IsIgnoreCase=True),
        ]
        triggers = [_trigger([*parts, *at]) for parts in found]
        yield _integration(room, f"{name} (development)", action, triggers, shop=shop, secure=False)
    triggers = [_trigger(parts or [ANY_PAGE]) for parts in found]
    yield _integration(room, name, action, triggers, shop=shop, secure=True)


def _trigger(parts: list[Part]) -> dict[str, Any]:
    return {"LogicalOperator": "And", "TriggerParts": parts}


def _integration(
    room: GuardedRoom, name: str, action: str, triggers: list[dict[str, Any]], *, shop: Shop, secure: bool
) -> dict[str, Any]:
    return {
        "Name": name,
        "ActionType": action,
        "EventId": room.id,
        "CookieDomain": "",
        "IsCookieHttpOnly": True,
        "IsCookieSecure": secure,
        "LayoutName": "",
        "Culture": "",
        "ExtendCookieValidity": False,
        "CookieValidityMinute": max(1, room.pass_s // 60),
        "Triggers": triggers,
        "QueueDomain": shop.queue_domain,
        "RedirectLogic": "AllowTParameter",
        "ForcedTargetUrl": "",
        "InvolvedWaitingRoomIds": [],
        "QueuePathPrefix": "",
    }

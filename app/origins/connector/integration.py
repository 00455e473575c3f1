"""The integration configuration that connectors load: which requests of a shop go to which room, from the rooms' rules.

Every key that connectors read is there with its true type; their first integration that fits decides. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.targets import DEVELOPMENT
from app.origins.connector.triggers import AMBIGUOUS, PATH, URL, Any_, Part, triggers_of, url_part

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
    ordered = sorted(rooms, key=lambda room: (not _is_for_some(room), room.id))
    made: list[dict[str, Any]] = []
    unsaid: list[str] = []
    for place, room in enumerate(ordered, start=1):
        integrations, left_out = _integrations(shop, room, is_last=place == len(ordered))
        made += integrations
        unsaid += [f"{room.id} rules[{at}]" for at in left_out]
    return {
        "Description": shop.name if not unsaid else f"{shop.name} (not for connectors: {', '.join(unsaid)})",
        "Integrations": made,
        "CustomerId": shop.customer_id,
        "AccountId": shop.customer_id,
        "Version": shop.version,
        "PublishDate": shop.published_at.isoformat(timespec="seconds"),
        "ConfigDataVersion": FORMAT,
    }


def _is_for_some(room: GuardedRoom) -> bool:
    """Whether its rules end with one that lets everything else pass."""
    return bool(room.rules) and room.rules[-1] == {"action": "pass"}


def _integrations(shop: Shop, room: GuardedRoom, *, is_last: bool) -> tuple[list[dict[str, Any]], list[int]]:
    """Those of one room, and the places of its rules that are left out or said in part."""
    made: list[dict[str, Any]] = []
    left_out: list[int] = []
    if is_last:
        made.append(_integration(shop, room, f"{room.id} unclear", "Queue", [_trigger([UNCLEAR_PATH])]))
    for_some = _is_for_some(room)
    rules = room.rules[:-1] if for_some else room.rules
    for place, rule in enumerate(rules):
        lets_pass = rule["action"] == "pass"
        found = triggers_of(rule, wider=not lets_pass, hosts=shop.hosts) if is_last or not lets_pass else None
        if not found:
            left_out.append(place)
            continue
        name = f"{room.id} rules[{place}]"
        made.append(_integration(shop, room, name, "Ignore" if lets_pass else "Queue", _triggers(found)))
    if not for_some:
        made.append(_integration(shop, room, room.id, "Queue", [_trigger([ANY_PAGE])]))
    return made, left_out


def _triggers(found: Any_) -> list[dict[str, Any]]:
    return [_trigger(parts or [ANY_PAGE]) for parts in found]


def _trigger(parts: list[Part]) -> dict[str, Any]:
    return {"LogicalOperator": "And", "TriggerParts": parts}


def _integration(
    shop: Shop, room: GuardedRoom, name: str, action: str, triggers: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "Name": name,
        "ActionType": action,
        "EventId": room.id,
        "CookieDomain": "",
        "IsCookieHttpOnly": True,
        "IsCookieSecure": not any(host.startswith(DEVELOPMENT) for host in shop.hosts),
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

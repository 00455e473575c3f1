"""A room's numbers and recorded changes in words, as the admin pages' scripts write them too. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.line import DrawStage, RoomState
from app.http.kit.i18n import Texts


def duration_words(t: Texts, seconds: float) -> str:
    """A length of time in admin pages: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return t("admin.room.duration.s", s=whole)
    if whole < 3600:
        return t("admin.room.duration.m", m=whole // 60, s=whole % 60)
    return t("admin.room.duration.h", h=whole // 3600, m=whole % 3600 // 60)


def number_cells(t: Texts, numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A room's numbers in words, in the order they are shown."""
    waiting, eta = numbers["waiting"], numbers.get("etaSeconds")
    longest = duration_words(t, numbers.get("oldestWaitSeconds") or 0) if waiting else "–"
    empty = t("admin.room.empty.now" if not waiting else "admin.room.empty.never")
    if waiting and eta:
        empty = duration_words(t, eta["high"] if isinstance(eta, Mapping) else eta)
    return [
        ("waiting", t.number(waiting)),
        ("inflow", t.number(numbers["inflowPerSecond"], 1)),
        ("outflow", t.number(numbers["outflowPerSecond"], 1)),
        ("admitted", t.number(numbers["admitted"])),
        ("active", t.number(numbers["active"])),
        ("oldest", longest),
        ("empty", empty),
        ("last", t.number(numbers["lastNumber"])),
    ]


def opening_words(t: Texts, numbers: Mapping[str, Any], now: datetime) -> str:
    """How far a room's opening is; nothing to say of a line without one ahead or behind it."""
    if numbers["draw"] == DrawStage.closed:
        return t("admin.room.stage.closed")
    if numbers["state"] in (RoomState.scheduled, RoomState.lobby) and numbers["opensAt"]:
        left_s = (datetime.fromisoformat(numbers["opensAt"]) - now).total_seconds()
        key = "admin.room.stage.lobby" if numbers["state"] == RoomState.lobby else "admin.room.stage.ahead"
        if left_s <= 0:
            return t("admin.room.stage.now", n=numbers["waiting"])
        return t(key, n=numbers["waiting"], time=duration_words(t, left_s))
    return t("admin.room.stage.drawn", n=numbers["drawn"]) if numbers["drawn"] else ""


def is_full(numbers: Mapping[str, Any]) -> bool:
    """Whether capacity, not the rate, is what people wait for."""
    inside: int = numbers["admitted"] + numbers["active"]
    return bool(numbers["waiting"]) and inside >= numbers["maxActive"]


def stamp(at: datetime, zone: str) -> str:
    """A moment to the second, as the page's script writes it too: `2026-11-29 06:02:17`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def change_words(t: Texts, change: Mapping[str, Any]) -> str:
    """One recorded change: `rate per second: 50, state: Paused`."""
    return ", ".join(change_parts(t, change))


def change_parts(t: Texts, change: Mapping[str, Any]) -> list[str]:
    return [f"{_field(t, field)}: {_value(t, field, value)}" for field, value in change.items()]


def _field(t: Texts, field: str) -> str:
    key = f"admin.room.field.{field}"
    return t(key) if t.has(key) else field


def _value(t: Texts, field: str, value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(change_parts(t, value))
    if field == "state" and t.has(f"line.room.{value}"):
        return t(f"line.room.{value}")
    if field in ("door", "opening") and t.has(f"admin.room.{field}.{value}"):
        return t(f"admin.room.{field}.{value}")
    return t.number(value) if isinstance(value, int | float) else str(value)

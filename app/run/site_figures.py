"""The figures of a site as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from app.http.admin.origin_figures import Flows, SiteFiguresShown


def lines_of(figures: SiteFiguresShown) -> Iterator[str]:
    """The whole site, each room, what was refused, and what went wrong."""
    yield _line("all rooms", figures.totals)
    for room in figures.rooms:
        yield _line(room.room, room)
    refused = {**figures.refused, **{f"connector {why}": n for why, n in figures.connector_refused.items()}}
    told = ", ".join(f"{why} {count}" for why, count in refused.items() if count)
    yield f"Not let through within the hour: {told or 'nobody'}."
    if figures.connector_ahead_seconds is not None:
        yield f"The connector's clock is {figures.connector_ahead_seconds:.0f} s ahead of ours."
    for warned in figures.warnings:
        yield f"Warning: {'' if warned.room is None else warned.room + ': '}{warned.what_to_do}"
    for error in figures.errors:
        of = "" if error.room is None else f" {error.room}:"
        yield f"{error.at:%Y-%m-%d %H:%M:%SZ}{of} {error.happened} {error.what_to_do}"


def _line(name: str, flows: Flows) -> str:
    rates = f"{flows.checks_per_second:g} checks/s, {flows.let_through_per_second:g} through, "
    rates += f"{flows.sent_to_room_per_second:g} to the room"
    visits = f"{flows.live} inside, {flows.waiting} waiting, {flows.ended} ended, {flows.expired} expired"
    return f"{name:<20} {rates}; {visits}; {_stay(flows)}"


def _stay(flows: Flows) -> str:
    if flows.stay_median_seconds is None or flows.stay_p90_seconds is None:
        return "no visit was ended within the hour"
    return f"visits last {flows.stay_median_seconds:.0f} s, nine of ten at most {flows.stay_p90_seconds:.0f} s"

"""A trace in words: the sentences of the page and of the command line, in either language.

Every code of a step, a standing or a gap has its sentence in the locales under `admin.trace.`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from app.audit.trace import Gap, Trace
from app.audit.trace_steps import Step, What
from app.http.kit.i18n import Texts

KEY = "admin.trace."

ShowMoment = Callable[[datetime], str]
NameOf = Callable[[str], str]  # a payment method's name, by its id


class Row(NamedTuple):
    """`at` is empty where the moment is not stored."""

    at: str
    what: str
    source: str


def standing_words(t: Texts, trace: Trace, show: ShowMoment) -> str:
    until = "" if trace.until is None else show(trace.until)
    return t(f"{KEY}standing.{trace.standing.value}", n=trace.ahead or 0, until=until)


def gap_words(t: Texts, gap: Gap, show: ShowMoment) -> str:
    return t(f"{KEY}missing.{gap.missing.value}", since="" if gap.since is None else show(gap.since))


def rows(t: Texts, trace: Trace, show: ShowMoment, method_name: NameOf) -> list[Row]:
    return [
        Row(
            at="" if step.at is None else show(step.at),
            what=step_words(t, step, show, method_name),
            source=t(f"{KEY}source.{step.source.value}"),
        )
        for step in trace.steps
    ]


def step_words(t: Texts, step: Step, show: ShowMoment, method_name: NameOf) -> str:
    moments = {name: getattr(step, name) for name in ("at", "after", "until")}
    return t(
        f"{KEY}step.{_sentence(t, step)}",
        **{name: "" if at is None else show(at) for name, at in moments.items()},
        n=step.seats,
        amount=t.money(step.amount),
        by="" if step.by is None else t(f"{KEY}by.{step.by.value}"),
        status=t(f"{KEY}charge.{step.status}") if step.what is What.charge_started else step.status,
        method=method_name(step.method),
        who=step.who,
        action=step.action,
        reservation=step.reservation_id,
        charge=step.charge_id,
    )


def _sentence(t: Texts, step: Step) -> str:
    """Which of a step's sentences fits what is known of it."""
    match step.what:
        case What.joined if step.at is None or step.after is None:
            variant = ".by" if step.at is not None else ".after" if step.after is not None else ".unknown"
        case What.came_back if step.after is not None:
            variant = ".after"
        case What.command_waiting:
            variant = f".{step.command}"
        case What.wish_answered | What.admin_acted:
            wanted = f".{step.status or step.action}"
            variant = wanted if t.has(f"{KEY}step.{step.what.value}{wanted}") else ".other"
        case _:
            variant = ""
    return step.what.value + variant

"""Every code of a trace has its sentence, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from msgspec.structs import replace

from app.audit.trace import Gap, Missing, Standing, Trace
from app.audit.trace_steps import EndedBy, Source, Step, What
from app.domain.charge import ChargeStatus
from app.domain.line import RoomState
from app.http.admin.trace_words import gap_words, rows, standing_words, step_words
from app.http.kit.i18n import LANGS, TEXTS, Lang
from app.lane.commands import Command, OutcomeStatus

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
TAGS = {str(kind.__struct_config__.tag) for kind in get_args(Command)}
COMMANDS = sorted(TAGS - {"serve"})  # that one is about no place in line
KINDS = {  # what tells the sentences of one step from each other
    What.command_waiting: [{"command": command} for command in COMMANDS],
    What.wish_answered: [{"status": status.value} for status in OutcomeStatus],
    What.charge_started: [{"status": status.value} for status in ChargeStatus],
    What.admin_acted: [{"action": f"reservation.{verb}"} for verb in ("cancel", "refund")] + [{"status": "refused"}],
}


def show(at: datetime) -> str:
    return f"{at:%H:%M}"


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("what", What)
def test_every_step_has_a_sentence(lang: Lang, what: What) -> None:
    for kind in KINDS.get(what, [{}]):
        for by in EndedBy:
            for at, after in ((NOON, NOON), (NOON, None), (None, NOON), (None, None)):
                step = Step(at=at, after=after, until=NOON, source=Source.sql, what=what, by=by, seats=2, amount=100)
                step = replace(step, **kind)
                assert step_words(TEXTS[lang], step, show, str.title).endswith(".")


@pytest.mark.parametrize("lang", LANGS)
def test_every_standing_gap_and_source_has_a_sentence(lang: Lang) -> None:
    t = TEXTS[lang]
    for standing in Standing:
        told = Trace(
            event_id="gig",
            number=7,
            epoch=1,
            standing=standing,
            ahead=1_234,
            until=NOON,
            room=RoomState.open,
            steps=[Step(at=None, source=source, what=What.left) for source in Source],
            gaps=[],
        )
        assert standing_words(t, told, show).endswith(".")
        assert all(row.source for row in rows(t, told, show, str.title))
    assert all(gap_words(t, Gap(missing=missing, since=NOON), show).endswith(".") for missing in Missing)


@pytest.mark.parametrize("what", [What.charge_started, What.paid, What.paid_too_late])
def test_a_payment_method_is_called_by_its_name(what: What) -> None:
    step = Step(
        at=NOON, source=Source.sql, what=what, method="acme_pay", amount=100, status=ChargeStatus.captured.value
    )
    words = step_words(TEXTS["en"], step, show, {"acme_pay": "Acme Pay"}.__getitem__)
    assert "by Acme Pay" in words
    assert "acme_pay" not in words

"""The verdict can fail: every invariant broken in forged records is found, with who was concerned."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from loadtest import audit, records
from loadtest.records import LaneEntry, LaneOutcome, PositionSeen, Records, RoomEntry, Streamed
from tests.loadtest.forged import (
    REV,
    SETTINGS,
    Forge,
    at,
    clean,
    joined,
    polled,
    sale,
    with_crowd,
    with_lane,
    with_room,
    with_sales,
    with_stores,
)


def lane_gives(reservation: str, seat: int) -> LaneEntry:
    outcome = LaneOutcome(command="hold:x", status="held", reservation=reservation, seats=[seat])
    return LaneEntry(at_ms=at(13), version=7, outcomes=[outcome])


def after(rev: int, entry: RoomEntry) -> Forge:
    """The same log with this entry in between, and the later ones renumbered."""

    def forge(run: Records) -> Records:
        before = [one for one in run.room if one.rev <= REV + rev]
        later = [replace(one, rev=one.rev + 1) for one in run.room if one.rev > REV + rev]
        return replace(run, room=[*before, replace(entry, rev=REV + rev + 1), *later])

    return forge


def told_by_stream(number: int, at_s: float) -> PositionSeen:
    return PositionSeen(session=number, via="stream", sent_ms=at(at_s), at_ms=at(at_s), number=number, state="admitted")


def held_by(session: int, seat: str, at_s: float) -> records.Held:
    return records.Held(
        session=session,
        sent_ms=at(at_s - 0.1),
        received_ms=at(at_s),
        reservation=f"r_x{session}",
        seats=[seat],
        expires_ms=at(at_s + 8),
    )


def opened_before(number: int) -> Forge:
    return lambda run: replace(run, room_start=replace(run.room_start, number=number) if run.room_start else None)


BROKEN: dict[str, tuple[Forge, str, str]] = {
    "neighbours that are apart": (
        with_crowd(replace(held_by(5, "s9", 12.3), is_torn=True)),
        "I5",
        "session 5 (poll) required it",
    ),
    "one number for two holders": (with_crowd(joined(2, 0.35, session=3)), "I1", "session 2 (stream)"),
    "a smaller number for who came later": (with_crowd(joined(2, 5.0, session=5)), "I1", "session 5 (poll)"),
    "a number from before the run": (opened_before(1), "I1", "number 1"),
    "a number the store never gave": (with_crowd(joined(9, 6.0, session=5, holder="x")), "I1", "number 9"),
    "a second number while the first stands": (
        with_crowd(joined(6, 1.0, session=4, again=True)),
        "I2",
        "session 4 (away)",
    ),
    "another number in the store": (with_stores(holders={"holder-1": 3}), "I2", "session 1 (poll)"),
    "the position of somebody else": (with_crowd(polled(1, 0.8, session=5)), "I2", "session 5 (poll)"),
    "passed over without a word": (with_room(5, skipped=[]), "I3", "number 4, session 4 (away)"),
    "let in out of order": (with_room(1, admitted=[2, 1]), "I3", "number 1, session 1 (poll)"),
    "let in twice": (with_room(7, admitted=[4, 2]), "I3", "number 2, session 2 (stream)"),
    "let in after leaving": (with_room(7, admitted=[4, 3]), "I3", "number 3, session 3 (abandon)"),
    "a cursor that goes back": (with_room(7, cursor=3), "I3", "the admitter"),
    "taken for absent while polling": (with_crowd(polled(4, 7.0)), "I3", "number 4, session 4 (away)"),
    "taken for absent while streaming": (
        with_crowd(Streamed(session=4, opened_ms=at(2), closed_ms=at(12.5))),
        "I3",
        "number 4, session 4 (away)",
    ),
    "a lost ticket": (with_stores(ended_places={1, 2, 3}), "I3", "number 5, session 5 (poll)"),
    "told of a turn that never came": (with_crowd(told_by_stream(3, 1.0)), "I3", "number 3, session 3 (abandon)"),
    "more than rate and burst at once": (
        after(4, RoomEntry(rev=0, kind="admit", at_ms=at(1.2), cursor=3, number=5, admitted=[3])),
        "I4",
        "number 3",
    ),
    "let in while paused": (
        after(4, RoomEntry(rev=0, kind="config", at_ms=at(11), settings=replace(SETTINGS, state="paused"))),
        "I4",
        "number 5, session 5 (poll)",
    ),
    "more inside than capacity": (
        after(4, RoomEntry(rev=0, kind="config", at_ms=at(11), settings=replace(SETTINGS, max_active=1))),
        "I4",
        "number 5, session 5 (poll)",
    ),
    "a seat promised to two": (with_crowd(held_by(5, "s1", 4.0)), "I5", "session 5 (poll) by r_x5"),
    "two live reservations of a seat": (with_sales(sale(4, "confirmed", 14.6, 2)), "I5", "r_5, r_4"),
    "a sold seat that is available": (with_stores(seats=[0, 2, 2, 0]), "I5", "r_1"),
    "a seat the lane gave twice": (with_lane(lane_gives("r_9", 0)), "I5", "r_9 while r_1 had it"),
    "a paid reservation that expired": (
        with_sales(sale(5, "expired", 12.2, 2, ended_s=20.3), seats=[2, 2, 0, 0]),
        "I5",
        "session 5 (poll)",
    ),
    "seats without money": (with_sales(replace(sale(1, "confirmed", 1.4, 0, 1), payments=[])), "I7", "r_1"),
    "seats paid twice": (
        with_sales(replace(sale(1, "confirmed", 1.4, 0, 1), payments=["captured"] * 2)),
        "I7",
        "r_1",
    ),
    "a hold that never ends": (with_sales(sale(4, "pending", 14.6, 3), seats=[2, 2, 2, 1]), "I6", "r_4"),
    "seats freed late": (with_sales(sale(2, "expired", 1.5, 2, ended_s=11.0)), "I6", "r_2"),
    "a hold that ends early": (with_sales(sale(2, "expired", 1.5, 2, ended_s=9.0)), "I6", "r_2"),
    "what the product finds itself": (with_stores(violations=[("I2", "number 4 has nobody")]), "I2", "the stores"),
}


def verdict(run: Records) -> tuple[int, set[str], str]:
    """(exit code, invariants broken, by whom)."""
    findings = audit.judge(run)
    breaches = [breach for finding in findings for breach in finding.breaches]
    return audit.code(findings), {breach.invariant for breach in breaches}, "; ".join(breach.by for breach in breaches)


def test_a_run_in_order_is_clean() -> None:
    assert verdict(clean()) == (0, set(), "")


@pytest.mark.parametrize("forgery", BROKEN)
def test_a_broken_invariant_is_found_and_named(forgery: str) -> None:
    forge, invariant, by = BROKEN[forgery]
    code, broken, named = verdict(forge(clean()))
    assert code == 1
    assert invariant in broken
    assert by in named


def test_somebody_who_was_absent_is_let_in_late_without_blame() -> None:
    order = next(finding for finding in audit.judge(clean()) if finding.topic == "order")
    assert "0 inversions, tau 1.0000" in order.text
    assert "1 came back after being absent (1 inversions, all theirs)" in order.text


def test_those_who_came_at_the_opening_are_not_held_to_the_order_they_came_in() -> None:
    """Their places were drawn; those who came later are judged as ever."""
    run = clean()
    drawn = msgspec.structs.replace(run.run, opening_draw_s=0.35)
    findings = {finding.topic: finding.text for finding in audit.judge(replace(run, run=drawn))}
    assert findings["numbers"] == "5 numbers, 3 of them drawn at the opening, 0 pairs of joins crossed on their way"


def test_somebody_who_came_back_stands_before_everyone_not_reached() -> None:
    run = with_crowd(joined(6, 5.0, holder="six"))(clean())
    late = RoomEntry(rev=REV + 9, kind="admit", at_ms=at(24), cursor=6, number=6, admitted=[6])
    never = [entry for entry in run.room if entry.rev != REV + 7]
    room = [replace(entry, rev=REV + at) for at, entry in enumerate([*never, late], start=1)]
    code, broken, named = verdict(replace(run, room=room))
    assert code == 1
    assert "I3" in broken
    assert "number 4, session 4 (away)" in named


def test_who_just_came_back_may_still_be_overtaken() -> None:
    """A sighting takes the flush interval to reach Redis: until then nobody can know."""
    run = with_crowd(joined(6, 5.0, holder="six"), polled(6, 13.0))(clean())
    soon = RoomEntry(rev=0, kind="admit", at_ms=at(14.2), cursor=6, number=6, admitted=[6])
    run = with_stores(number=6, cursor=6, holders={}, ended_places={1, 2, 3, 5, 6})(
        after(6, soon)(with_room(7, cursor=6)(run))
    )
    assert "I3" not in verdict(run)[1]


def test_a_place_that_ended_may_be_followed_by_a_new_number() -> None:
    run = with_crowd(joined(6, 25.0, session=2, again=True))(clean())
    holders = {f"holder-{n}": n for n in range(1, 6)} | {"holder-2": 6}
    assert verdict(with_stores(number=6, holders=holders)(run))[0] == 0


def made_again(rev: int, kept: int, cursor: int) -> RoomEntry:
    """Of the 5 numbers that were given, Redis knows so many; the next one is 11."""
    recovering = replace(SETTINGS, state="recovering")
    return RoomEntry(
        rev=rev, kind="config", at_ms=at(20), cursor=cursor, lost=10, kept=kept, epoch=1, settings=recovering
    )


def lost_at_the_end(*since: RoomEntry) -> Forge:
    """Redis loses all but three numbers when everybody is served."""

    def forge(run: Records) -> Records:
        entries = [made_again(0, kept=3, cursor=5), *since]
        return replace(run, room=[*run.room, *(replace(entry, rev=REV + 50 + n) for n, entry in enumerate(entries))])

    return forge


RECOVERED = RoomEntry(rev=0, kind="config", at_ms=at(60), settings=SETTINGS)
SERVED_AGAIN = RoomEntry(rev=0, kind="admit", at_ms=at(61), cursor=11, number=11, admitted=[5, 11])


def test_a_redis_that_lost_something_leaves_no_gap_and_who_comes_back_is_let_in_first() -> None:
    back = RoomEntry(rev=0, kind="back", at_ms=at(21), back=[5])
    assert verdict(lost_at_the_end()(clean()))[0] == 0
    assert verdict(lost_at_the_end(back, RECOVERED, SERVED_AGAIN)(clean()))[1] == set()


def test_nobody_whom_redis_lost_is_let_in_without_their_ticket() -> None:
    _, broken, named = verdict(lost_at_the_end(RECOVERED, SERVED_AGAIN)(clean()))
    assert broken == {"I3"}
    assert "number 5, session 5 (poll)" in named


def test_a_place_that_is_lost_and_not_claimed_again_needs_no_holder() -> None:
    forgotten = with_stores(holders={f"holder-{n}": n for n in range(1, 5)})(clean())
    assert verdict(forgotten)[1] == {"I2"}
    assert verdict(lost_at_the_end()(forgotten))[1] == set()


@pytest.mark.parametrize(("until_s", "is_broken"), [(6.0, True), (8.0, False)])
def test_what_a_disturbed_system_saw_proves_nobody_present(until_s: float, is_broken: bool) -> None:
    run = with_crowd(polled(4, 7.0))(clean())
    disturbed = replace(run.run, disturbed=[(at(3), at(until_s))])
    assert ("I3" in verdict(replace(run, run=disturbed))[1]) is is_broken


def test_a_hold_that_ends_late_is_no_breach_where_nothing_has_to_be_in_time() -> None:
    run = with_sales(sale(2, "expired", 2.4, 2, ended_s=15.0))(clean())
    assert "I6" in verdict(run)[1]
    assert "I6" not in verdict(replace(run, run=replace(run.run, in_time=False)))[1]


@pytest.mark.parametrize(("kept_s", "is_broken"), [(0.0, True), (8.0, True), (40.0, False)])
def test_a_hold_that_a_payment_keeps_is_overdue_only_after_its_grace(kept_s: float, is_broken: bool) -> None:
    """As a bank transfer does: the buyer was given so long to pay."""
    kept = replace(sale(4, "pending", 14.6, 3), kept_until_ms=at(14.6 + kept_s) if kept_s else 0.0)
    assert ("I6" in verdict(with_sales(kept, seats=[2, 2, 2, 1])(clean()))[1]) is is_broken
    ended = replace(sale(2, "expired", 1.5, 2, ended_s=11.0), kept_until_ms=at(1.5 + kept_s) if kept_s else 0.0)
    assert ("I6" in verdict(with_sales(ended)(clean()))[1]) is is_broken


def test_a_seat_is_free_once_its_buyer_has_given_it_up_though_the_answer_was_lost() -> None:
    given_up = records.Call(session=5, call="cancel", sent_ms=at(3), received_ms=at(3.5), status=0)
    again = with_crowd(held_by(5, "s9", 2.0), held_by(4, "s9", 4.0))
    assert "seat" in str(audit.judge(again(clean())))
    told = next(one for one in audit.judge(with_crowd(given_up)(again(clean()))) if one.topic == "seats")
    assert not [breach for breach in told.breaches if "promised twice" in breach.detail]


def test_a_change_of_rate_is_respected_from_its_moment_on() -> None:
    faster = replace(SETTINGS, rate_per_s=10.0, burst=5)
    change = RoomEntry(rev=0, kind="config", at_ms=at(1.05), settings=faster)
    more = RoomEntry(rev=0, kind="admit", at_ms=at(1.15), cursor=3, number=5, admitted=[3])
    run = with_room(2, kind="claim", ended=[])(clean())
    run = with_stores(ended_places={1, 2, 5}, admitted={3, 4})(run)
    slow, fast = after(2, more)(run), after(2, more)(after(1, change)(run))
    assert "I4" in verdict(slow)[1]
    assert "I4" not in verdict(replace(fast, room=sorted(fast.room, key=lambda entry: entry.at_ms)))[1]


@pytest.mark.parametrize(("again_s", "is_broken"), [(-59.9, False), (1.1, True)])
def test_a_clock_that_is_set_back_accuses_nobody(again_s: float, is_broken: bool) -> None:
    """Redis's clock a minute back: nobody can say how long it was, so both sides of it are judged by themselves."""
    more = RoomEntry(rev=0, kind="admit", at_ms=at(again_s), cursor=3, number=5, admitted=[3])
    wider = RoomEntry(rev=0, kind="config", at_ms=at(again_s), settings=replace(SETTINGS, max_active=9))
    for forged in (after(1, more)(clean()), after(1, more)(after(1, wider)(clean()))):
        assert ("rate" in broken_by(forged)) == is_broken


def test_too_many_at_once_are_found_behind_a_clock_that_was_set_back() -> None:
    late = [RoomEntry(rev=0, kind="admit", at_ms=at(-60), cursor=n, number=5, admitted=[n]) for n in (3, 4)]
    run = with_room(1, admitted=[1, 2])(clean())
    for entry in (*late, replace(late[0], admitted=[5])):
        run = after(1, entry)(run)
    assert "rate" in broken_by(run)


def broken_by(run: Records) -> set[str]:
    """The topics that have a breach."""
    return {finding.topic for finding in audit.judge(run) if finding.breaches}


def test_lowering_the_capacity_blames_nobody_who_is_inside() -> None:
    lower = RoomEntry(rev=0, kind="config", at_ms=at(1.2), settings=replace(SETTINGS, max_active=1))
    higher = RoomEntry(rev=0, kind="config", at_ms=at(11), settings=SETTINGS)
    assert verdict(after(5, higher)(after(2, lower)(clean())))[0] == 0


def test_a_log_with_a_gap_proves_nothing() -> None:
    run = clean()
    code, broken, _ = verdict(replace(run, room=[entry for entry in run.room if entry.rev != REV + 3]))
    assert (code, broken) == (2, set())


def test_without_the_stores_the_crowd_alone_proves_nothing() -> None:
    code, broken, _ = verdict(replace(clean(), room_start=None, room=[], lane=[], stores=None))
    assert (code, broken) == (2, set())


def test_stores_of_another_system_prove_nothing() -> None:
    run = with_stores(holders={}, sales=[], seats=[])(clean())
    tickets = next(finding for finding in audit.judge(run) if finding.topic == "tickets")
    assert tickets.unproven


def test_people_too_many_are_told_once_not_with_everyone_after_them() -> None:
    early = with_room(5, at_ms=at(2.2))(with_room(1, at_ms=at(2.0))(clean()))
    rate = next(finding for finding in audit.judge(early) if finding.topic == "rate")
    assert [breach.by for breach in rate.breaches] == ["number 5, session 5 (poll)"]
    assert "0.60 more than rate and burst allow in the 0.200 s before" in rate.breaches[0].detail


def write(run: Records, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    records.write_one(folder / records.RUN, run.run)
    for name, lines in (
        (records.PLAN, run.visits),
        (records.CROWD, run.crowd),
        (records.ROOM, [run.room_start, *run.room]),
        (records.LANE, run.lane),
    ):
        writer = records.Writer(folder / name)
        for line in lines:
            assert isinstance(line, msgspec.Struct)
            writer.add(line)
        writer.close()
    assert run.stores is not None
    records.write_one(folder / records.STORES, run.stores)


def test_a_run_folder_says_all_that_its_run_did(tmp_path: Path) -> None:
    write(clean(), tmp_path)
    assert records.load(tmp_path) == clean()


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    write(clean(), tmp_path)
    with (tmp_path / records.CROWD).open("a") as file:
        file.write('{"is":"ended","sess')
    assert records.load(tmp_path) == clean()


def test_the_audit_of_a_folder_prints_the_verdict_and_exits_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(clean(), tmp_path)
    assert audit.main([str(tmp_path)]) == 0
    assert "Clean: I1 to I7 hold." in capsys.readouterr().out
    write(with_stores(seats=[0, 2, 2, 0])(clean()), tmp_path / "forged")
    assert audit.main([str(tmp_path / "forged")]) == 1
    out = capsys.readouterr().out
    assert "BROKEN: I5." in out
    assert "I5: r_1: seat s0 is available, should be sold" in out


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([str(tmp_path)]) == 2
    assert "is not a run that can be read" in capsys.readouterr().err

"""The line in plain Python: what its commands promise, with sets and dictionaries instead of Redis."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain import admission
from app.domain.admission import Bucket, Clocks, Due, Limits, Outcome, Reports
from app.domain.line import ACCOUNT_DOORS, Door
from app.domain.ticket import holder_bytes, is_account
from app.room.scripts import RECENT_MS
from app.room.timing import PRESENCE_SLOTS, Timing

ALLOWED = {
    "scheduled": {"open", "paused", "closed"},
    "open": {"paused", "draining", "closed"},
    "paused": {"open", "draining", "closed"},
    "draining": {"open", "paused", "closed"},
    "closed": {"open"},
    "recovering": {"open", "paused", "draining", "closed"},
}


@dataclass
class Model:
    """One room. `places` names, per number, whose it is; `ended` says how a position ended:
    left, lapsed, or unproven after a loss of Redis."""

    timing: Timing
    state: str
    epoch: int
    number: int
    bound: int
    cursor: int
    rate: float
    burst: int
    max_active: int
    door: Door = Door.open
    opened_after: int = 0
    opens_ms: int = 0
    closes_ms: int = 0
    reason: str = ""
    recover_until_ms: int = 0
    state_after: str = "open"
    message: str = ""
    messages: str = ""  # by language, as they are stored
    holders: dict[str, int] = field(default_factory=dict)
    bucket: Bucket = field(default_factory=lambda: Bucket(0.0, 0.0))
    ended: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)
    admitted: dict[int, int] = field(default_factory=dict)
    active: dict[int, int] = field(default_factory=dict)
    wishes: dict[int, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    seen: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    recent: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    joined_after: dict[int, int] = field(default_factory=dict)
    reports: Reports = field(default_factory=lambda: Reports(None, 0))
    absent: set[int] = field(default_factory=set)

    def slot(self, now_ms: int) -> int:
        return now_ms // self.timing.slot_ms

    def join(self, people: Sequence[tuple[str, str]], now_ms: int) -> list[tuple[str, int]]:
        slot = self.slot(now_ms)
        self.joined_after.setdefault(slot, self.number)
        has_begun = self.state in ("paused", "recovering") and self.opens_ms <= now_ms
        takes_people = self.state == "open" or has_begun or self._opens(now_ms)
        return [self._join(holder, wish, slot, takes_people) for holder, wish in people]

    def _opens(self, now_ms: int) -> bool:
        """Whether its time has come, though no tick has said so yet."""
        return self.state == "scheduled" and 0 < self.opens_ms <= now_ms

    def _join(self, holder: str, wish: str, slot: int, takes_people: bool) -> tuple[str, int]:
        status, number = "already", self.holders.get(holder, 0)
        if number and number not in self.ended:
            self.seen[slot].add(number)
        elif not takes_people:
            return "refused", 0
        elif self.number >= self.bound:
            return "full", 0
        elif self.door in ACCOUNT_DOORS and not is_account(holder_bytes(holder) or b""):
            return "stranger", 0
        elif self.door is Door.verified:
            return "unverified", 0
        elif self.door is Door.invited:
            return "uninvited", 0
        elif self.door is Door.challenge and not number:
            return "challenge", 0
        else:
            self.number += 1
            status, number = "joined", self.number
            self.holders[holder] = number
        if wish and self.state != "closed" and number not in {*self.admitted, *self.active}:
            self.wishes[number] = f"{holder} {wish}"
        return status, number

    def was_seen(self, number: int, now_ms: int) -> bool:
        return any(
            number in self.seen[slot] for slot in range(self.slot(now_ms) - PRESENCE_SLOTS, self.slot(now_ms) + 1)
        )

    def joined_lately(self, now_ms: int) -> int | None:
        """Everybody behind this number joined lately."""
        slots = range(self.slot(now_ms) + 1 - admission.JOIN_SLOTS, self.slot(now_ms) + 1)
        return next((self.joined_after[slot] for slot in slots if slot in self.joined_after), None)

    def listen(self, now_ms: int) -> None:
        """A web process tells whom it sees, be it nobody."""
        if self.state == "closed":
            return
        goes_on = admission.reports_go_on(self.reports, now_ms, self.timing.slot_ms)
        self.reports = Reports(now_ms, self.reports.since_ms if goes_on else now_ms)

    def see(self, number: int, now_ms: int) -> None:
        if self.state == "closed" or number > self.number:
            return
        self.seen[self.slot(now_ms)].add(number)
        self.recent[now_ms // RECENT_MS].add(number)
        if number in self.admitted:
            self._send_wish(number)
        if number <= self.cursor and number in self.skipped and number not in self.ended:
            self.returned.add(number)

    def tell_absent(self, now_ms: int) -> bool:
        """Who would be passed over now, if that is known. Whether it has changed. Who is no longer waited for is told
        of, or not, by the byte."""
        if not admission.absence_known(self.reports, now_ms, self.timing.slot_ms, PRESENCE_SLOTS):
            return False
        new_after = self.joined_lately(now_ms)
        numbers = range(self.cursor // 8 * 8, (self.number if new_after is None else new_after) + 1)
        before = self.absent
        self.absent = {n for n in numbers if n not in self.ended and not self.was_seen(n, now_ms)}
        return self.absent != before

    def restore(self, number: int, holder: str, now_ms: int) -> None:
        if self.state == "closed" or self.ended.get(number) != "unproven":
            return
        other = self.holders.get(holder, 0)
        lives = other > 0 and other not in self.ended
        self.ended[number] = "left"
        if lives and (other < number or other <= self.cursor):
            return
        if lives:
            self.ended[other] = "left"
        del self.ended[number]
        self.holders[holder] = number
        if is_account(holder_bytes(holder) or b""):
            self.taken.add(number)
        self.seen[self.slot(now_ms)].add(number)
        if number <= self.cursor:
            self.skipped.add(number)
            self.returned.add(number)

    def claim(self, number: int, holder: str, now_ms: int) -> tuple[str, int]:
        if number in self.ended:
            return ("lapsed" if self.ended[number] == "lapsed" else "left"), 0
        if self.holders.get(holder) != number:
            return "taken", 0
        if number in self.active:
            return ("claimed" if self.active[number] > now_ms else "lapsed"), self.active[number]
        if self.state == "closed":
            return "closed", 0
        if number not in self.admitted:
            return "waiting", 0
        if self.admitted[number] <= now_ms:
            return "lapsed", 0
        del self.admitted[number]
        self.active[number] = now_ms + self.timing.pass_s * 1000
        self._send_wish(number)
        return "claimed", self.active[number]

    def enter(self, holders: Sequence[str], clocks: Clocks, pass_s: int) -> tuple[list[int], Due | None]:
        """People who come to a line in which nobody waits; the number of each who goes straight in, else 0, and when
        they were due."""
        limits = Limits(rate_per_s=self.rate, burst=self.burst, max_active=self.max_active)
        filled = admission.refill(self.bucket, limits, clocks)
        waits, inside = self.cursor < self.number or self.returned, len(self.admitted) + len(self.active)
        by_rate = math.floor(filled.tokens + admission.ROUNDING)
        allowed = min(by_rate, self.max_active - inside, self.bound - self.number)
        numbers: list[int] = []
        let_in: list[int] = []
        for holder in holders:
            asks_account = self.door in ACCOUNT_DOORS and self.door is not Door.verified
            may_come = self.door is Door.open or (asks_account and is_account(holder_bytes(holder) or b""))
            is_next = self.state == "open" and not waits and len(let_in) < allowed and not self._live(holder)
            if not (is_next and may_come):
                numbers.append(0)
                continue
            self.number += 1
            self.holders[holder] = self.number
            self.active[self.number] = clocks.now_ms + pass_s * 1000
            let_in.append(self.number)
            numbers.append(self.number)
        if not let_in:
            return numbers, None
        due = admission.due(self.bucket, filled, limits)
        self.cursor = self.number
        self.bucket = Bucket(min(self.burst, filled.tokens - len(let_in)), filled.refilled_ms)
        return numbers, due

    def merge(self, browser: str, account: str, now_ms: int) -> tuple[str, int]:
        theirs, own = self._live(browser), self._live(account)
        if not theirs:
            return ("kept" if own else "none"), own
        kept = min((n for n in (theirs, own) if n), key=lambda n: (-self._worth(n, now_ms), n))
        for number in {theirs, own} - {0, kept}:
            self._end(number, "left")
            self.wishes.pop(number, None)
        del self.holders[browser]
        if kept == own:
            return "kept", own
        self.holders[account] = kept
        self.taken.add(kept)
        if kept in self.wishes:
            self.wishes[kept] = f"{account} {self.wishes[kept].split(' ', 1)[1]}"
        return "merged", kept

    def _live(self, holder: str) -> int:
        number = self.holders.get(holder, 0)
        return 0 if number in self.ended else number

    def _worth(self, number: int, now_ms: int) -> int:
        """A place whose turn is over is worth nothing, one that waits 1, a turn 2, a pass 3."""
        for worth, turns in ((3, self.active), (2, self.admitted)):
            if number in turns:
                return worth if turns[number] > now_ms else 0
        return 1

    def leave(self, number: int, holder: str, release_id: str) -> str:
        if number > self.number:
            return "unknown"
        if self.state == "closed":
            return "closed"
        if number in self.ended:
            return "already"
        if holder and self.holders.get(holder) != number:
            return "taken"
        if release_id and (number in self.admitted or number in self.active):
            self.sent.append(release_id)
        self._end(number, "left")
        self.wishes.pop(number, None)
        return "left"

    def _end(self, number: int, why: str) -> None:
        self.ended[number] = why
        self.admitted.pop(number, None)
        self.active.pop(number, None)
        if why == "left":
            self.returned.discard(number)

    def due(self, now_ms: int) -> int:
        if self.state == "closed":
            return 0
        if self.state == "recovering" and self.recover_until_ms <= now_ms:
            opens_later = self.state_after == "open" and self.opens_ms > now_ms
            self.state = "scheduled" if opens_later else self.state_after
        if self._opens(now_ms):
            self.state = "open"
        if 0 < self.closes_ms <= now_ms:
            self.state, self.reason, self.message, self.messages = "closed", "sale_ended", "", ""
        unused, used = (sorted((end, str(n)) for n, end in t.items() if end <= now_ms) for t in self._turns)
        self.sent += [f"lapse:{self.epoch}:{number}:{now_ms}" for _, number in unused]
        for _, text in unused:
            self.wishes.pop(int(text), None)
        ended = [int(number) for _, number in unused + used]
        for number in ended:
            self._end(number, "lapsed")
        return len(ended)

    @property
    def _turns(self) -> tuple[dict[int, int], dict[int, int]]:
        return self.admitted, self.active

    def schedule(self, opens_ms: int, closes_ms: int, now_ms: int) -> bool:
        """The event's sale moves. Whether a line that the clock closed begins anew."""
        reopens = self.state == "closed" and self.reason == "sale_ended" and closes_ms > now_ms
        if (opens_ms, closes_ms) == (self.opens_ms, self.closes_ms):
            return False
        if reopens:
            self._begin(self.epoch + 1, now_ms)
            self.state, self.reason = "scheduled" if opens_ms > now_ms else "open", ""
        elif self.state == "open" and self.opens_ms <= now_ms < opens_ms:
            self.state = "scheduled"
        self.opens_ms, self.closes_ms = opens_ms, closes_ms
        return reopens

    def admit(self, clocks: Clocks) -> tuple[Outcome, Due]:
        """One tick of a worker with these clocks; who is let in and was due when, and who is passed over."""
        now_ms = clocks.now_ms
        line = admission.Line(
            cursor=self.cursor,
            last_number=self.number,
            returned=self.returned,
            has_ended=self.ended.__contains__,
            was_seen=lambda number: self.was_seen(number, now_ms),
            joined_after=self.joined_lately(now_ms),
            reports_go_on=admission.reports_go_on(self.reports, now_ms, self.timing.slot_ms),
            absence_known=admission.absence_known(self.reports, now_ms, self.timing.slot_ms, PRESENCE_SLOTS),
        )
        limits = Limits(rate_per_s=self.rate, burst=self.burst, max_active=self.max_active)
        moves, inside = self.state in ("open", "draining"), len(self.admitted) + len(self.active)
        outcome, self.bucket, due = admission.decide(line, self.bucket, limits, clocks, moves=moves, inside=inside)
        self.cursor, self.returned = outcome.cursor, set(outcome.returned)
        self.skipped = (self.skipped | set(outcome.passed_over)) - set(outcome.let_in)
        for number in outcome.let_in:
            self.admitted[number] = now_ms + self.timing.claim_window_s * 1000
            if number in self.recent[now_ms // RECENT_MS] | self.recent[now_ms // RECENT_MS - 1]:
                self._send_wish(number)
        return outcome, due

    def _send_wish(self, number: int) -> None:
        if number in self.wishes:
            self.sent.append(f"wish:{self.epoch}:{number}")
            del self.wishes[number]

    def change(self, fields: dict[str, str | int | float], now_ms: int) -> bool:
        """False if refused."""
        new = str(fields.get("state", self.state))
        if new != self.state and new not in ALLOWED[self.state]:
            return False
        is_another = new != self.state
        if "rate" in fields or "burst" in fields:
            self.bucket = self.bucket._replace(refilled_ms=now_ms)
        if (self.state, new) == ("closed", "open"):
            self._begin(self.epoch + 1, now_ms)
        if self.state == "recovering" and new != "closed":
            self.state_after = str(fields.get("state", self.state_after))
        elif new != self.state:
            self.state, self.reason = new, ""
        self.rate = float(fields.get("rate", self.rate))
        if "burst" in fields:
            self.burst = int(fields["burst"])
            self.bucket = self.bucket._replace(tokens=min(self.bucket.tokens, self.burst))
        self.max_active = int(fields.get("max_active", self.max_active))
        self.door = Door(str(fields.get("door", self.door)))
        if is_another or "message" in fields:
            self.message, self.messages = str(fields.get("message", "")), str(fields.get("messages", ""))
        return True

    def _begin(self, epoch: int, now_ms: int) -> None:
        self.bucket = Bucket(0.0, now_ms)
        self.epoch, self.cursor, self.opened_after = epoch, self.number, self.number
        for part in (self.holders, self.ended, self.skipped, self.returned, self.taken, self.admitted, self.active):
            part.clear()
        for more in (self.wishes, self.seen, self.recent, self.joined_after, self.absent):
            more.clear()

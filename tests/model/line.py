"""The line in plain Python: what its commands promise, with sets and dictionaries instead of Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain import admission
from app.domain.admission import Bucket, Clocks, Limits, Outcome, Reports
from app.domain.ticket import holder_bytes, is_account
from app.room.scripts import PRESENCE_SLOTS, Timing

ALLOWED = {
    "scheduled": {"open", "paused", "closed"},
    "open": {"paused", "draining", "closed"},
    "paused": {"open", "draining", "closed"},
    "draining": {"open", "paused", "closed"},
    "closed": {"open"},
    "recovering": {"closed"},
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
    accounts_only: bool = False
    opened_after: int = 0
    opens_ms: int = 0
    closes_ms: int = 0
    reason: str = ""
    recover_until_ms: int = 0
    state_after: str = "open"
    message: str = ""
    holders: dict[str, int] = field(default_factory=dict)
    bucket: Bucket = field(default_factory=lambda: Bucket(0.0, 0.0))
    ended: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)
    admitted: dict[int, int] = field(default_factory=dict)
    active: dict[int, int] = field(default_factory=dict)
    wishes: dict[int, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    seen: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    joined_after: dict[int, int] = field(default_factory=dict)
    reports: Reports = field(default_factory=lambda: Reports(None, 0))

    def slot(self, now_ms: int) -> int:
        return now_ms // self.timing.slot_ms

    def join(self, people: Sequence[tuple[str, str]], now_ms: int) -> list[tuple[str, int]]:
        slot = self.slot(now_ms)
        self.joined_after.setdefault(slot, self.number)
        takes_people = self.state in ("open", "paused", "recovering") or self._opens(now_ms)
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
        elif self.accounts_only and not is_account(holder_bytes(holder) or b""):
            return "stranger", 0
        elif self.number >= self.bound:
            return "full", 0
        else:
            self.number += 1
            status, number = "joined", self.number
            self.holders[holder] = number
        if wish and number > self.cursor and self.state != "closed":
            self.wishes[number] = f"{holder} {wish}"
        return status, number

    def present(self, number: int, now_ms: int) -> bool:
        window = range(self.slot(now_ms) - PRESENCE_SLOTS, self.slot(now_ms) + 1)
        joined_after = next((self.joined_after[slot] for slot in window if slot in self.joined_after), None)
        return admission.is_present(number, [self.seen[slot] for slot in window], joined_after)

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
        if number <= self.cursor and number in self.skipped and number not in self.ended:
            self.returned.add(number)

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
        self.seen[self.slot(now_ms)].add(number)
        if number <= self.cursor:
            self.skipped.add(number)
            self.returned.add(number)

    def claim(self, number: int, now_ms: int) -> tuple[str, int]:
        if number in self.ended:
            return ("lapsed" if self.ended[number] == "lapsed" else "left"), 0
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
        return "claimed", self.active[number]

    def merge(self, browser: str, account: str, now_ms: int) -> tuple[str, int]:
        if self.state == "closed":
            return "closed", 0
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

    def leave(self, number: int, release_id: str) -> str:
        if number > self.number:
            return "unknown"
        if self.state == "closed":
            return "closed"
        if number in self.ended:
            return "already"
        if number in self.admitted or number in self.active:
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
        if self._opens(now_ms):
            self.state = "open"
        if self.state == "recovering" and self.recover_until_ms <= now_ms:
            self.state = self.state_after
        if 0 < self.closes_ms <= now_ms:
            self.state, self.reason = "closed", "sale_ended"
        unused, used = (sorted((end, str(n)) for n, end in t.items() if end <= now_ms) for t in self._turns)
        self.sent += [f"lapse:{self.epoch}:{number}:{now_ms}" for _, number in unused]
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

    def admit(self, clocks: Clocks) -> Outcome:
        """One tick of a worker with these clocks; who is let in, and who is passed over."""
        now_ms = clocks.now_ms
        line = admission.Line(
            cursor=self.cursor,
            last_number=self.number,
            returned=self.returned,
            has_ended=self.ended.__contains__,
            is_present=lambda number: self.present(number, now_ms),
            absence_known=admission.absence_known(self.reports, now_ms, self.timing.slot_ms, PRESENCE_SLOTS),
        )
        limits = Limits(rate_per_s=self.rate, burst=self.burst, max_active=self.max_active)
        moves, inside = self.state in ("open", "draining"), len(self.admitted) + len(self.active)
        outcome, self.bucket = admission.decide(line, self.bucket, limits, clocks, moves=moves, inside=inside)
        self.cursor, self.returned = outcome.cursor, set(outcome.returned)
        self.skipped = (self.skipped | set(outcome.passed_over)) - set(outcome.let_in)
        for number in outcome.let_in:
            self.admitted[number] = now_ms + self.timing.claim_window_s * 1000
            if number in self.wishes:
                self.sent.append(f"wish:{self.epoch}:{number}")
                del self.wishes[number]
        return outcome

    def change(self, fields: dict[str, str | int | float], now_ms: int) -> bool:
        """False if refused."""
        new = str(fields.get("state", self.state))
        if new != self.state and new not in ALLOWED[self.state]:
            return False
        if "rate" in fields:
            self.bucket = Bucket(self.bucket.tokens, now_ms)
        if (self.state, new) == ("closed", "open"):
            self._begin(self.epoch + 1, now_ms)
        if new != self.state:
            self.state, self.reason = new, ""
        self.rate = float(fields.get("rate", self.rate))
        if "burst" in fields:
            self.burst = int(fields["burst"])
            self.bucket = self.bucket._replace(tokens=min(self.bucket.tokens, self.burst))
        self.max_active = int(fields.get("max_active", self.max_active))
        self.accounts_only = bool(fields.get("accounts_only", self.accounts_only))
        self.message = str(fields.get("message", self.message))
        return True

    def _begin(self, epoch: int, now_ms: int) -> None:
        self.bucket = Bucket(0.0, now_ms)
        self.epoch, self.cursor, self.opened_after = epoch, self.number, self.number
        for part in (self.holders, self.ended, self.skipped, self.returned, self.admitted, self.active):
            part.clear()
        for more in (self.wishes, self.seen, self.joined_after):
            more.clear()

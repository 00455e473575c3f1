"""The line in plain Python: what its commands promise, with sets and dictionaries instead of Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    ended: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)
    admitted: dict[int, int] = field(default_factory=dict)
    active: dict[int, int] = field(default_factory=dict)
    wishes: dict[int, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    seen: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    joined_after: dict[int, int] = field(default_factory=dict)
    told_ms: int | None = None
    told_since_ms: int = 0

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
        after = next((self.joined_after[slot] for slot in window if slot in self.joined_after), number)
        return number > after or any(number in self.seen[slot] for slot in window)

    def listen(self, now_ms: int) -> None:
        """A web process tells whom it sees, be it nobody."""
        if self.state == "closed":
            return
        if self.told_ms is None or not self.told_ms <= now_ms <= self.told_ms + self.timing.slot_ms:
            self.told_since_ms = now_ms
        self.told_ms = now_ms

    def listened(self, now_ms: int) -> bool:
        """Whether it was told for so long, until lately, that whoever was not seen is absent."""
        if self.told_ms is None or not self.told_ms <= now_ms <= self.told_ms + self.timing.slot_ms:
            return False
        return now_ms - self.told_since_ms >= (PRESENCE_SLOTS - 1) * self.timing.slot_ms

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
            self._begin(self.epoch + 1)
            self.state, self.reason = "scheduled" if opens_ms > now_ms else "open", ""
        elif self.state == "open" and self.opens_ms <= now_ms < opens_ms:
            self.state = "scheduled"
        self.opens_ms, self.closes_ms = opens_ms, closes_ms
        return reopens

    def admit(self, let_in: list[int], passed: list[int], cursor: int, now_ms: int) -> None:
        """Take in what a tick did, if it did it to the right people; how many is for rate and capacity to say.

        Those after the last one let in are looked at only if one more might have been let in.
        """
        lets_in = self.state in ("open", "draining")
        most = max(0, self.max_active - len(self.admitted) - len(self.active)) if lets_in else 0
        possible = [self._next(allowed, now_ms) for allowed in range(len(let_in), len(let_in) + 2) if allowed <= most]
        left = next((outcome[3] for outcome in possible if outcome[:3] == (let_in, passed, cursor)), None)
        assert left is not None, f"{let_in}, {passed}, {cursor} is none of {possible}; {most} places were free"
        self.cursor, self.returned = cursor, left
        self.skipped = (self.skipped | set(passed)) - set(let_in)
        for number in let_in:
            self.admitted[number] = now_ms + self.timing.claim_window_s * 1000
            if number in self.wishes:
                self.sent.append(f"wish:{self.epoch}:{number}")
                del self.wishes[number]

    def _next(self, allowed: int, now_ms: int) -> tuple[list[int], list[int], int, set[int]]:
        """Who would be let in and who found absent, were `allowed` to be let in; the cursor and who is back then."""
        let_in: list[int] = []
        absent: list[int] = []
        returned, cursor = sorted(self.returned), self.cursor
        while len(let_in) < allowed and (returned or cursor < self.number):
            number = returned[0] if returned else cursor + 1
            if not (number in self.ended or self.present(number, now_ms) or self.listened(now_ms)):
                break
            cursor, returned = max(cursor, number), returned[1:]
            if number not in self.ended:
                (let_in if self.present(number, now_ms) else absent).append(number)
        return let_in, absent, cursor, set(returned)

    def change(self, fields: dict[str, str | int | float]) -> bool:
        """False if refused."""
        new = str(fields.get("state", self.state))
        if new != self.state and new not in ALLOWED[self.state]:
            return False
        if (self.state, new) == ("closed", "open"):
            self._begin(self.epoch + 1)
        if new != self.state:
            self.state, self.reason = new, ""
        self.rate = float(fields.get("rate", self.rate))
        self.burst = int(fields.get("burst", self.burst))
        self.max_active = int(fields.get("max_active", self.max_active))
        self.accounts_only = bool(fields.get("accounts_only", self.accounts_only))
        self.message = str(fields.get("message", self.message))
        return True

    def _begin(self, epoch: int) -> None:
        self.epoch, self.cursor, self.opened_after = epoch, self.number, self.number
        for part in (self.holders, self.ended, self.skipped, self.returned, self.admitted, self.active):
            part.clear()
        for more in (self.wishes, self.seen, self.joined_after):
            more.clear()

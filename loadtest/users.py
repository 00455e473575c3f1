"""The kinds of people who come: five honest ones and a scalping macro.

Each is a Locust user that comes once. What they buy and how they end was drawn beforehand.
"""

from __future__ import annotations

import gevent

from loadtest.buying import Buyer
from loadtest.plan import Ending, Kind
from loadtest.records import now_ms
from loadtest.visitor import WAITING

RELOAD_EVERY_S = 3.0
CLICK_S = 0.1
CLICKS_AT_OPENING = 20
REPEATS_S = 4.0
REPEATS_AT_ONCE = 20


class Poller(Buyer):
    """Asks for the position as often as the answer says."""

    kind = Kind.poll

    def wait(self) -> str:
        return self.wait_by_polling()


class Streamer(Buyer):
    """Listens to the stream."""

    kind = Kind.stream

    def wait(self) -> str:
        return self.wait_by_stream()


class Reloader(Buyer):
    """Reloads the page, which joins again, and has a second tab that polls at the same moment."""

    kind = Kind.reload

    def wait(self) -> str:
        while self.state in WAITING:
            self.wait_by_polling(now_ms() + RELOAD_EVERY_S * 1000)
            if self.state in WAITING:
                gevent.joinall([gevent.spawn(self.join), gevent.spawn(self.poll)], raise_error=True)
        return self.state


class Abandoner(Buyer):
    """Leaves or disappears, while waiting or after the turn has come."""

    kind = Kind.abandon

    def wait(self) -> str:
        if self.visit.ending in (Ending.vanish_waiting, Ending.leave):
            self.wait_by_polling(now_ms() + self.visit.gives_up_after_s * 1000)
            if self.state not in WAITING:
                return "abandoned" if self.state == "admitted" else self.state
            if self.visit.ending is Ending.leave:
                self.queue("leave")
            return self.visit.ending.value
        return self.wait_by_polling()


class AwayAndBack(Buyer):
    """Closes the laptop for longer than the presence window, then opens it again."""

    kind = Kind.away

    def wait(self) -> str:
        self.wait_by_polling(now_ms() + self.visit.gives_up_after_s * 1000)
        if self.state in WAITING:
            gevent.sleep(self.crowd.away_s)
            self.poll()
        return self.wait_by_polling()


class Macro(Buyer):
    """One of ten sessions of a scalper: fires at the opening, clicks every 100 ms, keeps whichever session wins."""

    kind = Kind.macro

    def wait(self) -> str:
        clicks = 0
        while self.state in WAITING:
            if self.visit.person in self.crowd.winners:
                return "abandoned"
            gevent.sleep(CLICK_S)
            if clicks < CLICKS_AT_OPENING:
                self.join()
            else:
                self.poll()
            clicks += 1
        if self.state != "admitted" or self.visit.person in self.crowd.winners:
            return "abandoned"
        self.crowd.winners.add(self.visit.person)
        return self.state


class Repeater(Buyer):
    """Joins by the hundred from one browser while the line opens, then waits like anybody."""

    kind = Kind.repeater

    def wait(self) -> str:
        until_ms = now_ms() + REPEATS_S * 1000
        while self.state in WAITING and now_ms() < until_ms:
            gevent.joinall([gevent.spawn(self.join) for _ in range(REPEATS_AT_ONCE)], raise_error=True)
        return self.wait_by_polling()


KINDS: tuple[type[Buyer], ...] = (Poller, Streamer, Reloader, Abandoner, AwayAndBack, Macro, Repeater)

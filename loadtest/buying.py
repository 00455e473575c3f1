"""What a buyer does with their turn: claim it, hold seats, then pay, cancel, let the hold run out, or vanish.

Every answer is recorded; a refusal that an honest buyer may meet (seats just taken, a turn that lapsed) ends or turns
the visit, it is not an error.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import gevent
import msgspec

from loadtest.plan import Ending
from loadtest.records import Held, Settled, now_ms
from loadtest.visitor import RETRY_S, Answer, Visitor

CLAIM_TRIES = 10
WISH_TRIES = 10
PICK_TRIES = 5
SHORT_S = 0.3
FRONT_SEATS = 40  # seat pickers all want one of so many, so that they meet
LAPSED_AFTER_S = 1.5  # after a hold's end: the promise is one second
METHODS = ("naver_pay", "kakao_pay", "bank_transfer")


class _Seat(msgspec.Struct, frozen=True):
    id: str
    status: str


class _Map(msgspec.Struct, frozen=True):
    """What of a seat map a buyer looks at; the rest is skipped, or reading maps would be most of the crowd's work."""

    seats: list[_Seat]


_decode_map = msgspec.json.Decoder(_Map).decode


class Buyer(Visitor):
    """A visit from join to end. Subclasses say how it waits."""

    abstract = True

    def wait(self) -> str:
        """Until the turn comes; answers the state then, or how the visit ended meanwhile."""
        raise NotImplementedError

    def come(self) -> str:
        if not self.join():
            return "refused"
        how = self.wait()
        if how != "admitted":
            return how
        if self.visit.ending is Ending.vanish_admitted:
            return Ending.vanish_admitted.value
        return self.shop()

    def shop(self) -> str:
        claimed = self._claim()
        if claimed is None:
            return "turn_lapsed"
        if self.visit.ending is Ending.vanish_inside:
            return Ending.vanish_inside.value
        sent_ms, held = claimed.sent_ms, claimed.body.get("reservation")
        if held is None and self.visit.wish:
            held = self._await_wish()
        by_wish = held is not None
        if held is None:
            sent_ms = now_ms()
            held = self._choose()
        if held is None:
            self.queue("leave")
            return "sold_out"
        return self._settle(held, sent_ms, by_wish)

    @property
    def _must_be_together(self) -> bool:
        return self.visit.wish is not None and self.visit.wish["adjacent"] == "required"

    def _claim(self) -> Answer | None:
        """Take the turn up. A web process that has not heard of the admission yet is asked again."""
        for _ in range(CLAIM_TRIES):
            answer = self.queue("claim")
            if answer.status == 200:
                return answer
            if answer.code in ("turn_lapsed", "left", "ticket_old_epoch"):
                return None
            gevent.sleep(SHORT_S)
        return None

    def _await_wish(self) -> dict[str, Any] | None:
        """The seats that were held at the turn; None once the wish is known to have found none."""
        for _ in range(WISH_TRIES):
            self.poll()
            found = self.position.get("reservation")
            if found is not None or "wish" in self.position:
                return dict(found) if found else None
            gevent.sleep(SHORT_S)
        return None

    def _choose(self) -> dict[str, Any] | None:
        """Hold seats: picked on the map, else the best available; fewer if there are not so many."""
        dice = random.Random(self.visit.session)
        quantity = self.visit.quantity
        for attempt in range(PICK_TRIES):
            if self.visit.picks_seats and attempt < PICK_TRIES - 2:
                wanted: dict[str, object] = {"seatIds": self._pick(dice, quantity)}
            else:
                wanted = {"quantity": quantity, "adjacent": False}
            if wanted.get("seatIds") == []:
                return None
            answer = self.call("reserve", "POST", "/api/seats/reserve", {"eventId": self.crowd.event_id, **wanted})
            if answer.status == 201 or answer.code == "already_holding":
                return dict(answer.body["reservation"])
            if answer.code.startswith("pass_"):
                return None
            if "quantity" in wanted and answer.code == "seats_unavailable":
                quantity = max(1, quantity // 2)
        return None

    def _pick(self, dice: random.Random, quantity: int) -> list[str]:
        answer = self.call("seats", "GET", f"/api/seats/events/{self.crowd.event_id}", parse=False)
        seats = _decode_map(self.content).seats if answer.status == 200 else []
        free = [seat.id for seat in seats if seat.status == "available"][:FRONT_SEATS]
        return dice.sample(free, min(quantity, len(free)))

    def _settle(self, held: dict[str, Any], sent_ms: float, by_wish: bool) -> str:
        expires_ms = datetime.fromisoformat(held["expiresAt"]).timestamp() * 1000
        self.crowd.counts["reserved"] += 1
        self.write(
            Held(
                session=self.visit.session,
                sent_ms=sent_ms,
                received_ms=now_ms(),
                reservation=held["id"],
                seats=[seat["id"] for seat in held["seats"]],
                expires_ms=expires_ms,
                is_torn=by_wish and self._must_be_together and not held["together"],
            )
        )
        gevent.sleep(self.visit.think_s)
        match self.visit.ending:
            case Ending.lapse:
                self.sleep_until_ms(expires_ms + LAPSED_AFTER_S * 1000)
                answer = self.call("reservation", "GET", f"/api/reservations/{held['id']}")
                self.queue("leave")
                return str(answer.body.get("reservation", {}).get("status", "failed"))
            case Ending.cancel:
                return self._cancel(held["id"])
            case _:
                return self._pay(held["id"])

    def _pay(self, reservation: str) -> str:
        """Pay, and pay again if there was no answer: a repeat is charged once."""
        method = METHODS[self.visit.session % len(METHODS)]
        while True:
            answer = self.call(
                "pay", "POST", "/api/payments/process", {"reservationId": reservation, "paymentMethod": method}
            )
            if answer.status == 201:
                self.crowd.counts["paid"] += 1
                self._settled("paid", answer, reservation)
                return "paid"
            if 400 <= answer.status < 500:
                return answer.code
            gevent.sleep(RETRY_S)

    def _cancel(self, reservation: str) -> str:
        answer = self.call("cancel", "POST", f"/api/reservations/{reservation}/cancel")
        if answer.status == 200:
            self._settled("cancelled", answer, reservation)
        self.queue("leave")
        return "cancelled" if answer.status == 200 else answer.code or "failed"

    def _settled(self, how: str, answer: Answer, reservation: str) -> None:
        self.write(
            Settled(
                session=self.visit.session,
                how=how,
                sent_ms=answer.sent_ms,
                received_ms=answer.received_ms,
                reservation=reservation,
            )
        )

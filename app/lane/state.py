"""One event as an allocator holds it in memory: its seats, their prices, and the live reservations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from app.domain.layout import SeatMap
from app.domain.reservation import Reservation, SeatSnapshot
from app.domain.seating import Availability
from app.lane.commands import Command, Expire, Hold, ReleasePlace, reservation_of
from app.lane.live_holds import LiveHolds

Place = tuple[int | None, int | None]  # epoch and number


class LaneState:
    """An event's seats and live reservations at one version of its seat map."""

    __slots__ = ("event_id", "free", "grades", "holds", "live", "places", "prices", "seats_of", "statuses", "version")

    def __init__(self, snapshot: SeatSnapshot, live: Iterable[Reservation]) -> None:
        self.event_id = snapshot.event_id
        self.version = snapshot.version
        self.statuses = bytearray(snapshot.statuses)
        self.grades = [seat.grade for seat in snapshot.seats]
        self.prices = [seat.price for seat in snapshot.seats]
        self.free = Availability(SeatMap(snapshot.seats, snapshot.focal), snapshot.statuses)
        self.live = {reservation.id: reservation for reservation in live}
        self.seats_of = Counter[str]()  # how many seats each holder holds and has bought
        self.holds = LiveHolds()
        for reservation in self.live.values():
            self.seats_of[reservation.holder] += len(reservation.seats)
            self.holds.note(reservation)
        self.places: dict[Place, str] = {(r.epoch, r.number): r.id for r in self.live.values() if r.number is not None}

    def keep(self, reservation: Reservation) -> None:
        """Store a reservation in its new state, or remove it if it has ended."""
        place = (reservation.epoch, reservation.number)
        self.holds.note(reservation)
        if reservation.live:
            before = self.live.get(reservation.id)
            self._count(reservation.holder, len(reservation.seats) - (0 if before is None else len(before.seats)))
            self.live[reservation.id] = reservation
        else:
            self._count(reservation.holder, -len(self.live[reservation.id].seats))
            del self.live[reservation.id]
        if reservation.number is not None:
            if reservation.live:
                self.places[place] = reservation.id
            else:
                del self.places[place]

    def _count(self, holder: str, more: int) -> None:
        self.seats_of[holder] += more
        if not self.seats_of[holder]:
            del self.seats_of[holder]

    def held_by(self, command: Hold) -> Reservation | None:
        """The live reservation of the place in line that the command names, because of which it is refused."""
        return None if command.number is None else self.of_place(command.epoch, command.number)

    def of_place(self, epoch: int | None, number: int) -> Reservation | None:
        """The live reservation of a place in line."""
        reservation_id = self.places.get((epoch, number))
        return None if reservation_id is None else self.live[reservation_id]

    def ends(self, commands: Sequence[Command]) -> list[str]:
        """The ids of the pending reservations that these commands end unless a payment keeps them."""
        named = {reservation_of(command) for command in commands if isinstance(command, Expire)}
        places = [self.of_place(one.epoch, one.number) for one in commands if isinstance(one, ReleasePlace)]
        named |= {reservation.id for reservation in places if reservation is not None}
        return sorted(each for each in named if each is not None and each in self.live)

    def needs(self, commands: Iterable[Command]) -> list[str]:
        """The ids of reservations that these commands name and that are not live, so they must be read from SQL."""
        named = {reservation_of(command) for command in commands}
        return sorted(each for each in named if each is not None and each not in self.live)

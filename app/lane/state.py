"""The allocator's memory of one event: its seats, their prices, and the reservations that live."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.layout import SeatMap
from app.domain.reservation import Reservation, SeatSnapshot
from app.domain.seating import Availability
from app.lane.commands import Cancel, Command, Confirm, Expire, Hold

Place = tuple[int | None, int | None]  # epoch and number


class LaneState:
    """An event's seats and live reservations at one version."""

    __slots__ = ("event_id", "free", "live", "places", "prices", "statuses", "version")

    def __init__(self, snapshot: SeatSnapshot, live: Iterable[Reservation]) -> None:
        self.event_id = snapshot.event_id
        self.version = snapshot.version
        self.statuses = bytearray(snapshot.statuses)
        self.prices = [seat.price for seat in snapshot.seats]
        self.free = Availability(SeatMap(snapshot.seats, snapshot.focal), snapshot.statuses)
        self.live = {reservation.id: reservation for reservation in live}
        self.places: dict[Place, str] = {(r.epoch, r.number): r.id for r in self.live.values() if r.number is not None}

    def keep(self, reservation: Reservation) -> None:
        """Know a reservation as it is from now on."""
        place = (reservation.epoch, reservation.number)
        if reservation.live:
            self.live[reservation.id] = reservation
        else:
            del self.live[reservation.id]
        if reservation.number is not None:
            if reservation.live:
                self.places[place] = reservation.id
            else:
                del self.places[place]

    def held_by(self, command: Hold) -> Reservation | None:
        """What keeps the sender from a further hold: any reservation of their place in line."""
        name = self.places.get((command.epoch, command.number)) if command.number is not None else None
        return None if name is None else self.live[name]

    def needs(self, commands: Iterable[Command]) -> list[str]:
        """The reservations these commands name that are not live, so that the store must be asked."""
        named = {command.reservation_id for command in commands if isinstance(command, Confirm | Cancel | Expire)}
        return sorted(named - self.live.keys())

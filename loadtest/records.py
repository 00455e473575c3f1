"""What a run leaves behind, one JSON object per line: the only thing the verdict is made from.

The crowd writes what each session did and was told, the recorder what the stores did; both in Unix milliseconds. Pure
types and their files: whoever writes a line appends it at once, so that a killed run can still be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from loadtest.options import Adversary
from loadtest.plan import Visit

RUN, PLAN, CROWD, ROOM, LANE, STORES, FLOOD = (
    "run.json",
    "plan.jsonl",
    "crowd.jsonl",
    "room.jsonl",
    "lane.jsonl",
    "stores.json",
    "flood.json",
)
_STEADY_TO_UNIX_S = time.time() - time.perf_counter()


def now_ms() -> float:
    """Unix time that never steps back within this process."""
    return (_STEADY_TO_UNIX_S + time.perf_counter()) * 1000


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", omit_defaults=True):
    pass


class Call(_Line, frozen=True, kw_only=True, tag="call"):
    """One request and its answer; `status` 0: there was none. `code` is the problem's."""

    session: int
    call: str
    sent_ms: float
    received_ms: float
    status: int
    code: str = ""


class Joined(_Line, frozen=True, kw_only=True, tag="joined"):
    """A join that was answered with a place; `again`: this session had one already. `entry`: the number is an entry of
    a draw, counted from 1, else it is the place in the order of the line."""

    session: int
    sent_ms: float
    received_ms: float
    status: int
    number: int
    holder: str
    again: bool = False
    entry: bool = False


class PositionSeen(_Line, frozen=True, kw_only=True, tag="told"):
    """A position as a session was told it. `rev` is the room log's revision, of stream messages only."""

    session: int
    via: str
    sent_ms: float
    at_ms: float
    number: int
    state: str
    ahead: int = 0
    eta_s: tuple[int, int] | None = None
    rev: int = 0


class Streamed(_Line, frozen=True, kw_only=True, tag="streamed"):
    """A stream that was open from its first message until it ended here."""

    session: int
    opened_ms: float
    closed_ms: float


class Held(_Line, frozen=True, kw_only=True, tag="held"):
    """Seats this session was told are held for it, by a request sent then."""

    session: int
    sent_ms: float
    received_ms: float
    reservation: str
    seats: list[str]
    expires_ms: float
    is_torn: bool = False  # in several groups, though they were to be side by side or not at all


class Settled(_Line, frozen=True, kw_only=True, tag="settled"):
    """The answer to a payment (`paid`) or a cancellation (`cancelled`)."""

    session: int
    how: str
    sent_ms: float
    received_ms: float
    reservation: str


class SessionEnded(_Line, frozen=True, kw_only=True, tag="ended"):
    """How a session ended. A session without one was cut off at the end of the run."""

    session: int
    at_ms: float
    how: str


CrowdLine = Call | Joined | PositionSeen | Streamed | Held | Settled | SessionEnded


class RoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may change."""

    state: str
    rate_per_s: float
    burst: int
    max_active: int


class RoomStart(_Line, frozen=True, kw_only=True, tag="start"):
    """The room when recording began; every entry after `rev` follows."""

    at_ms: float
    rev: int
    epoch: int
    cursor: int
    number: int
    settings: RoomSettings
    ended_places: list[int] = []
    skipped: list[int] = []
    admitted: list[int] = []
    active: list[int] = []


class RoomEntry(_Line, frozen=True, kw_only=True, tag="entry"):
    """One entry of the room log; `settings` and, if the log tells it, `epoch` with those that say they changed.

    `due_ms`: when the first one of `admitted` was due, None if at `at_ms`, and `due_every_ms` those after them;
    `clock_back_ms`: by how much Redis's clock was found to be set back. `lost`: the room was made again after Redis
    lost something; the last number that may have been given until then, of which those up to `kept` are still known.
    """

    rev: int
    kind: str
    at_ms: int
    epoch: int = 0
    cursor: int = 0
    number: int = 0
    admitted: list[int] = []
    skipped: list[int] = []
    ended: list[int] = []
    back: list[int] = []
    due_ms: float | None = None
    due_every_ms: float = 0.0
    clock_back_ms: float = 0.0
    lost: int = 0
    kept: int = 0
    settings: RoomSettings | None = None


RoomLine = RoomStart | RoomEntry


class LaneOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    command: str
    status: str
    reservation: str = ""
    number: int = 0
    seats: list[int] = []
    expires_ms: float = 0.0


class LaneEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One published batch of the lane, at the time Redis took it."""

    at_ms: int
    version: int
    seats: list[tuple[int, int]] = []
    outcomes: list[LaneOutcome] = []


class Sale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation as SQL has it at the end; `live_seats` are the rows that guard its seats. `kept_until_ms`: how long
    a payment that was begun in time may keep the hold, as a bank transfer does; 0 if none does.
    """

    id: str
    status: str
    holder: str
    created_ms: float
    expires_ms: float
    seats: list[int]
    live_seats: list[int] = []
    ended_ms: float | None = None
    epoch: int | None = None
    number: int | None = None
    payments: list[str] = []
    kept_until_ms: float = 0.0

    @property
    def due_ms(self) -> float:
        """When the hold ends at the latest."""
        return max(self.expires_ms, self.kept_until_ms)


class Stores(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Redis and SQL when the run had come to rest. `holders`: the number each of our people has there."""

    at_ms: float
    epoch: int
    number: int
    cursor: int
    rev: int
    ended_places: set[int] = set()
    lapsed: set[int] = set()
    skipped: set[int] = set()
    admitted: set[int] = set()
    active: set[int] = set()
    holders: dict[str, int] = {}
    sales: list[Sale] = []
    seats: list[int] = []
    violations: list[tuple[str, str]] = []


class Draw(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A draw as the system published it, in hex; entry e is number `after` + e."""

    after: int
    commitment: str
    entries: int
    root: str
    seed: str
    randomness: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for, and the server's lifetimes; `own`: the system was the swarm's own. `disturbed`: from when
    until when, in Unix ms, its stores and processes were made to fail. `in_time`: to end too late is a breach, which it
    is not where they are."""

    started: str
    host: str
    event_id: str
    users: int
    seed: int
    duration_s: float
    rate_per_s: float
    own: bool
    opening_ms: float = 0.0
    ended_ms: float = 0.0
    presence_window_s: float = 120.0
    presence_flush_s: float = 5.0
    opening_draw_s: float = 0.0  # of our own system: who came within so long of the opening had a drawn place
    stores_read: bool = True
    draw: Draw | None = None
    accounts: bool = False
    adversary: Adversary = Adversary.macro
    disturbed: list[tuple[float, float]] = []
    in_time: bool = True

    def was_disturbed(self, from_ms: float, to_ms: float) -> bool:
        """Whether the system was made to fail at some time between these two."""
        return any(began_ms <= to_ms and from_ms <= ended_ms for began_ms, ended_ms in self.disturbed)

    @property
    def drawn_until_ms(self) -> float:
        return self.opening_ms + self.opening_draw_s * 1000 if self.opening_draw_s else 0.0


class Flood(msgspec.Struct, kw_only=True):
    """What the flooder did and got: its places as (when, number), before it solved challenges and since."""

    began_ms: float
    solves_from_ms: float
    ended_ms: float = 0.0
    asked: int = 0
    failed: int = 0
    unsolved: list[tuple[float, int]] = []
    solved: list[tuple[float, int]] = []


class Writer:
    """Appends lines to one file of a run."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        self._encode = msgspec.json.Encoder().encode

    def add(self, line: msgspec.Struct) -> None:
        self._file.write(self._encode(line).decode() + "\n")

    def close(self) -> None:
        self._file.close()


def write_one(path: Path, thing: msgspec.Struct) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(thing), indent=1) + b"\n")


def read_lines(path: Path, kind: Any) -> Iterator[Any]:
    """Each line decoded as `kind`. A last line cut short by a kill is left out."""
    decoder = msgspec.json.Decoder(kind)
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield decoder.decode(line)


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder in memory. `stores` and `room_start` are None if the stores could not be read."""

    run: Run
    visits: list[Visit]
    crowd: list[CrowdLine]
    room_start: RoomStart | None = None
    room: list[RoomEntry] = []
    lane: list[LaneEntry] = []
    stores: Stores | None = None
    flood: Flood | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        """The crowd's lines of one kind, in the order they were written."""
        return [line for line in self.crowd if type(line) is kind]


def load(folder: Path) -> Records:
    """Read a run. Raises FileNotFoundError if it is not one, msgspec.MsgspecError if a line is not ours."""
    run = msgspec.json.decode((folder / RUN).read_bytes(), type=Run)
    room = list(read_lines(folder / ROOM, RoomLine))
    stores, flood = folder / STORES, folder / FLOOD
    return Records(
        run=run,
        visits=list(read_lines(folder / PLAN, Visit)),
        crowd=list(read_lines(folder / CROWD, CrowdLine)),
        room_start=next((line for line in room if isinstance(line, RoomStart)), None),
        room=[line for line in room if isinstance(line, RoomEntry)],
        lane=list(read_lines(folder / LANE, LaneEntry)),
        stores=msgspec.json.decode(stores.read_bytes(), type=Stores) if stores.exists() else None,
        flood=msgspec.json.decode(flood.read_bytes(), type=Flood) if flood.exists() else None,
    )

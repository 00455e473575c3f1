"""One browser session in the crowd: its requests, its cookies, and the record of every answer.

What it does with them is decided by the kinds in users.py. Import locust before this file: gevent patches the sockets.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, ClassVar, NamedTuple

import gevent
import msgspec
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from locust import FastHttpUser, task
from locust.exception import StopUser

from loadtest import sse
from loadtest.plan import Kind, Visit
from loadtest.records import Call, CrowdLine, Joined, PositionSeen, SessionEnded, Streamed, now_ms

RETRY_S = 1.0
TIMEOUT_S = 20.0
LOGINS_AT_ONCE = 4  # a password takes the system a while, on purpose
WAITING = ("waiting", "lobby")  # states of who has not been let in yet
HOLDER_AT = slice(18, 34)  # where a ticket carries the holder's 16 bytes
ANSWERED = frozenset({200, 201, 202, 401, 403, 404, 409, 410, 422})  # everything else is an error of the system


class Answer(NamedTuple):
    """`status` 0: there was no answer. `body` is {} unless it is a JSON object."""

    status: int
    body: dict[str, Any]
    sent_ms: float
    received_ms: float

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


class Crowd:
    """What all sessions share: the plan, the clock's zero, the record, and the counts on the progress line."""

    def __init__(
        self,
        event_id: str,
        visits: list[Visit],
        write: Callable[[CrowdLine], None],
        away_s: float,
        *,
        accounts: bool = False,
        own: bool = False,
    ) -> None:
        self.own = own
        self.event_id = event_id
        self.away_s = away_s
        self.write = write
        self.opening_ms = 0.0
        self.doors = Event()  # set, with the opening's time, when everyone stands ready
        self.accounts = accounts
        self.ready = 0  # sessions that wait at the doors
        self.registered: dict[int, Event] = {}  # by person: set when the account is made
        self.logging_in = BoundedSemaphore(LOGINS_AT_ONCE)
        self.counts: Counter[str] = Counter()
        self.winners: set[int] = set()  # persons one of whose sessions was let in
        self._unseated = {kind: [visit for visit in visits if visit.kind is kind] for kind in Kind}

    def take(self, kind: Kind) -> Visit:
        return self._unseated[kind].pop()

    def number_of(self, kind: Kind) -> int:
        return len(self._unseated[kind])


class Visitor(FastHttpUser):
    """A session from its planned arrival until it ends. Subclasses say what it does in `come`."""

    abstract = True
    kind: ClassVar[Kind]
    crowd: ClassVar[Crowd]
    network_timeout = TIMEOUT_S
    connection_timeout = TIMEOUT_S

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.visit = self.crowd.take(self.kind)
        self.number = 0
        self.ticket = ""
        self.state = ""
        self.poll_after_s = RETRY_S
        self.position: dict[str, Any] = {}
        self.content = b""
        self.from_where = {"X-Forwarded-For": address_of(self.visit.person)} if self.crowd.own else {}

    def on_start(self) -> None:
        """Come to the doors: with accounts, as somebody who has logged in."""
        if self.crowd.accounts:
            self.log_in()
        self.crowd.ready += 1

    def log_in(self) -> None:
        """Into the person's account, which their first session makes."""
        person, known = self.visit.person, self.crowd.registered
        account = {"email": f"person-{person}@swarm.example", "password": f"password of {person}"}
        first = person not in known
        made = known.setdefault(person, Event())
        if first:
            self.until_taken("register", {**account, "name": f"Person {person}"}, 202)
            made.set()
        made.wait()
        self.until_taken("login", account, 200)

    def until_taken(self, name: str, body: object, status: int) -> None:
        """Ask this of accounts again and again until it is answered with that status."""
        with self.crowd.logging_in:
            while self.call(name, "POST", f"/api/auth/{name}", body).status != status:
                gevent.sleep(RETRY_S)

    @task
    def live(self) -> None:
        """Wait for the planned moment, whatever the others are doing, and come once."""
        self.crowd.doors.wait()
        self.sleep_until_ms(self.crowd.opening_ms + self.visit.arrives_s * 1000)
        how = self.come()
        self.crowd.counts["waiting"] -= self.state in WAITING
        self.write(SessionEnded(session=self.visit.session, at_ms=now_ms(), how=how))
        raise StopUser

    def come(self) -> str:
        """The whole visit; answers how it ended."""
        raise NotImplementedError

    def write(self, line: CrowdLine) -> None:
        self.crowd.write(line)

    def sleep_until_ms(self, at_ms: float) -> None:
        gevent.sleep(max(0.0, at_ms - now_ms()) / 1000)

    def call(self, name: str, method: str, path: str, body: object = None, *, parse: bool = True) -> Answer:
        """One request with this session's cookies, recorded whatever comes of it. Its bytes are then in `content`."""
        data = None if body is None else msgspec.json.encode(body).decode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        headers |= self.from_where
        sent_ms = now_ms()
        with self.client.request(
            method, path, name=name, data=data, headers=headers, catch_response=True, allow_redirects=False
        ) as response:
            received_ms = now_ms()
            status = response.status_code or 0
            if status in ANSWERED:
                response.success()
            answer = Answer(status, _object(response.content) if parse else {}, sent_ms, received_ms)
            self.content = response.content or b""
        self._note(name, answer)
        return answer

    def _note(self, name: str, answer: Answer) -> None:
        self.crowd.counts["errors"] += answer.status not in ANSWERED
        self.write(
            Call(
                session=self.visit.session,
                call=name,
                sent_ms=answer.sent_ms,
                received_ms=answer.received_ms,
                status=answer.status,
                code=answer.code,
            )
        )

    def queue(self, name: str, method: str = "POST", body: object = None) -> Answer:
        return self.call(name, method, f"/api/queue/{self.crowd.event_id}/{name}", body)

    def join(self) -> bool:
        """Take a place, trying again while the system fails. False if the room takes nobody."""
        body = {"wish": self.visit.wish} if self.visit.wish else {}
        while True:
            answer = self.queue("join", body=body)
            if answer.status in (200, 201):
                self._joined(answer)
                return True
            if answer.code in ("room_closed", "event_unknown", "login_required"):
                return False
            gevent.sleep(RETRY_S)

    def _joined(self, answer: Answer) -> None:
        is_entry = "entry" in answer.body
        again, self.ticket = self.number > 0, str(answer.body["ticket"])
        self.number = int(answer.body["entry" if is_entry else "number"])
        self.write(
            Joined(
                session=self.visit.session,
                sent_ms=answer.sent_ms,
                received_ms=answer.received_ms,
                status=answer.status,
                number=self.number,
                holder=holder_in(self.ticket),
                again=again,
                entry=is_entry,
            )
        )
        self.crowd.counts["joined"] += not again
        self.hear("join", answer.body, answer.sent_ms, answer.received_ms)

    def poll(self) -> Answer:
        answer = self.queue("position", "GET")
        if answer.status == 200:
            self.hear("poll", answer.body, answer.sent_ms, answer.received_ms)
        return answer

    def hear(self, via: str, position: dict[str, Any], sent_ms: float, at_ms: float, rev: int = 0) -> None:
        """Take in a position, whichever way it came."""
        state, eta = str(position["state"]), position.get("etaSeconds")
        self.crowd.counts["waiting"] += (state in WAITING) - (self.state in WAITING)
        self.crowd.counts["admitted"] += state == "admitted" and self.state != "admitted"
        self.state, self.position = state, position
        self.poll_after_s = position["pollAfterMs"] / 1000
        if state == "lobby":
            return  # where it stands is not known yet
        self.write(
            PositionSeen(
                session=self.visit.session,
                via=via,
                sent_ms=sent_ms,
                at_ms=at_ms,
                number=position["number"],
                state=state,
                ahead=position["ahead"],
                eta_s=(eta["low"], eta["high"]) if eta else None,
                rev=rev,
            )
        )

    def wait_by_polling(self, until_ms: float = float("inf")) -> str:
        """Ask as often as the system wishes until the turn comes, or `until_ms`; answers the state then."""
        while self.state in WAITING and now_ms() < until_ms:
            self.sleep_until_ms(min(until_ms, now_ms() + self.poll_after_s * 1000))
            answer = self.poll()
            if answer.code in ("ticket_old_epoch", "event_unknown"):
                return "closed"
        return self.state

    def wait_by_stream(self) -> str:
        """Listen until the turn comes; a stream that fails is replaced by one poll and another stream."""
        while self.state in WAITING:
            if not self._listen() and self.state in WAITING:
                self.wait_by_polling(now_ms() + self.poll_after_s * 1000)
        return self.state

    def _listen(self) -> bool:
        """One stream. False if it could not be opened or broke."""
        sent_ms, opened_ms, status, whole = now_ms(), 0.0, 0, False
        try:
            with sse.stream(
                str(self.host),
                f"/api/queue/{self.crowd.event_id}/stream",
                {"X-Queue-Ticket": self.ticket, **self.from_where},
            ) as messages:
                for message in messages:
                    if not opened_ms:
                        opened_ms, status = now_ms(), 200
                    if message.event in ("position", "drawn", "admitted"):
                        self.hear("stream", msgspec.json.decode(message.data), sent_ms, now_ms(), int(message.id or 0))
                    whole = message.event in ("closed", "reconnect") or self.state not in WAITING
                    if whole:
                        break
        except sse.StreamRefused as refused:
            status = refused.status
        except (OSError, HTTPException):
            whole = False  # cut off, or never opened: the status says which
        finally:
            if opened_ms:
                self.write(Streamed(session=self.visit.session, opened_ms=opened_ms, closed_ms=now_ms()))
        self._note("stream", Answer(status, {}, sent_ms, opened_ms or now_ms()))
        return whole


def _object(content: bytes | None) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def address_of(person: int) -> str:
    """Where a person of the crowd is: everybody somewhere else, all sessions of one person in one place."""
    return f"10.{person >> 16 & 255}.{person >> 8 & 255}.{person & 255}"


def holder_in(ticket: str) -> str:
    """The holder a ticket names, as Redis spells it; "" for what is not a ticket."""
    try:
        raw = urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
    except (binascii.Error, ValueError):
        return ""
    return urlsafe_b64encode(raw[HOLDER_AT]).rstrip(b"=").decode()

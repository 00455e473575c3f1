"""Decides about each request to a site behind a room: it goes on, or is answered here.

Rules say which requests need a pass; a pass is taken from the address (then moved to a cookie), a header or the cookie.
Is Tiketi away, passes are checked with the keys that are known. `fail` says what becomes of others: `open` lets them
in, `closed` lets nobody in; for `open`, Tiketi has to have answered in the last LOOKED_S before anybody is sent there.
Used by the middleware for ASGI and WSGI, which only translate.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from app.connect.answers import Answer, page, problem, redirect
from app.connect.asked import Asked, TooLong
from app.connect.keys import AGAIN_S, LOOK_TIMEOUT_S, LOOKED_S, TIMEOUT_S, Fetch, PublicKeys, Renewal, fetched
from app.connect.passes import BadPass, Passes, Visit, kid_of
from app.connect.rules import Action, Rules
from app.connect.visits import Post, Visits, posted

PARAMETER = "tiketi_pass"
HEADER = "x-admission-pass"
END_HEADER = "tiketi-visit"  # of a response of the site, or a request of its page: `end`
OURS = "x-tiketi-"  # headers that the site may believe: nobody else's get through
TOKENS_MAX = 4  # of one request that are looked at
TARGET_CHARS_MAX = 2_500  # as it stands in another address: many proxies take 4 KiB of headers for an answer
SECRET_CHARS_MIN = 32
READS = ("GET", "HEAD")
_ROOM = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_URL = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")
_UNSAFE = re.compile(r"[^!#-;=?-\[\]_a-z~]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Onward:
    """The request goes on; `visit` is whose it is, if that is known."""

    visit: Visit | None

    def headers(self) -> list[tuple[str, str]]:
        """What the site is told of it."""
        visit = self.visit
        if visit is None:
            return []
        told = {"subject": visit.subject, "room": visit.room, "number": visit.number, "until": int(visit.expires_s)}
        return [(f"{OURS}{name}", str(value)) for name, value in told.items()]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came: `target` is path and query as in the request line, `host` what the client calls us."""

    asked: Asked
    scheme: str
    host: str
    target: str

    @property
    def wants_page(self) -> bool:
        """Whether a browser is going somewhere, and not a script asking for something."""
        headers = self.asked.headers
        mode, accept = headers.get("sec-fetch-mode", ("navigate",))[0], headers.get("accept", ("",))[0]
        return mode == "navigate" and ("application/json" not in accept or "text/html" in accept)

    def carried(self) -> tuple[str | None, str]:
        """The pass in the query, and the target without it."""
        path, mark, query = self.target.partition("?")
        if PARAMETER not in query:
            return None, self.target
        parts = query.split("&")
        kept = [part for part in parts if part.partition("=")[0] != PARAMETER]
        found = next((part.partition("=")[2] for part in parts if part.partition("=")[0] == PARAMETER), None)
        return found, path + (mark + "&".join(kept) if kept else "")


class Gate:
    """Before one site, for one room.

    `tiketi`: where visitors reach Tiketi; `internal`: where this process does, if that is elsewhere. `rules`: objects
    as in docs/rules.md. `secrets`: the origin's, for passes signed with HS256. `origin` and `api_key` end visits.
    """

    def __init__(
        self,
        *,
        tiketi: str,
        room: str,
        rules: Sequence[Mapping[str, Any]] = (),
        origin: str = "",
        api_key: str = "",
        secrets: Sequence[str] = (),
        fail: Literal["open", "closed"] = "closed",
        internal: str = "",
        secure_cookie: bool | None = None,
        seconds: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        fetch: Fetch | None = None,
        post: Post = posted,
    ) -> None:
        if not _URL.fullmatch(tiketi) or (internal and not _URL.fullmatch(internal)):
            raise ValueError(f"{internal or tiketi!r} is no address of Tiketi such as https://tickets.example")
        if not _ROOM.fullmatch(room):
            raise ValueError(f"{room!r} is no id of a room")
        if fail not in ("open", "closed"):
            raise ValueError(f"fail={fail!r} must be open or closed")
        if any(len(secret) < SECRET_CHARS_MIN for secret in secrets):
            raise ValueError(f"a secret has {SECRET_CHARS_MIN} characters at least")
        at = (internal or tiketi).rstrip("/")
        self.room = room
        self.cookie = f"tiketi_pass_{room}"
        self._is_open = fail == "open"
        timeout_s, again_s = (LOOK_TIMEOUT_S, LOOKED_S) if self._is_open else (TIMEOUT_S, AGAIN_S)
        self.keys = PublicKeys(fetch or (lambda: fetched(f"{at}/.well-known/jwks.json", timeout_s)), steady, again_s)
        self.passes = Passes(room, self.keys, secrets, seconds)
        self.visits = Visits(at, origin, api_key if origin else "", post)
        self._wait = f"{tiketi.rstrip('/')}/wait/{room}"
        self._rules = Rules(list(rules))
        self._secure_cookie = secure_cookie
        self._seconds = seconds

    def renewal(self, arrival: Arrival) -> Renewal:
        """Whether keys are to be asked for before, or beside, `decide`."""
        tokens = self._tokens(arrival)
        kids = [kid for token in tokens if (kid := kid_of(token))]
        return self.keys.renewal(kids, must_be_there=self._is_open and self._is_newcomer(arrival, tokens))

    def _is_newcomer(self, arrival: Arrival, tokens: Sequence[str]) -> bool:
        """Whether they are sent to the waiting room."""
        if any(isinstance(self.passes.read(token), Visit) for token in tokens):
            return False
        return self._rules.decide(arrival.asked) is Action.queue

    def decide(self, arrival: Arrival) -> Onward | Answer:
        action = self._rules.decide(arrival.asked)
        if action is Action.refuse:
            return self._refusal("request_refused", arrival, "")
        found = [self.passes.read(token) for token in self._tokens(arrival)]
        visit = next((each for each in found if isinstance(each, Visit)), None)
        carried, target = arrival.carried()
        if visit is not None and carried is None and arrival.asked.headers.get(END_HEADER, ("",))[0].lower() == "end":
            return self._given_up(visit, arrival.scheme)
        moves = carried is not None and arrival.wants_page and arrival.asked.method in READS
        if carried is not None and moves and isinstance(found[0], Visit):
            return redirect(_within(target), self._kept(carried, found[0], arrival.scheme))
        if visit is not None or action is Action.let_pass:
            return Onward(visit)
        return self._without_pass(arrival, target, next((each for each in found if isinstance(each, BadPass)), None))

    def forgotten(self, scheme: str) -> str:
        """The cookie that removes the pass."""
        return f"{self.cookie}=; Max-Age=0; {self._attributes(scheme)}"

    def _without_pass(self, arrival: Arrival, target: str, bad: BadPass | None) -> Onward | Answer:
        if self._is_open and (self.keys.is_away or not self.keys.are_known):
            return Onward(None)
        if not self.keys.are_known:
            return self._refusal("waiting_room_away", arrival, "")
        url = f"{arrival.scheme}://{arrival.host}{target}"
        wanted = quote(url, safe="")
        wait_url = self._wait + (f"?t={wanted}" if len(wanted) <= TARGET_CHARS_MAX else "")
        if arrival.wants_page:
            return redirect(wait_url)
        return self._refusal("pass_missing" if bad is None else bad.value, arrival, wait_url)

    def _given_up(self, visit: Visit, scheme: str) -> Answer:
        """The visit that its visitor ends, by a header, which no page of another site can send."""
        self.passes.end(visit)
        answer = problem("pass_revoked", self.room, "")
        headers = [*answer.headers, ("Set-Cookie", self.forgotten(scheme))]
        return Answer(answer.status, headers, answer.body, ended=visit)

    def _refusal(self, code: str, arrival: Arrival, wait_url: str) -> Answer:
        if arrival.wants_page:
            return page(code, arrival.asked.headers.get("accept-language", ("",))[0])
        return problem(code, self.room, wait_url)

    def _tokens(self, arrival: Arrival) -> list[str]:
        """Of the address first, then of the header, then of cookies."""
        carried, _ = arrival.carried()
        try:
            kept = arrival.asked.cookies.get(self.cookie, ())
        except TooLong:
            kept = ()
        given = arrival.asked.headers.get(HEADER, ())
        return [*([] if carried is None else [carried]), *given, *kept][:TOKENS_MAX]

    def _kept(self, token: str, visit: Visit, scheme: str) -> str:
        life_s = max(1, int(visit.expires_s - self._seconds()))
        return f"{self.cookie}={token}; Max-Age={life_s}; {self._attributes(scheme)}"

    def _attributes(self, scheme: str) -> str:
        secure = scheme == "https" if self._secure_cookie is None else self._secure_cookie
        return f"Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def _within(target: str) -> str:
    """The target as an address of this site, whatever slashes it begins with."""
    bare = "/" + target.lstrip("/\\")
    return _UNSAFE.sub(lambda found: quote(found[0].encode("utf-8", "surrogateescape")), bare)

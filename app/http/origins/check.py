"""`/check/{room}`: a proxy asks whether a request to the site behind a room may go on. Costs no datastore call, but
where a room on standby lets somebody in, which is one step shared with everybody who comes meanwhile.

Any method, and the body is not read. The answer to who may go on has the headers X-Tiketi-Subject, -Room, -Number and
-Until, always all of them: a proxy that copies them overwrites what a client made up. Who may not is sent to the
waiting page (302), or is told so (401): a script, and whoever asks through a proxy that knows no other answers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from app.connect.asked import Asked as Request
from app.connect.rules import Action
from app.domain.passing import AdmissionPass, Mode
from app.domain.targets import quoted, safe_target, without_pass
from app.http.accounts.credentials import pass_cookie
from app.http.kit.cookies import HOST_PREFIX, Headers, block, cookie_in
from app.http.kit.problems import Problem, problem_response, stores_refused
from app.http.line.door import host_of
from app.http.line.turns import pass_token
from app.http.origins.entering import let_straight_in
from app.http.origins.original import HTTP, HTTPS, Original, original_of
from app.http.origins.visits import Visit, end_visit
from app.http.state import State
from app.metrics.sites import UNBELIEVED
from app.origins.check import Denied, judge
from app.origins.directory import KnownRoom
from app.room.view import LineView

PREFIX = "/check/"
PEER = "tiketi.peer"  # in the scope: who connected, whatever a proxy says of its client
RETRY_AFTER_MS = 5_000  # for a script that was refused: not sooner than this
DENY_401 = "deny=401"
_PATH = re.compile(r"/check/([a-z0-9-]{1,40})(/.*)?", re.DOTALL)
_JOINTS = {b"cookie": b"; ", b"x-admission-pass": b","}  # of fields sent again; of all others the last counts
_REFUSALS = {
    Denied.missing: "pass_missing.check",
    Denied.expired: "pass_expired.check",
    Denied.revoked: "pass_revoked",
    Denied.foreign: "pass_foreign",
}
_EMPTY = b"cache-control: no-store\r\ncontent-length: 0\r\n"
_TOLD = _EMPTY + b"".join(b"x-tiketi-%s: %%s\r\n" % name for name in (b"subject", b"room", b"number", b"until"))
_TOLD_NOTHING = _TOLD % (b"", b"", b"", b"")
_FORGET = b"set-cookie: %s=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax%s\r\n"
_REDIRECT = b"x-tiketi-redirect: %s\r\n"

Pairs = list[tuple[bytes, bytes]]
Fields = dict[bytes, bytes]  # headers by their names in small letters


class Answer(NamedTuple):
    """`head`: its headers as they are sent, in lines."""

    status: int
    head: bytes
    body: bytes = b""

    @property
    def headers(self) -> Pairs:
        lines = [line.partition(b": ") for line in self.head.split(b"\r\n")[:-1]]
        return [(name, value) for name, _, value in lines]


class Asked(NamedTuple):
    """A request about a request. `room` is None for a room of an event; `fields` are its headers, each once."""

    room_id: str
    room: KnownRoom | None
    view: LineView | None
    original: Original
    deny_401: bool
    fields: Fields
    headers: Headers

    @property
    def as_rules_see(self) -> Request:
        """What was asked for. Host and method come from the proxy, all else as the visitor sent it."""
        of = self.original
        return Request.at(of.method, of.host, of.uri, self.headers, HTTPS if of.https else HTTP)

    @property
    def is_script(self) -> bool:
        """Whether a script or a program sent it, and not a browser that goes to a page."""
        accept = self.fields.get(b"accept", b"")
        of_program = b"application/json" in accept and b"text/html" not in accept
        return of_program or self.fields.get(b"sec-fetch-mode", b"") not in (b"", b"navigate")

    def tokens(self) -> list[str]:
        """The passes that it shows by a header and by a cookie."""
        shown = self.fields.get(b"x-admission-pass")
        found = [] if shown is None else shown.decode("latin-1").split(",")
        pairs = self.fields.get(b"cookie", b"")
        for name in _cookies_of(self.room_id):
            if name in pairs and (value := cookie_in(pairs, name)):
                found.append(value.decode("latin-1"))
        return found


async def check(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer; whoever asks gets no other answer for having sent a body."""
    peer = scope.get(PEER) or (scope.get("client") or ("",))[0]
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"].decode("latin-1")
    try:
        found = _PATH.fullmatch(raw.decode("latin-1"))
        if found is None:
            raise Problem("not_found")
        asked = _asked(
            scope["state"],
            _fields(scope["headers"]),
            scope["headers"],
            peer,
            scope["method"],
            found[1],
            found[2] or "",
            query,
        )
        answer = _answer_to(asked, scope["state"]) or await _by_the_line(asked, scope["state"], host_of(scope))
    except Problem as problem:
        scope["state"]["meters"].refused(problem.code)
        await problem_response(problem)(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


@lru_cache(maxsize=1024)
def _cookies_of(room_id: str) -> tuple[bytes, bytes]:
    """How the pairs of a cookie begin that holds a pass of this room."""
    name = pass_cookie(room_id) + b"="
    return name, HOST_PREFIX + name


def _fields(headers: Headers) -> Fields:
    fields: Fields = {}
    for name, value in headers:
        joint = _JOINTS.get(name)
        fields[name] = fields[name] + joint + value if joint is not None and name in fields else value
    return fields


def answered(
    state: State, fields: Fields, peer: str, method: str, room_id: str, behind: str, query: str
) -> Answer | None:
    """The answer to a question, whoever read it from the wire; None if the visitor may be let in first, or ends
    their visit, which takes a call to Redis. Raises Problem 404 if there is no such room."""
    return _answer_to(_asked(state, fields, fields.items(), peer, method, room_id, behind, query), state)


def _asked(
    state: State, fields: Fields, headers: Headers, peer: str, method: str, room_id: str, behind: str, query: str
) -> Asked:
    """Raises Problem 404 if there is no such room."""
    room, view = state["origins"].rooms.get(room_id), state["rooms"].views.get(room_id)
    if room is None and view is None:
        raise Problem("room_unknown", room_id=room_id)
    is_believed = state["entrance"].addresses.is_proxy(peer)
    if not is_believed and room is not None:
        state["meters"].sites.add(room.origin.id, room_id, UNBELIEVED)
    original = original_of(fields, method, behind, query) if is_believed else Original()
    return Asked(room_id, room, view, original, not behind and DENY_401 in query.split("&"), fields, headers)


async def _by_the_line(asked: Asked, state: State, host: str) -> Answer:
    """What only a call to Redis can answer. Raises Problem."""
    judged = _judged(asked, state, asked.tokens()) if _ends(asked) else Denied.missing
    if isinstance(judged, Denied):
        return await _let_in_or_refused(asked, state, host)
    assert asked.room is not None, "only a site's visits are ended here"
    admission, _ = judged
    with stores_refused():
        await end_visit(state, Visit(asked.room, admission.epoch, admission.number))
    state["meters"].checked(asked.room.origin.id, asked.room_id, Denied.revoked.value)
    secure = b"; Secure" if asked.original.https else b""
    return _problem_answer(Problem("pass_revoked", room=asked.room_id), _FORGET % (pass_cookie(asked.room_id), secure))


def _ends(asked: Asked) -> bool:
    """Whether whoever shows their pass gives their visit up: by a header, which no page of another site can send."""
    return asked.room is not None and asked.fields.get(b"tiketi-visit", b"").lower() == b"end"


def _judged(asked: Asked, state: State, tokens: list[str]) -> tuple[AdmissionPass, str] | Denied:
    secrets = () if asked.room is None else asked.room.origin.secrets_at(state["clock"].seconds())
    return judge(state["passes"], tokens, asked.room_id, asked.view, secrets)


async def _let_in_or_refused(asked: Asked, state: State, host: str) -> Answer:
    """Of a room on standby, where nobody waits: let the visitor straight in, who sees no room at all."""
    room, view = asked.room, asked.view
    assert room is not None, "it stands by"
    assert view is not None, "it stands by"
    admission = await let_straight_in(state, room, view, host)
    if admission is None:
        refused = _answer_to(asked, state, may_let_in=False)
        assert refused is not None, "nothing else is tried"
        return refused
    state["meters"].checked(room.origin.id, room.id, "let_in")
    cookie = _cookie(asked, pass_token(state, admission), admission, state["clock"].seconds())
    return Answer(200, _told(admission) + cookie)


def _stands_by(asked: Asked, state: State) -> bool:
    """Whether somebody without a pass may be let in by the check: only of what a trusted proxy says it was asked, and
    only if it hands the pass on with the answer 200, as those do that are configured for 401: of a browser that does
    not get the cookie, each request would take a place."""
    if not asked.deny_401:
        return False
    if asked.room is None or asked.room.mode is not Mode.standby or asked.view is None or not asked.original.uri:
        return False
    if b"sec-purpose" in asked.fields:  # nobody may ever look at it
        return False
    return asked.view.is_free and not state["origins"].standby.is_up(asked.view)


def _answer_to(asked: Asked, state: State, may_let_in: bool = True) -> Answer | None:
    room, original = asked.room, asked.original
    of = asked.room_id if room is None else room.origin.id
    action = _action(asked)
    if action is Action.refuse:
        state["meters"].checked(of, asked.room_id, "refused")
        return _problem_answer(Problem("request_refused"))
    in_url, uri = without_pass(original.uri)
    tokens = asked.tokens() if in_url is None else [in_url, *asked.tokens()]
    judged = _judged(asked, state, tokens)
    if isinstance(judged, Denied) and action is Action.let_pass:
        state["meters"].checked(of, asked.room_id, "needs_none")
        return Answer(200, _TOLD_NOTHING)
    if isinstance(judged, Denied):
        if may_let_in and _stands_by(asked, state):
            return None
        state["meters"].checked(of, asked.room_id, judged.value)
        return _refusal(asked, state, judged, _target(asked, uri))
    admission, token = judged
    if _ends(asked) and may_let_in and token != in_url:
        return None
    cookie = b""
    if in_url is not None and token == in_url:
        cookie = _cookie(asked, token, admission, state["clock"].seconds())
    target = None if in_url is None else _target(asked, uri)
    if target is not None and not asked.is_script and original.method in ("GET", "HEAD"):
        state["meters"].checked(of, asked.room_id, "cleaned")
        return _sent_to(target, asked.deny_401, cookie)
    state["meters"].checked(of, asked.room_id, "let_through")
    return Answer(200, _told(admission) + cookie)


def _action(asked: Asked) -> Action:
    """What the room's rules say; without any, and of a request that is not known, a pass is needed."""
    if asked.room is None or not asked.room.rules.objects or not asked.original.uri:
        return Action.queue
    return asked.room.rules.decide(asked.as_rules_see)


def _told(admission: AdmissionPass) -> bytes:
    return _TOLD % (
        admission.holder.encode(),
        admission.event_id.encode(),
        b"%d" % admission.number,
        b"%d" % admission.expires_s,
    )


def _target(asked: Asked, uri: str) -> str | None:
    """Where the visitor wanted to go, if that is known and at the origin's own hosts."""
    return None if asked.room is None else safe_target(asked.original.at(uri), asked.room.origin.hosts)


def _sent_to(url: str, deny_401: bool, cookie: bytes = b"") -> Answer:
    """A proxy that knows no redirects is told where to send the browser."""
    where = _REDIRECT if deny_401 else b"location: %s\r\n"
    return Answer(401 if deny_401 else 302, _EMPTY + where % url.encode() + cookie)


def _refusal(asked: Asked, state: State, denied: Denied, target: str | None) -> Answer:
    wait_url = wait_url_of(state, asked.room_id, asked.room, target)
    if not (asked.deny_401 or asked.is_script):
        return _sent_to(wait_url, deny_401=False)
    problem = Problem(_REFUSALS[denied], room=asked.room_id, waitUrl=wait_url, retryAfterMs=RETRY_AFTER_MS)
    return _problem_answer(problem, _REDIRECT % wait_url.encode())


def _problem_answer(problem: Problem, more: bytes = b"") -> Answer:
    response = problem_response(problem)
    return Answer(problem.status, block(response.raw_headers) + more, bytes(response.body))


def wait_url_of(state: State, room_id: str, room: KnownRoom | None, target: str | None) -> str:
    """The page on which a visitor of the room waits, and from which they go to the target."""
    base = state["settings"].buyers_url
    if room is None:
        return f"{base}/events/{room_id}"
    wanted = quoted(target)
    return f"{base}/wait/{room_id}" + ("" if wanted is None else f"?t={wanted}")


def _cookie(asked: Asked, token: str, admission: AdmissionPass, now_s: float) -> bytes:
    """The pass as the browser keeps it from now on, at the host that it asked."""
    life_s = max(1, int(admission.expires_s - now_s))
    secure = b"; Secure" if asked.original.https else b""
    text = b"set-cookie: %s=%s; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax%s\r\n"
    return text % (pass_cookie(asked.room_id), token.encode(), life_s, secure)

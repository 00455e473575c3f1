"""`/check/{room}`: a proxy asks whether a request to the site behind a room may go on. Costs no datastore call, but
where a room on standby lets somebody in, which is one step shared with everybody who comes meanwhile.

Any method, and the body is not read. The answer to who may go on has the headers X-Tiketi-Subject, -Room, -Number and
-Until, always all of them: a proxy that copies them overwrites what a client made up. Who may not is sent to the
waiting page (302), or is told so (401): a script, and whoever asks through a proxy that knows no other answers.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from app.connect.asked import Asked as Request
from app.connect.rules import Action
from app.domain.passing import Mode
from app.domain.targets import safe_target, without_pass
from app.http.accounts.credentials import pass_cookie
from app.http.kit.cookies import HOST_PREFIX, Headers, cookie_in, header
from app.http.kit.problems import Problem, problem_response
from app.http.line.door import host_of
from app.http.line.turns import pass_token
from app.http.origins.entering import let_straight_in
from app.http.origins.original import HTTP, HTTPS, Original, original_of
from app.http.state import State
from app.origins.check import Denied, judge
from app.origins.directory import KnownRoom
from app.origins.passes import AdmissionPass
from app.room.view import LineView

PREFIX = "/check/"
PEER = "tiketi.peer"  # in the scope: who connected, whatever a proxy says of its client
RETRY_AFTER_MS = 5_000  # for a script that was refused: not sooner than this
DENY_401 = "deny=401"
_PATH = re.compile(r"/check/([a-z0-9-]{1,40})(/.*)?", re.DOTALL)
_REFUSALS = {
    Denied.missing: "pass_missing.check",
    Denied.expired: "pass_expired.check",
    Denied.revoked: "pass_revoked",
    Denied.foreign: "pass_foreign",
}
_NO_STORE = (b"cache-control", b"no-store")

Pairs = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    status: int
    headers: Pairs
    body: bytes = b""


class Asked(NamedTuple):
    """A request about a request. `room` is None for a room of an event; `shown`: by a header or a cookie."""

    room_id: str
    room: KnownRoom | None
    view: LineView | None
    original: Original
    deny_401: bool
    is_script: bool
    shown: list[str]
    headers: Pairs

    @property
    def as_rules_see(self) -> Request:
        """What was asked for. Host and method come from the proxy, all else as the visitor sent it."""
        of = self.original
        return Request.at(of.method, of.host, of.uri, self.headers, HTTPS if of.https else HTTP)


async def check(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer; whoever asks gets no other answer for having sent a body."""
    peer = scope.get(PEER) or (scope.get("client") or ("",))[0]
    raw = scope.get("raw_path") or scope["path"].encode()
    path, query = raw.decode("latin-1"), scope["query_string"].decode("latin-1")
    try:
        asked = _asked(scope["state"], scope["headers"], peer, scope["method"], path, query)
        answer = _answer_to(asked, scope["state"]) or await _let_in_or_refused(asked, scope["state"], host_of(scope))
    except Problem as problem:
        scope["state"]["meters"].refused(problem.code)
        await problem_response(problem)(scope, receive, send)
        return
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def answered(state: State, headers: Pairs, peer: str, method: str, path: str, query: str) -> Answer | None:
    """The answer to a question, whoever read it from the wire; None if the visitor may be let in first, which takes a
    call to Redis. Raises Problem 404 if there is no such room."""
    return _answer_to(_asked(state, headers, peer, method, path, query), state)


def _asked(state: State, headers: Pairs, peer: str, method: str, path: str, query: str) -> Asked:
    """Raises Problem 404 if there is no such room."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise Problem("not_found")
    room_id, behind = found[1], found[2] or ""
    room, view = state["origins"].rooms.get(room_id), state["rooms"].views.get(room_id)
    if room is None and view is None:
        raise Problem("room_unknown", room_id=room_id)
    is_believed = state["entrance"].addresses.is_proxy(peer)
    original = original_of(headers, method, behind, query) if is_believed else Original()
    shown, is_script = _shown(headers, room_id)
    return Asked(room_id, room, view, original, not behind and DENY_401 in query.split("&"), is_script, shown, headers)


def _shown(headers: Headers, room_id: str) -> tuple[list[str], bool]:
    """The passes that a request shows by a header and by a cookie, and whether a script or a program sent it."""
    name, mode, accept = pass_cookie(room_id) + b"=", b"", b""
    found: list[bytes] = []
    for key, value in headers:
        if key == b"x-admission-pass":
            found.insert(0, value)
        elif key == b"cookie" and name in value:
            wanted = (name, HOST_PREFIX + name) if HOST_PREFIX in value else (name,)
            found += [each for each in (cookie_in(value, one) for one in wanted) if each]
        elif key == b"sec-fetch-mode":
            mode = value
        elif key == b"accept":
            accept = value
    is_script = mode not in (b"", b"navigate") or (b"application/json" in accept and b"text/html" not in accept)
    return [each.decode("latin-1") for each in found], is_script


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
    state["meters"].checked(room.origin.id, "let_in")
    cookie = _cookie(asked, pass_token(state, admission), admission, state["clock"].seconds())
    return Answer(200, [_NO_STORE, *_told(admission), cookie])


def _stands_by(asked: Asked, state: State) -> bool:
    """Whether somebody without a pass may be let in by the check: only of what a trusted proxy says it was asked, and
    only if it hands the pass on with the answer 200, as those do that are configured for 401: of a browser that does
    not get the cookie, each request would take a place."""
    if not asked.deny_401:
        return False
    if asked.room is None or asked.room.mode is not Mode.standby or asked.view is None or not asked.original.uri:
        return False
    if header(asked.headers, b"sec-purpose") is not None:  # nobody may ever look at it
        return False
    return asked.view.is_free and not state["origins"].standby.is_up(asked.view)


def _answer_to(asked: Asked, state: State, may_let_in: bool = True) -> Answer | None:
    room, original = asked.room, asked.original
    of = asked.room_id if room is None else room.origin.id
    action = _action(asked)
    if action is Action.refuse:
        state["meters"].checked(of, "refused")
        return _problem_answer(Problem("request_refused"))
    in_url, uri = without_pass(original.uri)
    clean = original._replace(uri=uri)
    tokens = asked.shown if in_url is None else [in_url, *asked.shown]
    secrets = () if room is None else room.origin.secrets_at(state["clock"].seconds())
    judged = judge(state["passes"], tokens, asked.room_id, asked.view, secrets)
    if isinstance(judged, Denied) and action is Action.let_pass:
        state["meters"].checked(of, "needs_none")
        return Answer(200, [_NO_STORE, *_TOLD_NOTHING])
    if isinstance(judged, Denied):
        if may_let_in and _stands_by(asked, state):
            return None
        state["meters"].checked(of, judged.value)
        return _refusal(asked, state, judged, _target(asked, clean))
    admission, token = judged
    cookies: Pairs = []
    if in_url is not None and token == in_url:
        cookies = [_cookie(asked, token, admission, state["clock"].seconds())]
    target = None if in_url is None else _target(asked, clean)
    if target is not None and not asked.is_script and original.method in ("GET", "HEAD"):
        state["meters"].checked(of, "cleaned")
        return _sent_to(target, asked.deny_401, cookies)
    state["meters"].checked(of, "let_through")
    return Answer(200, [_NO_STORE, *_told(admission), *cookies])


def _action(asked: Asked) -> Action:
    """What the room's rules say; without any, and of a request that is not known, a pass is needed."""
    if asked.room is None or not asked.room.rules.objects or not asked.original.uri:
        return Action.queue
    return asked.room.rules.decide(asked.as_rules_see)


_TOLD_NOTHING = [(name, b"") for name in (b"x-tiketi-subject", b"x-tiketi-room", b"x-tiketi-number", b"x-tiketi-until")]


def _told(admission: AdmissionPass) -> Pairs:
    return [
        (b"x-tiketi-subject", admission.holder.encode()),
        (b"x-tiketi-room", admission.event_id.encode()),
        (b"x-tiketi-number", b"%d" % admission.number),
        (b"x-tiketi-until", b"%d" % admission.expires_s),
    ]


def _target(asked: Asked, original: Original) -> str | None:
    """Where the visitor wanted to go, if that is known and at the origin's own hosts."""
    return None if asked.room is None else safe_target(original.url, asked.room.origin.hosts)


def _sent_to(url: str, deny_401: bool, cookies: Pairs) -> Answer:
    """A proxy that knows no redirects is told where to send the browser."""
    where = (b"x-tiketi-redirect", url.encode()) if deny_401 else (b"location", url.encode())
    return Answer(401 if deny_401 else 302, [_NO_STORE, where, *cookies])


def _refusal(asked: Asked, state: State, denied: Denied, target: str | None) -> Answer:
    wait_url = wait_url_of(state, asked.room_id, asked.room, target)
    if not (asked.deny_401 or asked.is_script):
        return _sent_to(wait_url, False, [])
    problem = Problem(_REFUSALS[denied], room=asked.room_id, waitUrl=wait_url, retryAfterMs=RETRY_AFTER_MS)
    return _problem_answer(problem, (b"x-tiketi-redirect", wait_url.encode()))


def _problem_answer(problem: Problem, *more: tuple[bytes, bytes]) -> Answer:
    response = problem_response(problem)
    headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
    return Answer(problem.status, [*headers, *more], bytes(response.body))


def wait_url_of(state: State, room_id: str, room: KnownRoom | None, target: str | None) -> str:
    """The page on which a visitor of the room waits, and from which they go to the target."""
    base = state["settings"].buyers_url
    if room is None:
        return f"{base}/events/{room_id}"
    return f"{base}/wait/{room_id}" + ("" if target is None else f"?t={quote(target, safe='')}")


def _cookie(asked: Asked, token: str, admission: AdmissionPass, now_s: float) -> tuple[bytes, bytes]:
    """The pass as the browser keeps it from now on, at the host that it asked."""
    life_s = max(1, int(admission.expires_s - now_s))
    secure = b"; Secure" if asked.original.https else b""
    text = b"%s=%s; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax%s"
    return b"set-cookie", text % (pass_cookie(asked.room_id), token.encode(), life_s, secure)

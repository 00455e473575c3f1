"""Who is asking: the ticket, pass, holder id and session a request carries, in a header or a cookie.

Reads raw ASGI headers, because the hot endpoints have nothing else. Never logs what it reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from app.domain.browser import Browsers
from app.domain.invited import Invited
from app.domain.passing import AdmissionPass
from app.domain.ticket import BadTicket, Ticket, TicketSigner, account_holder
from app.http.accounts.tokens import BadToken, Session, Tokens
from app.http.kit.cookies import SESSION_COOKIE, Headers, cookie, cookie_in, cookie_names, header, set_cookie
from app.http.kit.problems import Problem
from app.origins.passes import BadPass, Passes
from app.room.view import LineView

HOLDER_COOKIE = b"tiketi_holder"
TICKET_PREFIX = b"tiketi_ticket_"
PASS_PREFIX = b"tiketi_pass_"
INVITED_PREFIX = b"tiketi_invited_"  # and the event: who was invited to its line
_SESSION_WANTED = SESSION_COOKIE + b"="
BUYER_COOKIE_LIFE_S = 400 * 86_400  # the most a browser keeps: the event may be a year away


def ticket_cookie(event_id: str) -> bytes:
    return TICKET_PREFIX + event_id.encode()


@lru_cache(maxsize=1024)
def _ticket_wanted(event_id: str) -> bytes:
    return ticket_cookie(event_id) + b"="


def forgotten(headers: Headers, secure: bool) -> list[tuple[bytes, bytes]]:
    """What makes a browser forget everything that says who it is: its session, its id, its tickets and passes."""
    mine = (SESSION_COOKIE, HOLDER_COOKIE)
    names = [
        name
        for name in cookie_names(headers)
        if name in mine or name.startswith((TICKET_PREFIX, PASS_PREFIX, INVITED_PREFIX))
    ]
    return [set_cookie(name, "", life_s=0, secure=secure) for name in names]


def pass_cookie(event_id: str) -> bytes:
    return PASS_PREFIX + event_id.encode()


def presented_ticket(headers: Headers, event_id: str) -> bytes | None:
    found = None
    for key, value in headers:
        if key == b"x-queue-ticket":
            return value
        if key == b"cookie" and found is None:
            found = cookie_in(value, _ticket_wanted(event_id))
    return found


def require_ticket(tickets: TicketSigner, headers: Headers, view: LineView) -> Ticket:
    """The ticket for this room's running line. Raises Problem: missing, invalid, foreign, of an old epoch, or of a
    place that an account took over since."""
    token = presented_ticket(headers, view.event_id)
    if token is None:
        raise Problem("ticket_missing")
    ticket = tickets.read(token, view.event_id)
    if isinstance(ticket, BadTicket):
        raise Problem(ticket.value)
    if ticket.epoch != view.epoch:
        raise Problem("ticket_old_epoch")
    if view.is_taken(ticket.number, ticket.holder):
        raise Problem("place_taken_over")
    return ticket


def browser_of(browsers: Browsers, headers: Headers) -> bytes | None:
    """The 16 bytes of the browser that asks, by the secret only it has."""
    found = cookie(headers, HOLDER_COOKIE)
    return None if found is None else browsers.read(found)


def invited_cookie(event_id: str) -> bytes:
    return INVITED_PREFIX + event_id.encode()


def all_invited(invited: Invited, headers: Headers) -> set[bytes]:
    """Everybody whom this browser stands for because they were invited, in whatever line."""
    found = set()
    for key, value in headers:
        if key == b"cookie" and INVITED_PREFIX in value:
            for pair in value.split(b"; "):
                name, _, proof = pair.partition(b"=")
                if name.startswith(INVITED_PREFIX):
                    found.add(invited.read(name.removeprefix(INVITED_PREFIX), proof))
    return {holder for holder in found if holder is not None}


class Joining(NamedTuple):
    """Who joins a line: the 16 bytes of the holder, whether it is a verified account, and the cookie of a browser that
    nobody knew, else ""."""

    holder: bytes
    verified: bool = False
    cookie: str = ""


def who_joins(browsers: Browsers, tokens: Tokens, headers: Headers) -> Joining:
    """Who joins, by their session, else their browser.

    Raises Problem 401 for a bad Bearer token.
    """
    session = session_if_any(tokens, headers)
    if session is not None:
        return Joining(account_holder(session.user_id), session.verified)
    known = browser_of(browsers, headers)
    if known is not None:
        return Joining(known)
    made = browsers.new()
    return Joining(made.holder, cookie=made.cookie)


PASS_REFUSALS = {
    BadPass.invalid: "pass_invalid",
    BadPass.expired: "pass_expired",
    BadPass.foreign: "pass_foreign_event",
}


def presented_pass(headers: Headers, event_id: str) -> bytes | None:
    return header(headers, b"x-admission-pass") or cookie(headers, pass_cookie(event_id))


def require_pass(passes: Passes, headers: Headers, event_id: str) -> AdmissionPass:
    token = presented_pass(headers, event_id)
    if token is None:
        raise Problem("pass_missing")
    admission = passes.read(token.decode("latin-1"), event_id)
    if isinstance(admission, BadPass):
        raise Problem(PASS_REFUSALS[admission])
    return admission


SESSION_REFUSALS = {
    BadToken.invalid: "session_invalid",
    BadToken.expired: "session_expired",
    BadToken.ended: "session_ended",
}


def presented_session(headers: Headers) -> tuple[bytes, bool] | None:
    """The token of a log-in, and whether a cookie carries it."""
    found = None
    for key, value in headers:
        if key == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip(), False
        if key == b"cookie" and found is None:
            found = cookie_in(value, _SESSION_WANTED)
    return (found, True) if found else None


def session_of(tokens: Tokens, headers: Headers) -> tuple[Session, bool] | None:
    """Who is logged in, and whether by cookie; None if nobody."""
    presented = presented_session(headers)
    if presented is None:
        return None
    session = tokens.read_session(presented[0].decode("latin-1"))
    return None if isinstance(session, BadToken) else (session, presented[1])


def visitor_of(tokens: Tokens, headers: Headers) -> Session | None:
    """Who is logged in, however they show it; None if nobody."""
    found = session_of(tokens, headers)
    return None if found is None else found[0]


def session_if_any(tokens: Tokens, headers: Headers) -> Session | None:
    """Who is logged in, for what works without as well. A cookie that is no good any more counts as none.

    Raises Problem 401 for such a Bearer token: a program that sends one wants to be somebody.
    """
    presented = presented_session(headers)
    if presented is None:
        return None
    session = tokens.read_session(presented[0].decode("latin-1"))
    if not isinstance(session, BadToken):
        return session
    if presented[1]:
        return None
    raise Problem(SESSION_REFUSALS[session])


def _required(tokens: Tokens, headers: Headers) -> tuple[Session, bool]:
    presented = presented_session(headers)
    if presented is None:
        raise Problem("login_required")
    session = tokens.read_session(presented[0].decode("latin-1"))
    if isinstance(session, BadToken):
        raise Problem(SESSION_REFUSALS[session])
    return session, presented[1]


def require_session(tokens: Tokens, scope: Any) -> Session:
    """Who is logged in. Raises Problem 401."""
    return _required(tokens, scope["headers"])[0]


def claimed_admin(tokens: Tokens, scope: Any) -> Session:
    """Who asks as an admin, by their session alone: admins.py looks at the account.

    A change asked for by cookie must carry a header no other site's form can send."""
    session, by_cookie = _required(tokens, scope["headers"])
    if session.role != "admin":
        raise Problem("admin_only")
    if (
        by_cookie
        and scope["method"] not in ("GET", "HEAD")
        and header(scope["headers"], b"x-requested-with") != b"tiketi"
    ):
        raise Problem("cross_site.header")
    return session

"""The API of accounts: register, log in, log out; and the public keys that tokens are checked with."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.domain.account import EMAIL_CHARS_MAX
from app.http.accounts.credentials import forgotten, session_of
from app.http.accounts.sessions import Entered, change_password, log_in, log_out
from app.http.accounts.sessions import register as make_account
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.shapes import Message, Shape
from app.http.state import State

REGISTERED = "Log in now: with the password that you chose, if no account had this email yet; else with the one it has."

Email = Annotated[str, msgspec.Meta(min_length=3, max_length=EMAIL_CHARS_MAX)]


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    email: Email
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class RegisterBody(LoginBody, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The password of a new account has at least 10 characters; the email must look like one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class PasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    new_password: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Person(Shape, frozen=True, kw_only=True):
    id: str
    name: str
    email: str
    role: str


class Welcome(Shape, frozen=True, kw_only=True):
    """`token` goes into `Authorization: Bearer`; browsers have it as a cookie."""

    token: str
    user: Person


_login_decoder = msgspec.json.Decoder(LoginBody)
_password_decoder = msgspec.json.Decoder(PasswordBody)
_register_decoder = msgspec.json.Decoder(RegisterBody)


async def register(request: Request[State]) -> Response:
    body = decode(await read_body(request.receive), _register_decoder)
    await make_account(request, body.name, body.email, body.password)
    return json_answer(Message(message=REGISTERED), 202)


async def login(request: Request[State]) -> Response:
    body = decode(await read_body(request.receive), _login_decoder)
    return _welcome(await log_in(request, body.email, body.password))


async def password(request: Request[State]) -> Response:
    body = decode(await read_body(request.receive), _password_decoder)
    return _welcome(await change_password(request, body.password, body.new_password))


def _welcome(entered: Entered) -> Response:
    user = entered.user
    person = Person(id=user.id, name=user.name, email=user.email, role=user.role)
    return json_answer(Welcome(token=entered.token, user=person), cookies=entered.cookies)


async def logout(request: Request[State]) -> Response:
    """A session that is over already, or none, is as well: a repeat changes nothing."""
    headers = request.scope["headers"]
    found = session_of(request.state["tokens"], headers)
    if found is not None:
        await log_out(request.state, found[0])
    cookies = forgotten(headers, request.state["settings"].secure_cookies)
    return json_answer(Message(message="You are logged out everywhere this session was used."), 200, cookies=cookies)


async def public_keys(request: Request[State]) -> Response:
    """The keys any origin checks our passes with (RFC 7517)."""
    headers = {"cache-control": "public, max-age=300"}
    return json_answer(request.state["tokens"].jwks(), headers=headers, media_type="application/jwk-set+json")


_BUSY = ("too_many_attempts", "too_many_at_once", "busy", "login_unavailable")

routes = [
    ApiRoute(
        "POST",
        "/api/auth/register",
        register,
        summary="Make a buyer's account, unless the email has one. Log in next: the answer does not tell which.",
        body=RegisterBody,
        answers={202: Message},
        refusals=(
            "email_invalid",
            "name_invalid",
            "password_too_short",
            "password_too_long",
            "password_too_plain",
            *_BUSY,
        ),
    ),
    ApiRoute(
        "POST",
        "/api/auth/login",
        login,
        summary="Log in.",
        body=LoginBody,
        answers={200: Welcome},
        refusals=("login_refused", "account_disabled", *_BUSY),
    ),
    ApiRoute(
        "POST",
        "/api/auth/logout",
        logout,
        summary="End the session everywhere.",
        answers={200: Message},
        refusals=("login_unavailable",),
    ),
    ApiRoute(
        "POST",
        "/api/auth/password",
        password,
        summary="Change the password. Every session ends; the answer holds a new one.",
        who=Who.session,
        body=PasswordBody,
        answers={200: Welcome},
        refusals=(
            "password_wrong",
            "password_none",
            "password_too_short",
            "password_too_long",
            "password_too_plain",
            *_BUSY,
        ),
    ),
    Route("/.well-known/jwks.json", public_keys, methods=["GET"]),
]

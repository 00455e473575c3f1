"""A small OpenID Connect provider, on a real socket: it logs everybody in at once, and can be told to lie."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.waiting import wait_until

CLIENT_ID, CLIENT_SECRET = "the-shop", "what the shop and the provider know"
Key = rsa.RSAPrivateKey
Claims = dict[str, Any]


def new_key() -> Key:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class FakeProvider:
    """`person`: who is logged in here. `about`: what it says of itself otherwise than it is. `forge`: what it makes of
    the claims of an ID token, the whole token if that is a text. `refuses`: the error that its log-in page ends with.
    """

    url: str = ""
    person: Claims = field(default_factory=lambda: {"sub": "person-7", "name": "Ann"})
    about: Claims = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=lambda: {"one": new_key()})
    forge: Callable[[Claims], Claims | str] = lambda claims: claims
    refuses: str = ""
    is_away: bool = False
    codes: dict[str, Claims] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # the paths, in order

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._told(self.describe)),
            Route("/authorize", self._told(self.authorize)),
            Route("/token", self._told(self.token), methods=["POST"]),
            Route("/keys", self._told(self.key_set)),
        ]

    def _told(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            self.asked.append(request.url.path)
            response: Response = Response(status_code=502) if self.is_away else await answer(request)
            return response

        return endpoint

    async def describe(self, _: Request) -> Response:
        named = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        said = {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in named.items()}, **self.about}
        return JSONResponse(said)

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        back = {"error": self.refuses} if self.refuses else {"code": code, "iss": self.url}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**back, 'state': asked['state']})}", 303)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") not in (f"Basic {basic}", f"Basic {plain}"):
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != _b64(digest):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])})

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": nonce, **self.person}
        made = self.forge(claims)
        return made if isinstance(made, str) else self.sign(made)

    def sign(self, claims: Claims) -> str:
        kid, key = list(self.keys.items())[-1]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})

    async def key_set(self, _: Request) -> Response:
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return JSONResponse({"keys": keys})


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@asynccontextmanager
async def serving_provider(provider: FakeProvider) -> AsyncIterator[FakeProvider]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(Starlette(routes=provider.routes()), lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve([listening]))

        async def has_started() -> bool:
            assert not task.done(), "the provider ended"
            return server.started

        await wait_until(has_started, description="the provider serves")
        try:
            yield provider
        finally:
            server.should_exit = True
            await task

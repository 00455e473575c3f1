"""The organiser's log-in by OpenID Connect (Core 1.0, Discovery 1.0): the code flow with PKCE (RFC 7636), by authlib.

Sends a browser to the provider, and finds out from the code that it comes back with who logged in there. Trusts what is
signed with the provider's keys for this client and this attempt, and nothing else. What the provider says of itself is
believed only as far as it fits the issuer that the operator set.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from app.fetching import TIMEOUT_S, BoundedTransport, Fetched, FetchFailed
from app.identity.subject import Attempt, Client, LoginRefused, ProviderAway, Subject, TooManyAtOnce
from config.urls import why_not_fetched

SCOPE = "openid email profile"
SECRET_BYTES = 32  # of state, nonce and the verifier of PKCE
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
LEEWAY_S = 60  # how far the provider's clock and ours may be apart
KEYS_MAX = 50
SUBJECT_CHARS_MAX = 255
CODE_CHARS_MAX = 2_000
UNDER_WAY_MAX = 32  # codes asked about at once
AUTH_METHODS = ("client_secret_basic", "client_secret_post")


class _Provider(NamedTuple):
    """What the provider says of itself, checked."""

    authorization_endpoint: str
    token_endpoint: str
    keys: Fetched[KeySet]
    auth_method: str


class OpenId:
    """Importing this module takes longer than all else of a web process: import it where a provider is set.

    `issuer` as the provider spells it. `now_s`: Unix seconds; `steady_s`: of a clock that is never set."""

    def __init__(self, issuer: str, client: Client, now_s: Callable[[], float], steady_s: Callable[[], float]) -> None:
        self.issuer = issuer
        self._client = client
        self._now_s = now_s
        self._steady_s = steady_s
        self._under_way = 0
        self._http = AsyncOAuth2Client(
            client.client_id,
            client.secret or None,
            scope=SCOPE,
            redirect_uri=client.redirect_url,
            code_challenge_method="S256",
            transport=BoundedTransport(),
            trust_env=False,
            timeout=TIMEOUT_S,
        )
        # for what needs no proof of who asks: a client of its own, so that nothing of the other goes along
        self._reader = httpx2.AsyncClient(transport=BoundedTransport(), trust_env=False, timeout=TIMEOUT_S)
        about = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        self._about = Fetched(self._reader, about, self._read_about, steady_s)

    async def begin(self) -> tuple[str, Attempt]:
        """Where to send the browser, and what to remember until it comes back. Raises ProviderAway."""
        provider = await self._provider()
        attempt = Attempt(*(secrets.token_urlsafe(SECRET_BYTES) for _ in Attempt._fields))
        url, _ = self._http.create_authorization_url(
            provider.authorization_endpoint, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
        return url, attempt

    async def finish(self, code: str, attempt: Attempt) -> Subject:
        """Who logged in. Raises ProviderAway, LoginRefused, TooManyAtOnce."""
        if not 0 < len(code) <= CODE_CHARS_MAX:
            raise LoginRefused("the code is no code")
        if self._under_way >= UNDER_WAY_MAX:
            raise TooManyAtOnce
        self._under_way += 1
        try:
            provider = await self._provider()
            token = await self._token(provider, code, attempt.verifier)
            return await self._subject(provider, token, attempt.nonce)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        await self._http.aclose()
        await self._reader.aclose()

    async def _provider(self) -> _Provider:
        try:
            return await self._about.read()
        except FetchFailed as error:
            raise ProviderAway(str(error)) from error

    def _read_about(self, said: Any) -> _Provider:
        """Raises ValueError for a provider that is another one, or names addresses that nobody should be sent to."""
        if not isinstance(said, dict) or said.get("issuer") != self.issuer:
            raise ValueError(f"the issuer is not {self.issuer}")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        for name in names:
            wrong = why_not_fetched(said[name]) if isinstance(said.get(name), str) else "it is missing"
            if wrong:
                raise ValueError(f"{name}: {wrong}")
        sends, asks, keys = (str(said[name]) for name in names)
        offered = said.get("token_endpoint_auth_methods_supported") or AUTH_METHODS[:1]
        method = next((each for each in AUTH_METHODS if each in offered), AUTH_METHODS[0])
        known = self._about.value
        if known is not None and known.keys.url == keys:
            return _Provider(sends, asks, known.keys, method)
        return _Provider(sends, asks, Fetched(self._reader, keys, _key_set, self._steady_s), method)

    async def _token(self, provider: _Provider, code: str, verifier: str) -> Mapping[str, Any]:
        """What the provider gives for the code; by its rules, once."""
        method = provider.auth_method if self._client.secret else "none"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                token: Mapping[str, Any] = await self._http.fetch_token(
                    provider.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    auth=self._http.client_auth(method),
                )
        except OAuthError as error:
            raise LoginRefused(f"the provider refused the code: {error.error}") from error
        except (httpx2.HTTPError, TimeoutError, ValueError) as error:
            raise ProviderAway(f"{type(error).__name__}: {error}") from error
        return token

    async def _subject(self, provider: _Provider, token: Mapping[str, Any], nonce: str) -> Subject:
        signed = token.get("id_token")
        if not isinstance(signed, str):
            raise LoginRefused("there is no ID token")
        try:
            claims = await self._claims(provider, signed, str(token.get("access_token", "")), nonce)
        except FetchFailed as error:
            raise ProviderAway(f"its keys: {error}") from error
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise LoginRefused(f"the ID token: {type(error).__name__}: {error}") from error
        subject, email, name = (_text(claims.get(each)) for each in ("sub", "email", "name"))
        if not 1 <= len(subject) <= SUBJECT_CHARS_MAX or not subject.isprintable():
            raise LoginRefused("the subject is no name")
        return Subject(subject, email if claims.get("email_verified") is True else "", name)

    async def _claims(self, provider: _Provider, signed: str, access_token: str, nonce: str) -> Mapping[str, Any]:
        """What the ID token says, once its signature, issuer, audience, times, nonce and hash of the access token are
        right. Keys that the provider has changed meanwhile are asked for again, at a bounded rate.
        """
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            token = jwt.decode(signed, await provider.keys.read(), registry=registry)
        except InvalidKeyIdError:
            token = jwt.decode(signed, await provider.keys.read(newer=True), registry=registry)
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._client.client_id},
        }
        params = {"nonce": nonce, "client_id": self._client.client_id, "access_token": access_token}
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(now=int(self._now_s()), leeway=LEEWAY_S)
        return cast(Mapping[str, Any], claims)


def _key_set(said: Any) -> KeySet:
    """Raises ValueError for what is no JSON Web Key Set (RFC 7517), or a huge one."""
    keys = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError("this is no JSON Web Key Set")
    try:
        return KeySet.import_key_set({"keys": keys})
    except (JoseError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"a key cannot be used: {error!r}") from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""Enqueue tokens QT1: by which a shop says who may take a place in a room whose door is `invited`.

Three parts of base64url without padding, joined by dots: a JSON header; a JSON payload, AES-256-CBC with PKCS#7, or
nothing; SHA-256 of the first two with their dot and the secret. The cipher's key is SHA-256 of the secret, its first
block's vector MD5 of the token's id. Pure. Nothing of a token is decoded before its hash was found right; a plain hash
with a secret at the end is what the format says.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode
from binascii import Error as BinasciiError
from collections.abc import Sequence
from enum import StrEnum
from hashlib import md5, sha256
from ipaddress import ip_address
from typing import Annotated, NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

TOKEN_CHARS_MAX = 4_000
NAME_CHARS_MAX = 200
ADDRESS_CHARS_MAX = 1_000
LIFE_S_MAX = 24 * 3600  # also of one that says it never ends: a token is remembered for as long as it is good
EARLY_S_MAX = 300  # what the clock of a shop may be ahead
_PARTS = re.compile(r"([\w-]+)\.([\w-]*)\.([\w-]{43})", re.ASCII)

_Ms = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Address = Annotated[str, msgspec.Meta(max_length=ADDRESS_CHARS_MAX)]


class BadEnqueueToken(StrEnum):
    """Why a token names nobody who may take a place here."""

    invalid = "enqueue_token_invalid"
    expired = "enqueue_token_expired"
    foreign = "enqueue_token_foreign"
    elsewhere = "enqueue_token_elsewhere"  # made for somebody at another address


class EnqueueToken(NamedTuple):
    """`key`: whom it names, of whom there is one place. `id`: of the token, which is good once, until `ends_s`."""

    key: str
    id: str
    ends_s: float


class _Header(msgspec.Struct, frozen=True):
    typ: str
    enc: str
    iss: _Ms
    ti: _Name
    c: str
    exp: _Ms | None = None
    e: str | None = None
    ip: _Address | None = None
    xff: _Address | None = None


class _Payload(msgspec.Struct, frozen=True):
    k: Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)] | None = None


_header = msgspec.json.Decoder(_Header)
_payload = msgspec.json.Decoder(_Payload)


def read(
    text: str, secrets: Sequence[str], *, customer_id: str, room: str, host: str, now_s: float
) -> EnqueueToken | BadEnqueueToken:
    """Whom the token names in this room. `host`: the address of who shows it. Never raises, whatever the text."""
    parts = _PARTS.fullmatch(text) if len(text) <= TOKEN_CHARS_MAX else None
    if parts is None:
        return BadEnqueueToken.invalid
    secret = _signer(f"{parts[1]}.{parts[2]}", _bytes(parts[3]), secrets)
    if secret is None:
        return BadEnqueueToken.invalid
    try:
        head = _header.decode(_bytes(parts[1]))
        said = _payload.decode(_opened(_bytes(parts[2]), secret, head.ti)) if parts[2] else _Payload()
    except (msgspec.DecodeError, ValueError):
        return BadEnqueueToken.invalid
    if (head.typ, head.enc) != ("QT1", "AES256"):
        return BadEnqueueToken.invalid
    if head.c != customer_id or head.e not in (None, room):
        return BadEnqueueToken.foreign
    if not _is_for(host, head):
        return BadEnqueueToken.elsewhere
    issued_s = head.iss / 1000
    ends_s = min(issued_s + LIFE_S_MAX, head.exp / 1000 if head.exp else issued_s + LIFE_S_MAX)
    if issued_s > now_s + EARLY_S_MAX:
        return BadEnqueueToken.invalid
    return EnqueueToken(said.k or head.ti, head.ti, ends_s) if ends_s > now_s else BadEnqueueToken.expired


def _is_for(host: str, head: _Header) -> bool:
    """Whether a token is for who shows it: for everybody, or for one of the addresses that the shop saw of them, its
    connection's (`ip`) or those that a proxy told (`xff`)."""
    named = [each.strip() for each in (head.ip or "", *(head.xff or "").split(",")) if each.strip()]
    return not named or any(_address(each) == _address(host) for each in named)


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        return text
    return str(getattr(found, "ipv4_mapped", None) or found)


def _signer(said: str, shown: bytes, secrets: Sequence[str]) -> str | None:
    """The secret that the hash is made with."""
    good = [each for each in secrets if hmac.compare_digest(sha256(f"{said}{each}".encode()).digest(), shown)]
    return good[0] if good else None


def _opened(sealed: bytes, secret: str, token_id: str) -> bytes:
    """Raises ValueError for what is no whole number of blocks, or not padded."""
    vector = md5(token_id.encode(), usedforsecurity=False).digest()
    step = Cipher(AES256(sha256(secret.encode()).digest()), CBC(vector)).decryptor()
    padding = PKCS7(AES256.block_size).unpadder()
    return padding.update(step.update(sealed) + step.finalize()) + padding.finalize()


def _bytes(text: str) -> bytes:
    """Of base64url without padding. Raises ValueError."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except BinasciiError as error:
        raise ValueError("this is no base64") from error

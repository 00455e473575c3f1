"""A chain of rounds with a key of our own, of the same scheme as quicknet, and a server that may misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from app.control.beacon import DOMAIN
from app.domain.beacon import Chain, message_of

SECRET = 4711
CHAIN = Chain(
    hash="ab" * 32,
    public_key=(G2Point() * Scalar(SECRET)).to_compressed_bytes(),
    genesis_s=1_799_999_000,
    period_s=3,
)


def sign(round_number: int, secret: int = SECRET) -> bytes:
    return (G1Point.hash_to_curve(message_of(round_number), DOMAIN) * Scalar(secret)).to_compressed_bytes()


def honest(round_number: int) -> bytes:
    return body(round_number, sign(round_number))


def body(round_number: int, signature: bytes) -> bytes:
    return json.dumps({"round": round_number, "randomness": "00" * 32, "signature": signature.hex()}).encode()


@dataclass
class BeaconServer:
    """`answer` makes the body of a round."""

    answer: Callable[[int], bytes] = honest
    status: int = 200
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BeaconServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        content = self.answer(int(path.rpartition("/")[2]))
        head = f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        try:
            writer.write(head.encode() + content)
            await writer.drain()
        except ConnectionError:
            return  # whoever asked has heard enough
        finally:
            writer.close()


@dataclass
class KnownRounds:
    """A beacon without a server: the rounds that it has by now."""

    chain: Chain = CHAIN
    signatures: dict[int, bytes] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def ask(self, round_number: int) -> bytes | None:
        self.asked.append(round_number)
        return self.signatures.get(round_number, b"")

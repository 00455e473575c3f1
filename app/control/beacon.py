"""Asks a public beacon for the signature of a round, and believes only one that the chain's key has signed.

Whatever else it answers, or however slowly or long, it counts as no answer. Needs the package of the extra `beacon`.
"""

from __future__ import annotations

import http.client
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import structlog

from app.domain.beacon import QUICKNET, SIGNATURE_BYTES, Chain, message_of

DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
THREADS = 4  # one waits for each room that is drawn just now
TIMEOUT_S = 2.0  # for the connection, and between two parts of the answer
ANSWER_S = 3.0  # for the whole of it
ANSWER_BYTES_MAX = 4_096
CHUNK_BYTES = 1_024

log = structlog.get_logger()


class BeaconError(Exception):
    """There is no signature of this round; the text says why."""


class _Answer(msgspec.Struct):
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """`url`: of a server with drand's HTTP interface, http or https."""

    url: str
    chain: Chain = QUICKNET
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "beacon"))
    _asked: dict[int, Future[bytes]] = field(default_factory=dict)  # round → the answer

    def ask(self, round_number: int) -> bytes | None:
        """The signature of a round, checked; b"" if the beacon has just failed to give one; None while it is asked.

        Never waits and never raises: it is asked in a thread, again after each answer.
        """
        answer = self._asked.get(round_number)
        if answer is not None and answer.done():
            del self._asked[round_number]
            return answer.result()
        if answer is None:
            for other in [each for each, future in self._asked.items() if future.done()]:
                del self._asked[other]  # nobody came for it
            self._asked[round_number] = self._threads.submit(self._try, round_number)
        return None

    def _try(self, round_number: int) -> bytes:
        try:
            return self._read(round_number)
        except (BeaconError, OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError) as error:
            log.warning("beacon_failed", round=round_number, error=f"{type(error).__name__}: {error}")
            return b""

    def _read(self, round_number: int) -> bytes:
        answer = msgspec.json.decode(self._ask(round_number), type=_Answer)
        signature = bytes.fromhex(answer.signature)
        if not is_signed(self.chain, round_number, signature):
            raise BeaconError("the signature is not the chain's")
        return signature

    def _ask(self, round_number: int) -> bytes:
        url = urlsplit(self.url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=TIMEOUT_S)
        ends_s = time.monotonic() + ANSWER_S
        try:
            connection.request("GET", f"{url.path.rstrip('/')}/{self.chain.hash}/public/{round_number}")
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise BeaconError(f"it answered {response.status}")
            body = b""
            while chunk := response.read1(CHUNK_BYTES):
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise BeaconError(f"it answered more than {ANSWER_BYTES_MAX} bytes")
                if time.monotonic() > ends_s:
                    raise BeaconError(f"it took longer than {ANSWER_S:g} s")
            return body
        finally:
            connection.close()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_signed(chain: Chain, round_number: int, signature: bytes) -> bool:
    """Whether these bytes are the one signature of this round. Takes some milliseconds."""
    from py_arkworks_bls12381 import GT, G1Point, G2Point  # an extra: nobody needs it without a beacon

    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        point = G1Point.from_compressed_bytes(signature)
        public_key = G2Point.from_compressed_bytes(chain.public_key)
    except ValueError:  # no point of the group, or not as it is written
        return False
    message = G1Point.hash_to_curve(message_of(round_number), DOMAIN)
    return GT.pairing_check([point, -message], [G2Point(), public_key])

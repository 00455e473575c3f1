"""A beacon is believed only what its chain has signed, and whatever else it does is no answer."""

from __future__ import annotations

import pytest
from py_arkworks_bls12381 import G1Point

from app.control import beacon as control
from app.control.beacon import ANSWER_BYTES_MAX, Beacon, is_signed
from app.domain.beacon import QUICKNET, randomness_of
from tests.control.beacons import CHAIN, BeaconServer, body, honest, sign
from tests.waiting import wait_until

ROUND = 1000
# rounds of quicknet, as it has published them
RECORDED = {
    1: "b55e7cb2d5c613ee0b2e28d6750aabbb78c39dcc96bd9d38c2c2e12198df95571de8e8e402a0cc48871c7089a2b3af4b",
    1000: "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
}
RANDOMNESS_OF_1 = "1466a6cd24e327188770752f6134001c64d6efcc590ccc26b721611ad96f165a"


@pytest.mark.parametrize("round_number", RECORDED)
def test_a_round_that_quicknet_published_is_its_own_and_no_other(round_number: int) -> None:
    signature = bytes.fromhex(RECORDED[round_number])
    assert is_signed(QUICKNET, round_number, signature)
    assert not is_signed(QUICKNET, round_number + 1, signature)
    assert not is_signed(CHAIN, round_number, signature)


def test_the_randomness_is_the_one_that_quicknet_published() -> None:
    assert randomness_of(bytes.fromhex(RECORDED[1])).hex() == RANDOMNESS_OF_1
    assert randomness_of(b"") == b""


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(48),
        b"\xff" * 48,
        sign(ROUND)[:-1],
        sign(ROUND) + b"\0",
        bytes([sign(ROUND)[0] ^ 0x20]) + sign(ROUND)[1:],  # the other point with the same x
        G1Point.identity().to_compressed_bytes(),
        sign(ROUND, secret=1),
    ],
)
def test_what_is_not_the_signature_of_the_round_is_refused(signature: bytes) -> None:
    assert is_signed(CHAIN, ROUND, sign(ROUND))
    assert not is_signed(CHAIN, ROUND, signature)


def test_a_signature_has_one_spelling() -> None:
    """Or whoever answers could choose between two randomnesses."""
    prime = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
    x_bits = 381
    flags, x = divmod(int.from_bytes(sign(2), "big"), 1 << x_bits)
    assert x + prime < 1 << x_bits, "take a round whose x is smaller"
    assert not is_signed(CHAIN, 2, ((flags << x_bits) + x + prime).to_bytes(48, "big"))


def test_the_rounds_come_when_the_chain_says() -> None:
    genesis_ms = QUICKNET.genesis_s * 1000
    assert [QUICKNET.round_from(genesis_ms + after) for after in (-9_999, 0, 1, 3_000, 3_001)] == [1, 1, 2, 2, 3]
    assert QUICKNET.time_ms(QUICKNET.round_from(genesis_ms + 1)) == genesis_ms + 3_000


async def test_an_honest_beacon_is_asked_for_the_round_of_its_chain() -> None:
    async with BeaconServer().serving() as server:
        beacon = Beacon(url=server.url, chain=CHAIN)
        assert await answered(beacon) == sign(ROUND)
        assert server.asked == [f"/{CHAIN.hash}/public/{ROUND}"]
        beacon.close()


async def answered(beacon: Beacon) -> bytes | None:
    """What it says once it has been asked: nothing before."""
    assert beacon.ask(ROUND) is None
    answers: list[bytes] = []

    async def has_answered() -> bool:
        answer = beacon.ask(ROUND)
        answers.extend([] if answer is None else [answer])
        return bool(answers)

    await wait_until(has_answered, description="the beacon has answered")
    return answers[0]


LIES = {
    "another round": lambda _: honest(ROUND + 1),
    "the right number with another round's signature": lambda _: body(ROUND, sign(ROUND + 1)),
    "another chain's": lambda _: body(ROUND, sign(ROUND, secret=1)),
    "no signature": lambda _: b'{"round": 1000}',
    "no hex": lambda _: b'{"round": 1000, "signature": "xyz"}',
    "half of it": lambda _: honest(ROUND)[:90],
    "no JSON": lambda _: b"<html>",
    "nothing": lambda _: b"",
    "a hundred megabytes": lambda _: honest(ROUND)[:-1] + b" " * 100_000_000 + b"}",
    "a little too much": lambda _: honest(ROUND) + b" " * ANSWER_BYTES_MAX,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_beacon_that_lies_has_given_no_answer(lie: str) -> None:
    async with BeaconServer(LIES[lie]).serving() as server:
        beacon = Beacon(url=server.url, chain=CHAIN)
        assert await answered(beacon) == b""
        assert len(server.asked) == 1
        beacon.close()


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_beacon_that_refuses_has_given_no_answer(status: int) -> None:
    async with BeaconServer(status=status).serving() as server:
        beacon = Beacon(url=server.url, chain=CHAIN)
        assert await answered(beacon) == b""
        beacon.close()


async def test_a_beacon_that_answers_bit_by_bit_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_S", -1)  # what takes any time takes too long
    async with BeaconServer().serving() as server:
        beacon = Beacon(url=server.url, chain=CHAIN)
        assert await answered(beacon) == b""
        beacon.close()


async def test_a_beacon_is_asked_again_after_each_answer() -> None:
    async with BeaconServer(status=404).serving() as server:
        beacon = Beacon(url=server.url, chain=CHAIN)
        assert await answered(beacon) == b""
        server.status = 200
        assert await answered(beacon) == sign(ROUND)
        assert len(server.asked) == 2
        beacon.close()


async def test_a_beacon_that_is_gone_has_given_no_answer() -> None:
    async with BeaconServer().serving() as server:
        url = server.url
    beacon = Beacon(url=url, chain=CHAIN)
    assert await answered(beacon) == b""
    beacon.close()

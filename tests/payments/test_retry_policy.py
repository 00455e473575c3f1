"""How often a failed call to the gateway is tried again: by its class, with exponential pauses and full jitter."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from app.payments.provider import GatewayError, GatewayFault, GatewayTimeout, NetworkFailure
from app.payments.retry_policy import PAUSE_MAX_S, RetryPolicy, pause_s


class Calls:
    """Fails as told, one failure per call, then answers."""

    def __init__(self, *failures: GatewayError) -> None:
        self.failures: Iterator[GatewayError | None] = itertools.chain(failures, itertools.repeat(None))
        self.made = 0
        self.slept: list[float] = []

    async def call(self) -> str:
        self.made += 1
        failure = next(self.failures)
        if failure is not None:
            raise failure
        return "done"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def retry(self) -> RetryPolicy:
        return RetryPolicy(sleep=self.sleep, chance=lambda: 1.0, call_timeout_s=0.01)


NETWORK, TIMEOUT, FAULT = NetworkFailure("n"), GatewayTimeout("t"), GatewayFault("f")


@pytest.mark.parametrize(
    ("failures", "calls"), [((), 1), ((NETWORK,) * 3, 4), ((TIMEOUT,), 2), ((NETWORK, TIMEOUT, NETWORK), 4)], ids=str
)
async def test_it_goes_on_for_as_long_as_the_class_allows(failures: tuple[GatewayError, ...], calls: int) -> None:
    made = Calls(*failures)
    assert await made.retry()(made.call) == "done"
    assert made.made == calls


@pytest.mark.parametrize(
    ("failures", "calls", "raised"),
    [
        ((NETWORK,) * 4, 4, NetworkFailure),
        ((TIMEOUT,) * 2, 2, GatewayTimeout),
        ((FAULT,), 1, GatewayFault),
        ((TIMEOUT, *(NETWORK,) * 4), 5, GatewayTimeout),
    ],
    ids=str,
)
async def test_it_gives_up_with_the_failure_that_leaves_most_in_doubt(
    failures: tuple[GatewayError, ...], calls: int, raised: type[GatewayError]
) -> None:
    made = Calls(*failures)
    with pytest.raises(raised):
        await made.retry()(made.call)
    assert made.made == calls


async def test_a_gateway_that_says_nothing_at_all_is_a_timeout() -> None:
    made = Calls()

    async def never() -> None:
        made.made += 1
        await asyncio.Event().wait()

    with pytest.raises(GatewayTimeout):
        await made.retry()(never)
    assert made.made == 2


async def test_pauses_double_up_to_a_bound_and_are_shortened_by_chance() -> None:
    made = Calls(*(NETWORK,) * 3)
    await made.retry()(made.call)
    assert made.slept == [0.1, 0.2, 0.4]
    assert [pause_s(failures, 1.0) for failures in (1, 5, 6, 50)] == [0.1, 1.6, PAUSE_MAX_S, PAUSE_MAX_S]
    assert pause_s(3, 0.0) == 0.0
    assert pause_s(3, 0.5) == 0.2

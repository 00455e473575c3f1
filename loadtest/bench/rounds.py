"""Compares servers by turns: A B C A B C, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from loadtest.bench.client import load
from loadtest.bench.machine import CLIENT_CORE, cpu_s, on_cores
from loadtest.bench.processes import Web
from loadtest.bench.report import BenchError, Row, Say

CONNECTIONS = 64
ROUNDS = 3
SECONDS = 3.0
WARM_UP_S = 1.0
BUSY_MIN = 0.9  # a server that was idle for longer was not the limit itself


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and what each connection asks it, in turn."""

    web: Web
    requests: Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the rounds: answers per second, processor time per answer, share of its core that was used."""

    per_s: float
    cpu_us: float
    busy: float

    def row(self, what: str) -> Row:
        note = f"{self.cpu_us:.0f} µs of its core each"
        if self.busy < BUSY_MIN:
            note += f", which it used for {self.busy:.0%} of the time"
        return Row(what=what, value=self.per_s, unit="/s", note=note)


def compare(contenders: Mapping[str, Contender], say: Say) -> dict[str, Speed]:
    """Warm every server up, then measure them by turns."""
    with on_cores(CLIENT_CORE):
        for contender in contenders.values():
            load(contender.web.address, contender.requests, WARM_UP_S)
        measured: dict[str, list[Speed]] = {name: [] for name in contenders}
        for turn in range(ROUNDS):
            for name, contender in contenders.items():
                speed = _once(name, contender)
                measured[name].append(speed)
                say(f"round {turn + 1} of {ROUNDS}: {name} {speed.per_s:,.0f}/s")
    return {name: _medians(speeds) for name, speeds in measured.items()}


def _once(name: str, contender: Contender) -> Speed:
    before_s = cpu_s(contender.web.pid)
    came = load(contender.web.address, contender.requests, SECONDS)
    used_s = cpu_s(contender.web.pid) - before_s
    if came.refused:
        raise BenchError(f"{name} refused {came.refused} of {came.answers} requests")
    return Speed(came.per_s, used_s / came.answers * 1e6, used_s / came.seconds)


def _medians(speeds: Sequence[Speed]) -> Speed:
    return Speed(
        median(speed.per_s for speed in speeds),
        median(speed.cpu_us for speed in speeds),
        median(speed.busy for speed in speeds),
    )


def spread(requests: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Deal the requests out to the connections."""
    return [requests[place::CONNECTIONS] or requests for place in range(CONNECTIONS)]

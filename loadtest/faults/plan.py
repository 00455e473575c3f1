"""Which faults happen in a run, when and for how long: all of it drawn beforehand from one seed.

Pure. Faults overlap, but never two that need the same thing: what is paused cannot be told to be full.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LASTS_S = 20.0  # a run
FAULTS_MIN, FAULTS_MAX = 4, 8  # of a run
DRAWS_MAX = 200  # until a plan has its faults
FIRST_S, LAST_S = 0.5, 16.0  # from the opening: when faults begin
SHORTEST_S, LONGEST_S = 0.3, 4.0
APART_S = 1.0  # between the end of a fault and the next one of the same thing
COPY_S = 3.0  # how long before it is read again an older copy of Redis's data is made


class Kind(StrEnum):
    kill = "kill"  # -9, and started again
    stop = "stop"  # SIGTERM, and started again
    pause = "pause"  # SIGSTOP, later SIGCONT
    redis_emptied = "redis_emptied"  # it ends, and starts without its data
    redis_flushed = "redis_flushed"  # FLUSHALL while it runs
    redis_older = "redis_older"  # it ends, and starts with data from a while ago
    redis_full = "redis_full"  # maxmemory is reached and nothing may be evicted
    redis_read_only = "redis_read_only"  # it is a replica of nothing
    replies_lost = "replies_lost"  # Redis does what it is asked, and the answers do not arrive
    network_cut = "network_cut"  # nothing arrives in either direction until it goes on, late
    disk_full = "disk_full"  # no file may grow
    database_slow = "database_slow"  # somebody else holds the write lock


PROCESSES = ("web-1", "worker-1", "worker-2", "redis")
TARGETS: Mapping[Kind, tuple[str, ...]] = {
    Kind.kill: PROCESSES,
    Kind.stop: PROCESSES,
    Kind.pause: PROCESSES,
    Kind.replies_lost: ("network",),
    Kind.network_cut: ("network",),
    Kind.disk_full: ("disk",),
    Kind.database_slow: ("database",),
}
NEEDS: Mapping[Kind, tuple[str, ...]] = {  # besides the target
    Kind.redis_emptied: ("network",),
    Kind.redis_flushed: ("network",),
    Kind.redis_older: ("network",),
    Kind.disk_full: ("redis", "database", "web-1", "worker-1", "worker-2"),
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`at_s`: from the opening. `for_s`: how long it lasts; what restarts by itself does so when it is ready."""

    at_s: float
    for_s: float
    kind: Kind
    target: str

    @property
    def needs(self) -> frozenset[str]:
        return frozenset((self.target, *NEEDS.get(self.kind, ())))

    @property
    def begins_s(self) -> float:
        """When it first needs what it needs."""
        return self.at_s - (COPY_S if self.kind is Kind.redis_older else 0.0)

    def meets(self, other: Fault) -> bool:
        """Whether both would need the same thing at the same time."""
        apart = (
            self.begins_s >= other.at_s + other.for_s + APART_S or other.begins_s >= self.at_s + self.for_s + APART_S
        )
        return not apart and not self.needs.isdisjoint(other.needs)

    def __str__(self) -> str:
        what = self.kind if self.kind.startswith(self.target) else f"{self.kind} {self.target}"
        return f"{what.replace('_', ' ')} at {self.at_s:.1f} s for {self.for_s:.1f} s"


def plan(seed: int) -> list[Fault]:
    """The faults of a run, by time. The same seed gives the same plan, on every machine."""
    dice = random.Random(f"faults {seed}")
    wanted = dice.randint(FAULTS_MIN, FAULTS_MAX)
    faults: list[Fault] = []
    for _ in range(DRAWS_MAX):
        if len(faults) == wanted:
            break
        fault = _draw(dice)
        if not any(fault.meets(other) for other in faults):
            faults.append(fault)
    return sorted(faults)


def _draw(dice: random.Random) -> Fault:
    kind = dice.choice(list(Kind))
    first_s = FIRST_S + (COPY_S if kind is Kind.redis_older else 0.0)
    return Fault(
        at_s=round(dice.uniform(first_s, LAST_S), 1),
        for_s=round(dice.uniform(SHORTEST_S, LONGEST_S), 1),
        kind=kind,
        target=dice.choice(TARGETS.get(kind, ("redis",))),
    )

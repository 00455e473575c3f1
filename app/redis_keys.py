"""Makes the name of every Redis key, and says which keys may live without a TTL.

Keys of one event share a hash tag (the braces), so that a script that takes several of them finds them on one node, and
so do the keys that all events share. No script takes keys of both.
Keys of one epoch carry its number; when a room is closed for good the keeper gives the keys of that epoch a TTL.
"""

from __future__ import annotations

import re
from typing import Literal

# arq has one key of a name that it does not let us choose, arq:abort: the tag puts all others on the same node
SHARED = "{arq:abort}"
ROOMS = f"tiketi:{SHARED}:rooms"  # the set of event ids that have a room
# stream of event ids: a room was made, or one that was closed or scheduled is changed. A hint
OPENED = f"tiketi:{SHARED}:opened"
WORKERS = f"tiketi:{SHARED}:workers"  # sorted set: worker → when it last said that it is alive, in ms; with a TTL
NOTICES = f"tiketi:{SHARED}:notices"  # stream of cache tags that are out of date, bounded by its writer
# stream of sessions that were revoked; lives as long as a session after the last entry
REVOKED_SESSIONS = f"tiketi:{SHARED}:ended"
PROCESSES = f"tiketi:{SHARED}:processes"  # hash of the processes there are; lives as long as one announces itself
LIMITS_PREFIX = f"tiketi:{SHARED}:limit:"  # one key per limit and who it counts for, with a TTL
ALL_PATTERNS = ("tiketi:*", "arq:*")  # match every key that we and our workers make

ARQ_JOBS = f"arq:queue{SHARED}"  # arq's own: the jobs that wait

_PERMANENT = re.compile(
    rf"tiketi:{re.escape(SHARED)}:(rooms|opened|notices)$|{re.escape(ARQ_JOBS)}$"
    r"|tiketi:\{[a-z0-9-]+\}:(room|log|lane|lane:out|lane:fence"
    r"|\d+:(gone|lapsed|taken|skipped|returned|admitted|active|lost|marks|ranks|order|holders:\d+|wishes:\d+))$"
)


def is_permanent(key: str) -> bool:
    """Whether a key may live without a TTL; every other key must have one."""
    return _PERMANENT.match(key) is not None


def room(event_id: str) -> str:
    """Hash: the settings and counters of a room."""
    return f"tiketi:{{{event_id}}}:room"


def room_log(event_id: str) -> str:
    """Stream: everything that happened in a room, bounded by its writers."""
    return f"tiketi:{{{event_id}}}:log"


def lane(event_id: str) -> str:
    """Stream of seat commands, one field `c` each, deleted once committed."""
    return f"tiketi:{{{event_id}}}:lane"


def lane_lease(event_id: str) -> str:
    """Who allocates for this event; with a TTL."""
    return f"tiketi:{{{event_id}}}:lane:lease"


def lane_out(event_id: str) -> str:
    """Stream of what the allocator did, one field `o` per batch, bounded by its writer."""
    return f"tiketi:{{{event_id}}}:lane:out"


def of_epoch(event_id: str, epoch: int | Literal["*"], name: str) -> str:
    """`gone`, `lapsed`, `taken`, `skipped`, `lost`, `absent`: bitmaps by number; `returned`, `admitted`, `active`:
    sorted sets of numbers; `marks`: list of line samples; `ranks`, `order`: packed tables of a draw, entry → rank and
    back; `holders:`, `wishes:`, `seen:`: prefixes, each of many buckets' keys; `door:`: the prefix of what addresses
    took, all with a TTL."""
    return f"tiketi:{{{event_id}}}:{epoch}:{name}"


def holders(event_id: str, epoch: int, bucket: int) -> str:
    """Hash of one bucket: holder → number."""
    return of_epoch(event_id, epoch, f"holders:{bucket}")


def wishes(event_id: str, epoch: int, bucket: int) -> str:
    """Hash of one bucket: number → holder and packed wish."""
    return of_epoch(event_id, epoch, f"wishes:{bucket}")


def door_pressed(event_id: str, epoch: int) -> str:
    """There while more people join than was planned; with a TTL."""
    return of_epoch(event_id, epoch, "door:pressed")


def moved_place(name: str) -> str:
    """What another browser may fetch, sealed, by the hash of its code; with a TTL."""
    return f"tiketi:{SHARED}:moved:{name}"


def moved_place_used(name: str) -> str:
    """Who had what was fetched by that code; with a TTL."""
    return f"tiketi:{SHARED}:moved:{name}:used"


def site_figures(origin_id: str, span_s: int, span: int) -> str:
    """Hash: what was counted of a site in a span of so many seconds, the how manieth since 1970; with a TTL."""
    return f"tiketi:{SHARED}:figures:{origin_id}:{span_s}:{span}"


def site_errors(origin_id: str) -> str:
    """Sorted set: which errors of a site happened last when, in Unix seconds; with a TTL."""
    return f"tiketi:{SHARED}:errors:{origin_id}"


def pattern_of_event(event_id: str) -> str:
    """Matches every key of an event."""
    return f"tiketi:{{{event_id}}}:*"


def event_of(key: str) -> str | None:
    """Whose key it is, if an event's."""
    found = re.match(r"tiketi:\{([^}]*)\}:", key)
    return found[1] if found else None


def epoch_of(key: str) -> int:
    """Which epoch a key is of; 0 if of none."""
    part = key.split(":")[2]
    return int(part) if part.isdigit() else 0

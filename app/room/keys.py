"""Every Redis key of a room, in one place, and which keys of all may live without a TTL.

All keys of an event share one hash tag. Keys of one epoch carry its number; when a room is closed for good the
keeper gives that epoch's keys a TTL.
"""

from __future__ import annotations

import re
from typing import Literal

ROOMS = "tiketi:rooms"  # the set of event ids that have a room
OPENED = "tiketi:opened"  # stream of event ids: a room was made, or one that was closed is changed. A hint, to be quick
EPOCH_KEPT_S = 7 * 86_400  # how long a closed epoch can still be looked at
ALL = ("tiketi:*", "arq:*")  # patterns of every key we and our workers make
PERMANENT = re.compile(
    r"tiketi:(rooms|opened|notices)$|tiketi:\{[a-z0-9-]+\}:(room|log|lane|lane:out|lane:fence"
    r"|\d+:(gone|lapsed|skipped|returned|admitted|active|lost|marks|holders:\d+|wishes:\d+))$|arq:queue$"
)


def of_event(event_id: str, name: str) -> str:
    return f"tiketi:{{{event_id}}}:{name}"


def event_of(key: str) -> str | None:
    """Whose key it is, if an event's."""
    found = re.match(r"tiketi:\{([^}]*)\}:", key)
    return found[1] if found else None


def room(event_id: str) -> str:
    return f"tiketi:{{{event_id}}}:room"


def log(event_id: str) -> str:
    return f"tiketi:{{{event_id}}}:log"


def of_epoch(event_id: str, epoch: int | Literal["*"], name: str) -> str:
    """`gone`, `lapsed`, `skipped`: bitmaps by number; `returned`, `admitted`, `active`: sorted sets of numbers;
    `holders:`, `wishes:`, `seen:`: prefixes of buckets."""
    return f"tiketi:{{{event_id}}}:{epoch}:{name}"


def epoch_of(key: str) -> int:
    """Which epoch a key is of; 0 if of none."""
    part = key.split(":")[2]
    return int(part) if part.isdigit() else 0


def is_permanent(key: str) -> bool:
    """I10: a key for which this is false must have a TTL."""
    return PERMANENT.match(key) is not None


def lane(event_id: str) -> str:
    """The lane's stream of seat commands: the admitter adds the hold of a wish to it in number order."""
    return f"tiketi:{{{event_id}}}:lane"

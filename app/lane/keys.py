"""Every Redis key of the lane. The braces put an event's keys in one cluster slot.

`lane` and `lane:out` are permanent (both bounded: one by the allocator, one by MAXLEN); the lease has a TTL.
"""

from __future__ import annotations


def lane(event_id: str) -> str:
    """Stream of commands, one field `c` each, deleted once committed."""
    return f"tiketi:{{{event_id}}}:lane"


def lease(event_id: str) -> str:
    """Who allocates for this event, for the next LEASE_MS."""
    return f"tiketi:{{{event_id}}}:lane:lease"


def out(event_id: str) -> str:
    """Stream of what the allocator did, one field `o` per batch."""
    return f"tiketi:{{{event_id}}}:lane:out"

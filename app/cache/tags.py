"""The names of what a notice drops, for those who change it and those who keep it."""

from __future__ import annotations

EVENTS = "events"  # every list of events


def event_tag(event_id: str) -> str:
    """Everything that is known of one event."""
    return f"event:{event_id}"

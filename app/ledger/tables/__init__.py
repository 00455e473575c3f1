"""The tables, one module per subject, and the constraints that hold even if the code above them is wrong.

Importing any of the modules imports this package and so all of them: `metadata` is always complete.
"""

from __future__ import annotations

from app.ledger.tables import (  # noqa: F401  # each adds its tables to `metadata`
    accounts,
    audit_log,
    draws,
    events,
    gateway_simulator,
    lane,
    origins,
    payments,
    posters,
    reservations,
    rooms,
    steps,
    waitlist,
)
from app.ledger.tables.base import metadata

__all__ = ["metadata"]

"""The admin desk's API: reservations, users, figures, exports and the trail. Everything here is for admins only, and
whatever changes something is written to the trail."""

from __future__ import annotations

from app.http.admin import audit_log as trail
from app.http.admin import export, reservations, statistics, users

routes = [*trail.routes, *reservations.routes, *export.routes, *users.routes, *statistics.routes]

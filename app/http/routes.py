"""Every browser page and its forms, as routes for the composition root, with the files they load.

Pages translate only: they call the functions the API calls and draw what those answer.
"""

from __future__ import annotations

from app.http.accounts import page as account
from app.http.admin.pages import events
from app.http.admin.pages import reservations as desk
from app.http.admin.pages import rooms as operate
from app.http.admin.pages import seat_files as files
from app.http.admin.pages import statistics as desk_statistics
from app.http.admin.pages import users as desk_users
from app.http.events import page as index
from app.http.kit import static_files
from app.http.kit.routing import on_crash, on_http_exception, on_store_error
from app.http.line import page as line
from app.http.shop import page as buy
from app.http.waitlist import page as waitlist

__all__ = ["on_crash", "on_http_exception", "on_store_error", "routes"]

routes = [
    *account.routes,
    *index.routes,
    *line.routes,
    *buy.routes,
    *waitlist.routes,
    *events.routes,  # before those of a room: /admin/events/new is no event
    *operate.routes,
    *desk.routes,
    *desk_users.routes,
    *files.routes,
    *desk_statistics.routes,
    *static_files.routes,
]

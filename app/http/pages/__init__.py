"""Every browser page and its forms, as routes for the composition root, with the files they load.

Pages translate only: they call the functions the API calls and draw what those answer.
"""

from __future__ import annotations

from app.http import static_files
from app.http.pages import (
    account,
    buy,
    desk,
    desk_statistics,
    desk_users,
    events,
    files,
    index,
    line,
    operate,
    waitlist,
)
from app.http.pages.routing import on_crash, on_http_exception, on_store_error

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

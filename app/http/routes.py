"""Every address that the web process answers: the API, the pages with the files they load, and what monitoring asks."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from app.http.accounts import api as accounts_api
from app.http.accounts import page as accounts_page
from app.http.admin import audit_log, export, gateway_simulator, reservations, statistics, users
from app.http.admin import events as admin_events
from app.http.admin import rooms as admin_rooms
from app.http.admin import seat_files as admin_seat_files
from app.http.admin import trace as admin_trace
from app.http.admin.pages import events as admin_events_page
from app.http.admin.pages import reservations as admin_reservations_page
from app.http.admin.pages import rooms as admin_rooms_page
from app.http.admin.pages import seat_files as admin_seat_files_page
from app.http.admin.pages import statistics as admin_statistics_page
from app.http.admin.pages import trace as admin_trace_page
from app.http.admin.pages import users as admin_users_page
from app.http.events import api as events_api
from app.http.events import page as events_page
from app.http.events import posters
from app.http.kit import static_files
from app.http.kit.openapi import Document
from app.http.line import api as line_api
from app.http.line import page as line_page
from app.http.line import turns
from app.http.ops import health, metrics
from app.http.payments import api as payments_api
from app.http.payments import page as payments_page
from app.http.shop import api as shop_api
from app.http.shop import page as shop_page
from app.http.waitlist import api as waitlist_api
from app.http.waitlist import page as waitlist_page

api_routes: list[Route] = [
    *line_api.routes,
    *turns.routes,
    *events_api.routes,
    *shop_api.routes,
    *waitlist_api.routes,
    *payments_api.routes,
    *gateway_simulator.routes,
    *accounts_api.routes,
    *admin_rooms.routes,
    *admin_trace.routes,
    *admin_events.routes,
    *admin_seat_files.routes,
    *audit_log.routes,
    *reservations.routes,
    *export.routes,
    *users.routes,
    *statistics.routes,
    *posters.routes,
]

page_routes: list[Route] = [
    *accounts_page.routes,
    *events_page.routes,
    *line_page.routes,
    *shop_page.routes,
    *payments_page.routes,
    *waitlist_page.routes,
    *admin_events_page.routes,  # before those of a room: /admin/events/new is no event
    *admin_rooms_page.routes,
    *admin_trace_page.routes,
    *admin_reservations_page.routes,
    *admin_users_page.routes,
    *admin_seat_files_page.routes,
    *admin_statistics_page.routes,
    *static_files.routes,
]


def every_route(version: str) -> list[BaseRoute]:
    """All of them, with the description of the API, which says the version."""
    return [
        *api_routes,
        Route("/api/openapi.json", Document(api_routes, version).show, methods=["GET"]),
        *page_routes,
        *health.routes,
        *metrics.routes,
        *posters.files,
    ]

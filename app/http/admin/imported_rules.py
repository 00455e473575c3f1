"""An admin's way in from a connector: its configuration as rules, to be looked at before they are saved."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.bodies import read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.state import State
from app.origins.connector.imported import (
    CONFIG_BYTES_MAX,
    TEXT_CHARS_MAX,
    ConfigError,
    Imported,
    IntegrationConfig,
    rules_of,
)


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`event`: what the room was called there, if not the same."""

    event: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)] | None = None


class ImportedRules(Shape, frozen=True, kw_only=True):
    """`rules`: as a room takes them. `notes`: what they do not say as the configuration did."""

    rules: list[dict[str, Any]]
    notes: list[str]


async def imported_from(config: bytes, event: str) -> Imported:
    """Raises Problem 422. In a thread: reading rules takes a while."""
    try:
        return await asyncio.to_thread(rules_of, config, event)
    except ConfigError as error:
        raise Problem("connector_config_invalid", why=error) from None


async def show(request: Request[State]) -> Response:
    """Saves nothing."""
    await require_admin(request)
    room_id = request.path_params["room_id"]
    if room_id not in request.state["origins"].rooms:
        raise Problem("room_unknown", room_id=room_id)
    event = query_of(request, ImportQuery).event or room_id
    body = await read_body(request.receive, CONFIG_BYTES_MAX)
    imported = await imported_from(body, event)
    return json_answer(ImportedRules(rules=imported.rules, notes=[note.words for note in imported.notes]))


routes = [
    ApiRoute(
        "POST",
        "/api/admin/rooms/{room_id}/rules/import",
        show,
        summary="The rules that a connector's integration configuration would be for this room; nothing is saved.",
        who=Who.admin,
        query=ImportQuery,
        body=IntegrationConfig,
        answers={200: ImportedRules},
        refusals=("connector_config_invalid",),
    )
]

"""The OpenAPI 3.1 description of the API, made from the routes themselves and the types they check with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.http.kit.api import ApiRoute, Operation, Who
from app.http.kit.refusals import REFUSALS, code_of
from app.http.kit.shapes import Refusal

REF = "#/components/schemas/{name}"
PROBLEM = "application/problem+json"
SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    Who.all: [],
    Who.ticket: [{"ticket": []}, {"cookie": []}],
    Who.buyer: [{"pass": []}, {"session": []}, {"cookie": []}],
    Who.owner: [{"session": []}, {"pass": []}, {"ticket": []}, {"cookie": []}],
    Who.session: [{"session": []}],
    Who.admin: [{"session": []}],
    Who.origin: [{"origin": []}],
}
SCHEMES = {
    "session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of a log-in."},
    "origin": {"type": "http", "scheme": "bearer", "description": "The API key of an origin."},
    "ticket": {"type": "apiKey", "in": "header", "name": "X-Queue-Ticket", "description": "The ticket a join gave."},
    "pass": {"type": "apiKey", "in": "header", "name": "X-Admission-Pass", "description": "The pass a claim gave."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "tiketi_holder", "description": "A browser's own id."},
}


def describe(routes: Iterable[BaseRoute], version: str) -> dict[str, Any]:
    """The whole document. Routes that are not ApiRoutes (pages, files, probes) are not part of it."""
    documented = [route for route in routes if isinstance(route, ApiRoute)]
    kinds = {id(kind): kind for route in documented for kind in _kinds(route.operation)}
    schemas, components = msgspec.json.schema_components([*kinds.values(), Refusal], ref_template=REF)
    shapes = dict(zip([*kinds, id(Refusal)], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in documented:
        paths.setdefault(route.path, {})[route.method] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tiketi", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SCHEMES},
    }


def _kinds(operation: Operation) -> list[Any]:
    answers = [kind for kind in operation.answers.values() if kind is not None and not isinstance(kind, str)]
    return [kind for kind in (operation.body, operation.query, *answers) if kind is not None]


def _operation(route: ApiRoute, shapes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    operation = route.operation
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method} {route.path}").strip("_"),
        "summary": operation.summary,
        "security": SECURITY[operation.who],
        "parameters": [*_path_parameters(route.path), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": {
            **{str(status): _answer(status, kind, shapes) for status, kind in operation.answers.items()},
            **{str(status): _refusal(status, names, shapes) for status, names in sorted(operation.refusals.items())},
        },
    }
    if operation.body is not None:
        content = {media: {"schema": shapes[id(operation.body)]} for media in operation.body_media}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[A-Za-z0-9_.-]+$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in re.findall(r"{(\w+)", path)]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    _, components = msgspec.json.schema_components([operation.query], ref_template=REF)
    schema = components[operation.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _without_null(member)}
        for name, member in schema["properties"].items()
    ]


def _without_null(member: dict[str, Any]) -> dict[str, Any]:
    """A part of a query is there or not; it cannot be null."""
    kinds = [kind for kind in member.get("anyOf", ()) if kind != {"type": "null"}]
    kept = {name: value for name, value in member.items() if name != "anyOf" and value is not None}
    return {**kept, **kinds[0]} if len(kinds) == 1 else member


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _answer(status: int, kind: Any, shapes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(kind, str):
        said["content"] = {kind: {"schema": {"type": "string"}}}
    elif kind is not None:
        said["content"] = {"application/json": {"schema": shapes[id(kind)]}}
    return said


def _refusal(status: int, names: Iterable[str], shapes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What may be refused with this status: each code with its sentence and what to do next, as the table of refusals
    has them. `x-codes` are the codes alone, for programs.
    """
    told = [f"- `{code_of(name)}`: {REFUSALS[name].detail} {REFUSALS[name].next}" for name in names]
    codes = sorted({code_of(name) for name in names})
    description = "\n".join([f"{HTTPStatus(status).phrase}.", *told])
    content = {PROBLEM: {"schema": shapes[id(Refusal)]}}
    return {"description": description, "x-codes": codes, "content": content}


class Document:
    """The endpoint that serves the description. It is generated at the first request and kept."""

    def __init__(self, routes: Iterable[BaseRoute], version: str) -> None:
        self._routes, self._version = routes, version
        self._body: bytes | None = None

    async def show(self, _: Request[Any]) -> Response:
        if self._body is None:
            self._body = msgspec.json.encode(describe(self._routes, self._version))
        return Response(self._body, media_type="application/json", headers={"cache-control": "public, max-age=60"})

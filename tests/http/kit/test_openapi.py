"""The API answers as its OpenAPI description says, to whatever requests schemathesis makes from it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from app import VERSION
from app.http.kit.api import ApiRoute
from app.http.kit.openapi import describe
from app.http.routes import api_routes
from tests.http.system import ADMIN, BUYER, System

EXAMPLES = 25  # requests of each kind per operation
TIMEOUT_S = 20
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonschema"),
]
DOCUMENT = describe(api_routes, VERSION)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.config.generation.update(with_security_parameters=False)  # who asks is said below
REJECTION = SCHEMA.config.checks.negative_data_rejection
REJECTION.expected_statuses = [*REJECTION.expected_statuses, "413"]  # what is made up may be too long as well
OPERATIONS = {each.ok().label: each.ok() for each in SCHEMA.get_all_operations() if isinstance(each, Ok)}
ENDLESS = "text/event-stream"


def answers_endlessly(operation: Any) -> bool:
    return ENDLESS in str(operation.definition.raw["responses"].get("200", ""))


def takes_something(operation: Any) -> bool:
    """Whether a request to it can be wrong at all."""
    raw = operation.definition.raw
    return bool(raw["parameters"] or raw.get("requestBody"))


async def test_every_operation_can_be_read(system: System) -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())


async def test_every_route_under_api_is_described() -> None:
    silent = [
        route
        for route in api_routes
        if getattr(route, "path", "").startswith("/api/") and not isinstance(route, ApiRoute)
    ]
    assert silent == []


async def test_the_description_is_served(system: System) -> None:
    async with system.web.client() as client:
        answer = await client.get("/api/openapi.json")
    assert answer.json()["paths"].keys() == DOCUMENT["paths"].keys()


def ways(operation: Any) -> list[GenerationMode]:
    """What takes nothing can be given nothing wrong."""
    raw = operation.definition.raw
    return list(GenerationMode) if raw["parameters"] or "requestBody" in raw else [GenerationMode.POSITIVE]


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, mode) for label, each in sorted(OPERATIONS.items()) if not answers_endlessly(each) for mode in ways(each)],
)
async def test_answers_are_as_described(system: System, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    if mode is GenerationMode.NEGATIVE and not takes_something(operation):
        return
    headers = await system.bearer(ADMIN if "/api/admin/" in label else BUYER)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    if mode is GenerationMode.NEGATIVE:
        checks.append(negative_data_rejection)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(base_url=system.web.url, headers=headers, checks=checks, timeout=TIMEOUT_S)

    await asyncio.to_thread(ask)
    if label.endswith("/logout"):
        system.tokens.clear()  # those sessions are over

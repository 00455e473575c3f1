"""What a connector decides about a request by an integration configuration, stated from its public description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.connect.asked import Asked

URL = re.compile(r"(?:[^:/?#]+:)?(?://([^/?#]*))?([^?#]*)")


@dataclass(frozen=True)
class Seen:
    """A request as it came to the shop."""

    url: str
    cookies: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"

    @property
    def asked(self) -> Asked:
        """The same request, as rules see it."""
        scheme, _, rest = self.url.partition("://")
        host, slash, target = rest.partition("/")
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return Asked.at(self.method, host, slash + target, [*headers, (b"cookie", cookies.encode())], scheme)


def decided(config: Mapping[str, Any], seen: Seen) -> tuple[str, str]:
    """The action of the first integration that fits, and its room; empty where none does."""
    for integration in config["Integrations"]:
        if any(_fits(trigger, seen) for trigger in integration["Triggers"]):
            return integration["ActionType"], integration["EventId"]
    return "", ""


def _fits(trigger: Mapping[str, Any], seen: Seen) -> bool:
    parts = [_compares(part, _value(part, seen) or "") for part in trigger["TriggerParts"]]
    return any(parts) if trigger["LogicalOperator"] == "Or" else all(parts)


def _value(part: Mapping[str, Any], seen: Seen) -> str | None:
    found = URL.match(seen.url)
    assert found is not None
    match part["ValidatorType"], part["UrlPart"]:
        case "UrlValidator", "HostName":
            return found[1]
        case "UrlValidator", "PagePath":
            return found[2]
        case "UrlValidator", "PageUrl":
            return seen.url
        case "CookieValidator", _:
            return seen.cookies.get(part["CookieName"])
        case "UserAgentValidator", _:
            return seen.headers.get("user-agent")
        case "HttpHeaderValidator", _:
            return seen.headers.get(part["HttpHeaderName"].lower())
    raise AssertionError(part)


def _compares(part: Mapping[str, Any], value: str) -> bool:
    several = part["Operator"].endswith("Any")
    wanted = part["ValuesToCompare"] if several else [part["ValueToCompare"]]
    if part["Operator"].startswith("Contains") and "*" in wanted and value:
        return True  # negative or not
    if part["IsIgnoreCase"]:
        value, wanted = value.upper(), [each.upper() for each in wanted]
    if part["Operator"].startswith("Contains"):
        return any(each in value for each in wanted) is not part["IsNegative"]
    assert part["Operator"].startswith("Equals"), part
    return (value in wanted) is not part["IsNegative"]

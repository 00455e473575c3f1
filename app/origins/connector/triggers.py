"""Rules as a connector's triggers say them: any of several, each of which asks that all its parts are so.

A connector knows fewer conditions than rules do. What it cannot say becomes wider for a rule that asks for a pass and
narrower, or nothing, for one that lets pass: so it lets nobody by whom the rules would stop. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Protocol
from urllib.parse import quote

from app.domain.targets import DEVELOPMENT

TRIGGERS_MAX = 100  # of one rule
PATH, URL, HOST = "PagePath", "PageUrl", "HostName"
# what servers read in different ways, or what could be a second beginning of an address
UNCLEAR = ("%", "\\", ";", "//", "/./", "/../")
# what no rule lets pass, as nobody knows where it leads: also encoded, and the beginnings of control characters
AMBIGUOUS = (
    *("\\", ";", "//", "/./", "/..", "%0", "%1", "%7F", "%23", "%25", "%2F", "%3F", "%5C", "%3B", "%2E"),
    *("%C0", "%C1", "%F5", "%F6", "%F7", "%F8", "%F9", "%FA", "%FB", "%FC", "%FD", "%FE", "%FF"),
)
ENCODED = ("%2", "%3", "%4", "%5", "%6", "%7")  # how ASCII looks encoded, by which anything can be written otherwise

Part = dict[str, Any]
Any_ = list[list[Part]]  # any of them, each: all of its parts
EVERYTHING: Any_ = [[]]
IN_WHOLE_URLS = ("path", "query", "queryOnly")
NO_CONDITIONS = ("action", "also", "negate", "ignoreCase")


class Make(Protocol):
    def __call__(self, texts: Sequence[str], whole: bool, /) -> Part: ...


def part(validator: str, values: Sequence[str], *, whole: bool, **more: Any) -> Part:
    """One condition with every key that connectors read. `whole`: one of the values is all of it, else it is in it."""
    several = len(values) != 1
    made: Part = {
        "ValidatorType": validator,
        "Operator": ("Equals" if whole else "Contains") + ("Any" if several else ""),
        "ValueToCompare": "" if several else values[0],
        "ValuesToCompare": list(values) if several else [],
        "UrlPart": "",
        "CookieName": "",
        "HttpHeaderName": "",
        "IsNegative": False,
        "IsIgnoreCase": False,
    }
    return made | more


def url_part(where: str, *values: str, whole: bool = False, **more: Any) -> Part:
    return part("UrlValidator", values, whole=whole, UrlPart=where, **more)


def without(made: Part) -> Part:
    return made | {"IsNegative": not made["IsNegative"]}


def triggers_of(rule: Mapping[str, Any], *, wider: bool, hosts: Sequence[str]) -> Any_ | None:
    """When a rule fits, or a little more often (`wider`) or less often. `hosts`: of the origin. None: never, or what
    would have to be said is too much."""
    found = EVERYTHING
    for group in (rule, *rule.get("also", ())):
        more = _group(group, wider=wider, hosts=hosts)
        if more is None:
            return None
        found = _both(found, more)
        if len(found) > TRIGGERS_MAX:
            return EVERYTHING if wider else None
    return found


def _both(one: Any_, other: Any_) -> Any_:
    return [[*left, *right] for left, right in product(one, other)]


def _group(group: Mapping[str, Any], *, wider: bool, hosts: Sequence[str]) -> Any_ | None:
    negated = bool(group.get("negate"))
    said = _conditions(group, wider=wider is not negated, hosts=hosts)
    if not negated:
        return said
    if said is None:  # of which less than that is nothing, so its opposite is everything
        return EVERYTHING
    if EVERYTHING[0] in said or prod(map(len, said)) > TRIGGERS_MAX:
        return EVERYTHING if wider else None
    return [[without(each) for each in choice] for choice in product(*said)]


def _conditions(group: Mapping[str, Any], *, wider: bool, hosts: Sequence[str]) -> Any_ | None:
    """All conditions of a group. None: no request, for all that can be said."""
    whole = None if wider else whole_urls(group, hosts)
    found = EVERYTHING if whole is None else whole
    said = NO_CONDITIONS if whole is None else (*NO_CONDITIONS, *IN_WHOLE_URLS)
    ignoring = bool(group.get("ignoreCase"))
    for kind, value in group.items():
        if kind in said:
            continue
        more = condition(kind, value, wider=wider, hosts=hosts, ignoring=ignoring)
        if more is None and not wider:
            return None
        found = found if more is None else _both(found, more)
        if len(found) > TRIGGERS_MAX:
            return EVERYTHING if wider else None
    return found


def whole_urls(group: Mapping[str, Any], hosts: Sequence[str]) -> Any_ | None:
    """Whole addresses, where a group names its paths and the value of its one parameter exactly; None: it does not."""
    paths, named = _several(group.get("path", ())), group.get("query", {})
    if len(named) != 1 or not paths or not all(path.startswith("=") for path in paths):
        return None
    ((name, wanted),) = named.items()
    values = [value.removeprefix("=") for value in _several(wanted)]
    starred = any("*" in value and not value.startswith("=") for value in _several(wanted))
    if starred or name not in group.get("queryOnly", (name,)):
        return None
    queries = [f"?{quote(name, safe='')}={quote(value, safe='')}" for value in values]
    addresses = [at + _sent(path[1:]) + query for at in _beginnings(hosts) for path in paths for query in queries]
    return [[url_part(URL, *addresses, whole=True)]] if len(addresses) <= TRIGGERS_MAX else None


def _beginnings(hosts: Sequence[str]) -> list[str]:
    both = [(host.removeprefix(DEVELOPMENT), host.startswith(DEVELOPMENT)) for host in hosts]
    return [f"{scheme}://{host}" for host, is_development in both for scheme in ("https", "http")[: 1 + is_development]]


def condition(kind: str, value: Any, *, wider: bool, hosts: Sequence[str], ignoring: bool) -> Any_ | None:
    """None: a connector cannot say it."""
    case = {"IsIgnoreCase": ignoring}
    match kind:
        case "host":
            made = _maker("UrlValidator", UrlPart=HOST, IsIgnoreCase=True)
            named = [host.removeprefix("=") for host in _several(value)] if wider else value
            return _texts(named, made, wider, inside=wider)  # what is sent may have a port
        case "url":
            found = _texts(value, _maker("UrlValidator", UrlPart=URL, **case), wider, inside=True)
            return [*found, [url_part(URL, *ENCODED)]] if found and wider else found
        case "userAgent":
            return _texts(value, _maker("UserAgentValidator", IsIgnoreCase=True), wider, inside=True)
        case "path":
            return _paths(value, wider=wider, hosts=hosts, case=case)
        case "header" | "cookie":
            return _named(kind, value, wider, case)
        case "queryOnly":
            return None if wider else [[without(url_part(URL, "?"))]]  # more than that could hide a second parameter
        case "query" if wider:
            return _query(value)
        case _:  # the method, and a query that must have a parameter, of which any text may be a part
            return None


def _several(value: Any) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _texts(value: Any, make: Make, wider: bool, *, inside: bool = False) -> Any_ | None:
    """Patterns of a text: whole ones by being equal, others by what is between their stars being there."""
    whole = [text.removeprefix("=") for text in _several(value) if text.startswith("=") or not (inside or "*" in text)]
    found: Any_ = [[make(whole, True)]] if whole else []
    for text in _several(value):
        if text.startswith("=") or not (inside or "*" in text):
            continue
        pieces = [piece for piece in text.split("*") if piece]
        if not pieces:  # any text at all
            found.append([without(make([""], True))])
        elif wider or (inside and len(pieces) == 1 and text.strip("*") == pieces[0]):
            found.append([make([piece], False) for piece in pieces])
    return found or None


def _paths(value: Any, *, wider: bool, hosts: Sequence[str], case: Mapping[str, Any]) -> Any_:
    """A path is compared as it was sent, percent signs and all."""
    found: Any_ = [[url_part(PATH, *ENCODED)]] if wider else []
    for pattern in _several(value):
        folder = _sent(pattern.rstrip("/"))
        if pattern.startswith("="):
            found.append([url_part(PATH, _sent(pattern[1:]), whole=True, **case)])
        elif wider:
            pieces = [_sent(piece) for piece in pattern.split("*") if piece] if "*" in pattern else [folder]
            found.append([url_part(PATH, piece, **case) for piece in pieces])
        elif "*" not in pattern:
            found.append([url_part(PATH, folder or "/", whole=True, **case)])
            found.append(_beginning_with(f"{folder}/", hosts, case))
        elif pattern.startswith("/") and pattern.index("*") == len(pattern) - 1:
            found.append(_beginning_with(_sent(pattern[:-1]), hosts, case))
    return found


def _beginning_with(path: str, hosts: Sequence[str], case: Mapping[str, Any]) -> list[Part]:
    """Of an address without a query, so that its beginning is no part of one."""
    beginnings = [f"://{host.removeprefix(DEVELOPMENT)}{path}" for host in hosts]
    return [url_part(URL, *beginnings, **case), without(url_part(URL, "?")), without(url_part(PATH, *UNCLEAR))]


def _sent(path: str) -> str:
    return quote(path, safe="/!$&'()*+,;=:@-._~")


def _named(kind: str, value: Mapping[str, Any], wider: bool, case: Mapping[str, Any]) -> Any_ | None:
    found = EVERYTHING
    for name, patterns in value.items():
        named = {"CookieName": name} if kind == "cookie" else {"HttpHeaderName": name}
        validator = "CookieValidator" if kind == "cookie" else "HttpHeaderValidator"
        more = _texts(patterns, _maker(validator, **case, **named), wider)
        if more is None:
            return None
        found = _both(found, more)
        if len(found) > TRIGGERS_MAX:
            return None
    return found


def _maker(validator: str, **more: Any) -> Make:
    return lambda texts, whole: part(validator, texts, whole=whole, **more)


def _query(value: Mapping[str, Any]) -> Any_:
    """That the names are somewhere in the address: a value may be written in more ways than one."""
    return [[url_part(URL, quote(name, safe=""), *ENCODED, IsIgnoreCase=True) for name in value]]

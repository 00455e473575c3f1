"""The first rule that fits decides; what cannot be judged needs a pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.connect.asked import COOKIES_MAX, PARAMETERS_MAX, VALUE_CHARS_MAX, Asked
from app.connect.rules import JSON_BYTES_MAX, PATTERNS_MAX, RULES_MAX, Action, Rules, RulesError

PASS_ALL = {"action": "pass"}


def asked(target: str = "/", method: str = "GET", host: str = "shop.example", **headers: str) -> Asked:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Asked.at(method, host, target, raw)


def decided(rule: dict[str, Any], *requests: Asked) -> list[bool]:
    """Whether the rule fits each of these."""
    rules = Rules([{"action": "refuse", **rule}])
    return [rules.first(request) == 0 for request in requests]


def test_the_first_rule_that_fits_decides_and_without_one_a_pass_is_needed() -> None:
    rules = Rules([{"action": "pass", "path": "/a/b"}, {"action": "refuse", "path": "/a"}, {"action": "pass"}])
    assert [rules.decide(asked(path)) for path in ("/a/b/c", "/a/c", "/c")] == ["pass", "refuse", "pass"]
    assert Rules().decide(asked()) is Action.queue


@pytest.mark.parametrize(
    ("rule", "fits", "fits_not"),
    [
        ({"path": "/buy"}, asked("/buy/1?x=1"), asked("/buyer")),
        ({"path": "/*/buy"}, asked("/en/buy"), asked("/en/buy/1")),
        ({"path": "=/buy"}, asked("/buy"), asked("/buy/1")),
        ({"path": ["/a", "/b"]}, asked("/b"), asked("/c")),
        ({"path": "/한"}, asked("/%ED%95%9C"), asked("/%ED%95")),
        ({"host": "shop.example"}, asked(host="SHOP.example.:8443"), asked(host="shop.example.evil")),
        ({"host": "*.example"}, asked(host="a.example"), asked(host="example")),
        ({"host": "shop.example:81"}, asked(host="shop.example:81"), asked(host="shop.example:82")),
        ({"method": ["post", "PUT"]}, asked(method="POST"), asked()),
        ({"query": {"step": "pay"}}, asked("/?a=1&step=x&step=p%61y"), asked("/?step=payed")),
        ({"query": {"step": "="}}, asked("/?step="), asked("/?step=1")),
        ({"query": {"a": "*", "b": "*"}}, asked("/?a=&b="), asked("/?a=")),
        ({"queryOnly": ["v"]}, asked("/?v=1"), asked("/?v=1&page=checkout")),
        ({"queryOnly": []}, asked("/"), asked("/?a")),
        ({"header": {"X-Kind": "app*"}}, asked(x_kind="app 1"), asked(x_kind="web app")),
        ({"cookie": {"beta": "1"}}, asked(cookie='a=2; beta="1"'), asked(cookie="beta=2")),
        ({"userAgent": "googlebot"}, asked(user_agent="Mozilla (Googlebot/2.1)"), asked(user_agent="Firefox")),
        ({"url": "https://shop.example/a?b=*"}, asked("/a?b=c"), asked("/a?c=c")),
        ({"path": "/Buy", "ignoreCase": True}, asked("/bUY"), asked("/by")),
        ({"path": "/buy"}, asked("/buy"), asked("/Buy")),
        ({"path": "/buy", "negate": True}, asked("/"), asked("/buy")),
        ({"header": {"x-a": "1"}, "negate": True}, asked(), asked(x_a="1")),
        ({"path": "/buy", "method": "POST"}, asked("/buy", "POST"), asked("/buy")),
        ({"path": "/a*", "also": [{"path": "*b"}]}, asked("/ab"), asked("/ac")),
        ({"path": "/a", "also": [{"userAgent": "bot", "negate": True}]}, asked("/a"), asked("/a", user_agent="a bot")),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "",
)
def test_a_condition_fits_what_it_says(rule: dict[str, Any], fits: Asked, fits_not: Asked) -> None:
    assert decided(rule, fits, fits_not) == [True, False]


def test_rules_of_different_depth_do_not_disturb_each_other() -> None:
    deep = {"action": "refuse", "path": "/x", "also": [{"method": "POST"}, {"negate": True, "query": {"ok": "*"}}]}
    rules = Rules([deep, {"action": "pass", "path": "/x"}])
    assert [rules.first(asked(target, "POST")) for target in ("/x", "/x?ok=", "/y")] == [0, 1, None]
    assert rules.first(asked("/x")) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../buy",
        "/assets/%2e%2e/buy",
        "/assets/..%2fbuy",
        "/assets/a#b",  # no browser sends it; nginx hands it on as it is
        "/assets/.",
        "/assets%5c..%5cbuy",
        "/assets\\buy",
        "/assets/%252e%252e/buy",
        "/assets/x;/../buy",
        "/assets%2fbuy",
        "/assets/%00",
        "/assets/%0d%0abuy",
        "/assets/%ff",
        "//assets/buy",  # to some a host and its path
        "///assets/buy",
        "/%2fassets/buy",
        "/assets/buy%3fa.css",
        "/assets/buy%23a.css",
    ],
)
def test_an_address_that_servers_read_in_different_ways_never_passes_by_a_rule(target: str) -> None:
    rules = Rules([{"action": "pass", "path": "/assets"}, PASS_ALL])
    assert rules.decide(asked("/assets/a.css")) is Action.let_pass
    assert rules.decide(asked(target)) is Action.queue


def test_an_address_with_a_fragment_is_the_one_without_to_some_servers_and_is_not_let_by() -> None:
    rules = Rules([{"action": "queue", "path": "/buy"}, PASS_ALL])
    assert [rules.decide(asked(target)) for target in ("/buy#", "/buy#a?b", "/b%75y#")] == ["queue"] * 3


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "a=1&%20a=2", "a=1&a[]=2", "a=1&a%00b=2", "a=1&A=2", "a[]=1", "b=1", "a.b=1", "a=1&a.b=2"]
)
def test_a_parameter_that_servers_read_in_different_ways_never_passes_by_a_rule(query: str) -> None:
    rules = Rules([{"action": "pass", "query": {"a": "1"}, "also": [{"negate": True, "query": {"a_b": "*"}}]}])
    assert rules.decide(asked("/?x=1&a=1&x=1")) is Action.let_pass
    assert rules.decide(asked(f"/?{query}")) is Action.queue


@pytest.mark.parametrize(
    "request_",
    [
        asked("/api", x_http_method_override="DELETE"),
        asked("/api", x_http_method="DELETE"),
        asked("/api", x_method_override="DELETE"),
        asked("/api?_method=DELETE"),
        asked("/api?a&_method[]=DELETE"),
    ],
)
def test_a_request_that_says_another_method_passes_by_no_rule_about_methods(request_: Asked) -> None:
    rules = Rules([{"action": "pass", "method": "GET", "path": "/api"}])
    assert rules.decide(asked("/api")) is Action.let_pass
    assert rules.decide(request_) is Action.queue
    negated = Rules([{"action": "pass", "also": [{"method": "DELETE", "negate": True}]}])
    assert negated.decide(request_) is Action.queue
    rest = Rules([{"action": "queue", "method": "DELETE"}, PASS_ALL])
    assert rest.decide(request_) is Action.queue, "it may be one for the rule before"
    assert Rules([PASS_ALL]).decide(request_) is Action.let_pass


@pytest.mark.parametrize("name", ["x_original_url", "x_rewrite_url"])
def test_a_request_that_says_another_address_passes_by_no_rule(name: str) -> None:
    for rules in (
        Rules([{"action": "pass", "path": "/assets"}]),
        Rules([{"action": "queue", "path": "/buy"}, PASS_ALL]),
    ):
        assert rules.decide(asked("/assets/a.css")) is Action.let_pass
        assert rules.decide(asked("/assets/a.css", **{name: "/buy"})) is Action.queue


def test_slashes_are_counted_once_and_letters_are_decoded() -> None:
    rules = Rules([{"action": "queue", "path": "/buy"}, PASS_ALL])
    assert [rules.decide(asked(target)) for target in ("//buy", "/%62uy", "/buy//1")] == ["queue"] * 3


@pytest.mark.parametrize(
    "request_",
    [
        asked("/" + "x" * VALUE_CHARS_MAX),
        asked("/?" + "x" * (VALUE_CHARS_MAX + 1)),
        asked("/?" + "&".join(f"x{n}" for n in range(PARAMETERS_MAX + 1))),
        asked(user_agent="x" * (VALUE_CHARS_MAX + 1)),
        asked(cookie=";".join("a=b" for _ in range(COOKIES_MAX + 1))),
        asked(host="x" * (VALUE_CHARS_MAX + 1)),
    ],
    ids=["path", "query", "parameters", "user agent", "cookies", "host"],
)
def test_what_is_too_long_to_be_judged_needs_a_pass(request_: Asked) -> None:
    rules = [{"action": "refuse", "query": {"a": "b"}}, {"action": "refuse", "cookie": {"c": "b"}}]
    assert Rules([*rules, {"action": "refuse", "userAgent": "x y"}, PASS_ALL]).decide(request_) is Action.queue


@pytest.mark.parametrize(
    ("objects", "at"),
    [
        ({}, "rules"),
        ([1], "rules[0]"),
        ([{}], "rules[0].action"),
        ([{"action": "let"}], "rules[0].action"),
        ([{"action": ["pass"]}], "rules[0].action"),
        ([PASS_ALL, {"action": "pass", "regex": ".*"}], "rules[1].regex"),
        ([{"action": "pass", "path": ""}], "rules[0].path"),
        ([{"action": "pass", "path": []}], "rules[0].path"),
        ([{"action": "pass", "path": [1]}], "rules[0].path"),
        ([{"action": "pass", "path": None}], "rules[0].path"),
        ([{"action": "pass", "path": "*a*a*a*a*a*a*a*a*a*"}], "rules[0].path"),
        ([{"action": "pass", "path": "/\r\n"}], "rules[0].path"),
        ([{"action": "pass", "query": {}}], "rules[0].query"),
        ([{"action": "pass", "query": "a"}], "rules[0].query"),
        ([{"action": "pass", "query": {"": "a"}}], "rules[0].query"),
        ([{"action": "pass", "query": {"a": 1}}], "rules[0].query.a"),
        ([{"action": "pass", "queryOnly": "v"}], "rules[0].queryOnly"),
        ([{"action": "pass", "negate": "yes"}], "rules[0].negate"),
        ([{"action": "pass", "also": {}}], "rules[0].also"),
        ([{"action": "pass", "also": [{}] * 8}], "rules[0].also"),
        ([{"action": "pass", "also": [{"action": "pass"}]}], "rules[0].also[0].action"),
        ([{"action": "pass", "also": [{"also": []}]}], "rules[0].also[0].also"),
        ([PASS_ALL] * (RULES_MAX + 1), "rules"),
        ([{"action": "pass", "path": ["/a"] * (PATTERNS_MAX + 1)}], "rules"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(objects: Any, at: str) -> None:
    with pytest.raises(RulesError) as refused:
        Rules(objects)
    assert refused.value.at == at


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff", b"[" + b" " * JSON_BYTES_MAX + b"]"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(RulesError):
        Rules.of_json(text)


def test_rules_are_given_back_as_they_came() -> None:
    objects = [{"action": "queue", "path": "/buy", "also": [{"method": "POST"}]}, PASS_ALL]
    assert Rules.of_json(json.dumps(objects)).objects == objects

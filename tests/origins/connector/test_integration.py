"""A configuration made of rules lets nobody by whom the rules would stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.connect.presets import PRESETS
from app.connect.rules import Action, Rules
from app.origins.connector.integration import GuardedRoom, Shop, integration_of, unsaid
from tests.origins.connector.evaluator import Seen, decided

SHOP = Shop(
    customer_id="acme",
    name="Acme",
    hosts=["shop.example", "shop.example:8443"],
    queue_domain="wait.example",
    version=7,
    published_at=datetime(2026, 12, 1, tzinfo=UTC),
)
KEYS = {
    "": ["Description", "Integrations", "CustomerId", "AccountId", "Version", "PublishDate", "ConfigDataVersion"],
    "Integrations": [
        *("Name", "ActionType", "EventId", "CookieDomain", "IsCookieHttpOnly", "IsCookieSecure", "LayoutName"),
        *("Culture", "ExtendCookieValidity", "CookieValidityMinute", "Triggers", "QueueDomain", "RedirectLogic"),
        *("ForcedTargetUrl", "InvolvedWaitingRoomIds", "QueuePathPrefix"),
    ],
    "Triggers": ["LogicalOperator", "TriggerParts"],
    "TriggerParts": [
        *("ValidatorType", "Operator", "ValueToCompare", "ValuesToCompare", "UrlPart", "CookieName"),
        *("HttpHeaderName", "IsNegative", "IsIgnoreCase"),
    ],
}


def config(*rules: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return integration_of(SHOP, [GuardedRoom(id="sale", pass_s=600, rules=rules)])


def of_all(rules: list[dict[str, Any]]) -> GuardedRoom:
    return GuardedRoom(id="sale", pass_s=600, rules=rules)


def action(made: dict[str, Any], url: str, **more: Any) -> str:
    return decided(made, Seen(f"https://shop.example{url}", **more))[0]


def test_every_key_is_there_with_its_true_type() -> None:
    def look(at: str, value: Any, types: dict[tuple[str, str], type]) -> None:
        for each in value if isinstance(value, list) else [value]:
            assert set(each) == set(KEYS[at])
            for key, inner in each.items():
                assert type(inner) is types.setdefault((at, key), type(inner))
                if key in KEYS:
                    look(key, inner, types)

    types: dict[tuple[str, str], type] = {}
    for rules in PRESETS.values():
        look("", config(*rules), types)
    assert types["", "Version"] is int
    assert types["Integrations", "IsCookieSecure"] is bool
    assert types["Integrations", "CookieValidityMinute"] is int


def test_without_rules_every_request_goes_to_the_room() -> None:
    made = config()
    assert [action(made, url) for url in ("", "/", "/a?b=c")] == ["Queue"] * 3
    assert decided(made, Seen("https://shop.example/"))[1] == "sale"
    assert made["Version"] == 7
    assert made["Integrations"][-1]["QueueDomain"] == "wait.example"
    assert made["Integrations"][-1]["CookieValidityMinute"] == 10


def test_what_passes_is_ignored_as_far_as_it_can_be_said_without_a_hole() -> None:
    made = config({"action": "pass", "path": ["=/healthz", "/hooks"]}, {"action": "pass", "path": "/a/*.css"})
    assert [action(made, url) for url in ("/healthz", "/healthz?a=1", "/hooks", "/hooks/pay")] == ["Ignore"] * 4
    assert made["Description"] == "Acme (not for connectors: sale rules[1])"
    through = ["/cart", "/hooksters", "/hooks/pay?a", "/cart?x=https://shop.example/hooks/", "/healthz/x", "/a/b.css"]
    through += ["/cart/https://shop.example/hooks/pay", "/hooks/../cart", "/hooks/%2e%2e/cart", "/hooks/..;/cart"]
    assert [action(made, url) for url in through] == ["Queue"] * len(through)


def test_a_beginning_and_a_whole_address_with_its_parameter_can_be_said() -> None:
    made = config(
        {"action": "pass", "path": "/assets/*"},
        {"action": "pass", "path": ["=/", "=/pay"], "query": {"step": ["=back", "done"]}, "queryOnly": ["step"]},
    )
    assert made["Description"] == "Acme"
    assert [action(made, url) for url in ("/assets/a/b.css", "/?step=back", "/pay?step=done")] == ["Ignore"] * 3
    through = ["/assets", "/x/assets/", "/assets/?a", "/assets/../buy", "/?step=backs", "/pay?step=done&step=no"]
    through += ["/buy?step=back", "/pay?x?step=back", "/?a://shop.example/?step=back"]
    assert [action(made, url) for url in through] == ["Queue"] * len(through)


def test_a_parameter_within_another_is_not_the_one_that_may_be_there() -> None:
    made = config({"action": "pass", "path": "=/", "queryOnly": ["v"]})
    assert [action(made, url) for url in ("/", "/?add-to-cart=5?v=", "/?v=1")] == ["Ignore", "Queue", "Queue"]


def test_what_cannot_be_said_is_named_with_its_reason() -> None:
    some = GuardedRoom(id="vip", pass_s=60, rules=[{"action": "pass", "path": "=/a"}, {"action": "pass"}])
    rules: list[dict[str, Any]] = [
        {"action": "pass", "method": "GET", "path": "=/a"},
        {"action": "pass", "path": ["=/b", "/a/*.css"]},
        {"action": "pass", "path": "/c", "queryOnly": ["v"]},
        {"action": "queue", "method": "POST", "query": {"x": "1"}},
        {"action": "refuse", "path": "/old"},
        {"action": "pass", "path": "=/d"},
        {"action": "pass", "path": "=/d", "query": {"x": "a*"}},
    ]
    found = [(each.room, each.rule, each.how.value, each.parts) for each in unsaid(SHOP.hosts, [some, of_all(rules)])]
    assert found == [
        ("vip", 0, "other_room", ()),
        ("sale", 0, "left_out", ("method",)),
        ("sale", 1, "in_part", ("path /a/*.css",)),
        ("sale", 2, "in_part", ("queryOnly v",)),
        ("sale", 3, "wider", ("method", "query")),
        ("sale", 4, "wider", ("refuse",)),
        ("sale", 6, "left_out", ("query",)),
    ]


def test_a_cookie_is_secure_but_at_a_host_for_development() -> None:
    hosts = ["shop.example", "http://localhost:3000"]
    made = integration_of(replace(SHOP, hosts=hosts), [of_all([{"action": "queue", "path": "/buy"}])])

    def secure(url: str) -> bool:
        """Of the integration that decides."""
        one_by_one = ({**made, "Integrations": [each]} for each in made["Integrations"])
        found: list[bool] = [
            one["Integrations"][0]["IsCookieSecure"] for one in one_by_one if decided(one, Seen(url))[0]
        ]
        return found[0]

    for path in ("/", "/buy", "/a%2Fb"):
        assert secure(f"https://shop.example{path}")
        assert not secure(f"http://localhost:3000{path}")
    assert secure("https://shop.example/buy?http://localhost:3000/")


def test_what_needs_a_pass_needs_it_however_it_is_written() -> None:
    made = config({"action": "queue", "path": "/sale"}, {"action": "pass"})
    assert [action(made, url) for url in ("/sale", "/sale/1?a", "/s%61le", "/sal%65/1")] == ["Queue"] * 4
    assert [action(made, url) for url in ("/", "/%EC%97%A0", "/about")] == [""] * 3


def test_a_rule_with_a_method_lets_nobody_by_as_connectors_do_not_see_it() -> None:
    made = config({"action": "pass", "method": "GET", "path": "=/a"})
    assert action(made, "/a") == "Queue"
    made = config({"action": "queue", "method": "POST", "path": "=/a"}, {"action": "pass"})
    assert action(made, "/a") == "Queue"


def test_other_conditions_are_said_as_they_are() -> None:
    made = config(
        {"action": "pass", "userAgent": "monitor"},
        {"action": "pass", "cookie": {"staff": "=yes"}, "host": "shop.example"},
        {"action": "pass", "header": {"X-Kind": ["a", "b"]}, "also": [{"path": "/cart", "negate": True}]},
        {"action": "refuse", "path": "/old"},
    )
    assert action(made, "/", headers={"user-agent": "A Monitor/1"}) == "Ignore"
    assert action(made, "/", cookies={"staff": "yes"}) == "Ignore"
    assert action(made, "/", cookies={"staff": "yess"}) == "Queue"
    assert action(made, "/", headers={"x-kind": "b"}) == "Ignore"
    assert action(made, "/cart/1", headers={"x-kind": "b"}) == "Queue"
    assert action(made, "/old") == "Queue"


def test_rooms_for_some_requests_come_before_the_one_for_all_others() -> None:
    some = GuardedRoom(id="zeta", pass_s=60, rules=[{"action": "queue", "path": "/vip"}, {"action": "pass"}])
    every = GuardedRoom(id="alpha", pass_s=60, rules=[{"action": "pass", "path": "=/ok"}])
    made = integration_of(SHOP, [every, some])
    assert decided(made, Seen("https://shop.example/vip")) == ("Queue", "zeta")
    assert decided(made, Seen("https://shop.example/b")) == ("Queue", "alpha")
    assert decided(made, Seen("https://shop.example/ok"))[0] == "Ignore"


texts = st.sampled_from(["/", "/a", "/a/b", "=/a", "/a/*", "*.css", "=/a/b.css", "/a*b", "*", "=/"])
words = st.sampled_from(["a", "=a", "a*", "*", "*b*", "=b"])
switches = st.fixed_dictionaries({}, optional={"negate": st.booleans(), "ignoreCase": st.booleans()})
conditions = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "POST"]),
        "host": st.sampled_from(["shop.example", "=shop.example", "*.example", "shop.example:8443"]),
        "path": texts | st.lists(texts, min_size=1, max_size=3),
        "url": st.sampled_from(["/a", "=https://shop.example/a", "example/a*b", "*"]),
        "query": st.dictionaries(st.sampled_from(["x", "y"]), words, min_size=1, max_size=2),
        "header": st.dictionaries(st.sampled_from(["X-A", "x-b"]), words, min_size=1, max_size=2),
        "cookie": st.dictionaries(st.sampled_from(["c", "d"]), words, min_size=1, max_size=2),
        "userAgent": words,
        "queryOnly": st.lists(st.sampled_from(["x", "v"]), max_size=2),
    },
)
groups = st.builds(lambda *parts: {key: value for part in parts for key, value in part.items()}, conditions, switches)
rules_made = st.lists(
    st.builds(
        lambda action, group, also: {"action": action, **group, **({"also": also} if also else {})},
        st.sampled_from(["queue", "pass", "refuse"]),
        groups,
        st.lists(groups, max_size=2),
    ),
    max_size=4,
)
bits = st.sampled_from(
    [
        "/",
        "a",
        "b",
        ".css",
        "/a/",
        "A",
        "%61",
        "%2F",
        "%3F",
        "..",
        "?",
        "x=",
        "&",
        "y",
        "=",
        "v=1",
        "://shop.example/a/",
        ";",
        "//",
    ]
)
requests_made = st.builds(
    Seen,
    st.builds(
        lambda host, path: f"https://{host}/{path}",
        st.sampled_from(["shop.example", "shop.example:8443", "SHOP.example", "other.example"]),
        st.lists(bits, max_size=6).map("".join),
    ),
    cookies=st.dictionaries(st.sampled_from(["c", "d"]), st.sampled_from(["a", "ab", "b"])),
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b", "user-agent"]), st.sampled_from(["a", "ab", "B"])),
    method=st.sampled_from(["GET", "POST"]),
)


@settings(max_examples=500)
@given(rules=rules_made, seen=requests_made)
def test_a_connector_lets_nobody_by_whom_the_rules_would_stop(rules: list[dict[str, Any]], seen: Seen) -> None:
    if decided(config(*rules), seen)[0] != "Queue":
        assert Rules(rules).decide(seen.asked) is Action.let_pass


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_stop_whoever_buys_and_most_of_what_passes_is_said(name: str) -> None:
    made = config(*PRESETS[name])
    for url in ("/", "/cart", "/checkout?x=/healthz", "/wp-login.php?add%2Dto-cart=5", "/assets/x.css?add-to-cart=1"):
        assert action(made, url) == "Queue"

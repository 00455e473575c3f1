"""A configuration that a shop had becomes rules that decide as its connector did, or more strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.connect.rules import Action, Rules
from app.origins.connector.imported import CONFIG_BYTES_MAX, ConfigError, Imported, rules_of
from tests.origins.connector.evaluator import Seen, decided


def part(where: str, comparison: str, *values: str, **more: Any) -> dict[str, Any]:
    """As shops' configurations have them: only what belongs to its kind."""
    compared: dict[str, Any] = {"ValuesToCompare": list(values), "ValueToCompare": None}
    if not comparison.endswith("Any"):
        compared = {"ValueToCompare": values[0]}
    kind: dict[str, Any] = {"ValidatorType": "UrlValidator", "UrlPart": where}
    match where.partition(" "):
        case "cookie", _, name:
            kind = {"ValidatorType": "CookieValidator", "CookieName": name}
        case "header", _, name:
            kind = {"ValidatorType": "HttpHeaderValidator", "HttpHeaderName": name}
        case "agent", _, _:
            kind = {"ValidatorType": "UserAgentValidator"}
    return {"Operator": comparison, "IsNegative": False, "IsIgnoreCase": False, **kind, **compared, **more}


def integration(action: str, *parts: dict[str, Any], event: str = "Sale", joint: str = "And") -> dict[str, Any]:
    triggers = [{"LogicalOperator": joint, "TriggerParts": list(parts)}]
    return {"Name": f"{action} {event}", "ActionType": action, "EventId": event, "Triggers": triggers}


def imported(*integrations: dict[str, Any]) -> Imported:
    config = {"Integrations": list(integrations), "Version": 3, "Unknown": {"x": 1}}
    return rules_of(json.dumps(config).encode(), "sale")


def action(rules: list[dict[str, Any]], url: str, **more: Any) -> Action:
    return Rules(rules).decide(Seen(f"https://shop.example{url}", **more).asked)


def test_what_was_queued_needs_a_pass_and_what_was_not_needs_none() -> None:
    made = imported(
        integration("Ignore", part("PagePath", "Equals", "/sale/help")),
        integration(
            "Queue", part("PagePath", "Contains", "/sale"), part("cookie staff", "Equals", "y", IsNegative=True)
        ),
        integration("Queue", part("PagePath", "Contains", "/vip"), event="vip"),
    )
    assert made.notes == []
    assert action(made.rules, "/sale/1") is Action.queue
    assert action(made.rules, "/x/sale") is Action.queue
    assert action(made.rules, "/sale/1", cookies={"staff": "y"}) is Action.let_pass
    for url in ("/sale/help", "/vip", "/", "/SALE"):
        assert action(made.rules, url) is Action.let_pass


def test_any_part_of_a_trigger_may_be_enough() -> None:
    made = imported(
        integration(
            "Queue",
            part("agent", "ContainsAny", "bot", "spider"),
            part("header X-Kind", "EqualsAny", "a", "b", IsIgnoreCase=True),
            joint="Or",
        )
    )
    assert action(made.rules, "/", headers={"user-agent": "A spider"}) is Action.queue
    assert action(made.rules, "/", headers={"x-kind": "B"}) is Action.queue
    assert action(made.rules, "/", headers={"x-kind": "c"}) is Action.let_pass


def test_a_path_is_compared_in_the_spelling_that_rules_have() -> None:
    made = imported(integration("Queue", part("PagePath", "Equals", "/%ED%91%9C")))
    assert action(made.rules, "/%ED%91%9C") is Action.queue


@pytest.mark.parametrize(
    "unsaid",
    [
        part("PagePath", "Matches", "/sale"),
        part("PagePath", "Contains", "/s*le"),
        part("PagePath", "EqualsAny"),
        part("PageUrl", "Contains", "%2Fsale"),
        part("cookie ", "Equals", "a"),
        part("cookie staff", "Equals", ""),
        {**part("agent", "Contains", "a"), "ValidatorType": "RequestBodyValidator"},
    ],
)
def test_what_no_rule_can_say_is_named_and_opens_nothing(unsaid: dict[str, Any]) -> None:
    made = imported(integration("Queue", unsaid), integration("Ignore", part("PagePath", "Equals", "/a")))
    assert action(made.rules, "/a") is Action.queue
    assert len(made.notes) == 1
    opened = imported(integration("Ignore", unsaid), integration("Queue", part("PageUrl", "Contains", "*")))
    assert action(opened.rules, "/sale") is Action.queue
    assert len(opened.notes) == 1


def test_a_star_fits_for_connectors_whether_it_is_negative_or_not() -> None:
    made = imported(integration("Queue", part("cookie c", "Contains", "*", IsNegative=True)))
    assert action(made.rules, "/") is action(made.rules, "/", cookies={"c": "a"}) is Action.queue


def test_an_end_of_a_visit_is_named_as_rules_have_none() -> None:
    made = imported(
        integration("Queue", part("PageUrl", "Contains", "*")), integration("Cancel", part("PagePath", "Equals", "/ok"))
    )
    assert "Tiketi-Visit" in made.notes[0].words


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Integrations": 1}',
        b'{"Integrations": []}',
        b'{"Integrations": [{"ActionType": "Queue", "EventId": "sale", "Triggers": {}}]}',
        b'{"Integrations": [' * 10_000,
        b" " * (CONFIG_BYTES_MAX + 1),
        json.dumps({"Integrations": [integration("Queue")] * 201}).encode(),
        json.dumps({"Integrations": [integration("Queue", event="other")]}).encode(),
        json.dumps({"Integrations": [integration("Queue"), integration("Block")]}).encode(),
        json.dumps({"Integrations": [integration("Queue", part("PagePath", "Equals", "a\n"))]}).encode(),
        json.dumps({"Integrations": [integration("Queue", part("PagePath", "Equals", "a" * 999))]}).encode(),
    ],
)
def test_everything_else_is_refused(config: bytes) -> None:
    with pytest.raises(ConfigError):
        rules_of(config, "sale")


values = st.sampled_from(["/", "/a", "a", "b", "https://shop.example/a", "shop.example", "*", ".css"])
parts = st.builds(
    lambda where, comparison, texts, negative, ignore: part(
        where, comparison, *texts, IsNegative=negative, IsIgnoreCase=ignore
    ),
    st.sampled_from(["PagePath", "PageUrl", "HostName", "cookie c", "header X-A", "agent"]),
    st.sampled_from(["Equals", "Contains", "EqualsAny", "ContainsAny"]),
    st.lists(values, min_size=1, max_size=2),
    st.booleans(),
    st.booleans(),
)
integrations = st.builds(
    lambda action, event, joint, made: integration(action, *made, event=event, joint=joint),
    st.sampled_from(["Queue", "Ignore", "Cancel"]),
    st.sampled_from(["sale", "other"]),
    st.sampled_from(["And", "Or"]),
    st.lists(parts, max_size=3),
)
requests = st.builds(
    Seen,
    st.builds(lambda path: f"https://shop.example/{path}", st.sampled_from(["", "a", "A", "a/b", "b.css", "a?a"])),
    cookies=st.dictionaries(st.just("c"), st.sampled_from(["a", "b", "/"])),
    # of a user agent, which anybody may name, rules never look at the case
    headers=st.fixed_dictionaries(
        {}, optional={"x-a": st.sampled_from(["a", "A", "b"]), "user-agent": st.sampled_from(["a", "b"])}
    ),
)


@settings(max_examples=300)
@given(made=st.lists(integrations, max_size=3), seen=requests)
def test_whom_the_connector_sent_to_this_room_needs_a_pass(made: list[dict[str, Any]], seen: Seen) -> None:
    made = [*made, integration("Queue", part("PageUrl", "Contains", "*"))]
    full = {"Integrations": json.loads(json.dumps(made))}
    for each in full["Integrations"]:
        for trigger in each["Triggers"]:
            for one in trigger["TriggerParts"]:
                for key in ("UrlPart", "CookieName", "HttpHeaderName", "ValueToCompare"):
                    one[key] = one.get(key) or ""
    if decided(full, seen) in (("Queue", "sale"), ("Queue", "Sale")):
        assert Rules(imported(*made).rules).decide(seen.asked) is Action.queue

"""The dashboard and the alert rules name only metrics and labels that the product tells, and leave none unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.metrics.catalogue import CATALOGUE, exposed

CONFIG = Path(__file__).parent.parent.parent / "config"
GIVEN_BY_PROMETHEUS = {"instance", "job", "le"}
SERIES = {series: name for name in CATALOGUE for series in exposed(name)}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((CONFIG / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONFIG / "grafana/dashboards/tiketi.json").read_text())
    return found


def panel_queries() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


QUERIES = [*((rule["alert"], rule["expr"]) for rule in alerts()), *panel_queries()]


def metrics_in(query: str) -> set[str]:
    """Every metric a PromQL query names; `up` is Prometheus's own."""
    return set(re.findall(r"\btiketi_\w+", query))


def labels_in(query: str) -> set[str]:
    matched = {
        label for matchers in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*[=!]", matchers)
    }
    grouped = {label.strip() for names in re.findall(r"\bby \(([^)]*)\)", query) for label in names.split(",")}
    return matched | grouped


@pytest.mark.parametrize(("what", "query"), QUERIES)
def test_a_query_names_only_what_the_product_tells(what: str, query: str) -> None:
    named = metrics_in(query)
    assert named or query == "up == 0"
    assert named <= SERIES.keys()
    told = {label for series in named for label in (*CATALOGUE[SERIES[series]].labels, "process")}
    assert labels_in(query) <= told | GIVEN_BY_PROMETHEUS
    assert query.count("(") == query.count(")")


@pytest.mark.parametrize(("what", "query"), QUERIES)
def test_counters_and_histograms_are_looked_at_as_rates(what: str, query: str) -> None:
    for series in metrics_in(query):
        if CATALOGUE[SERIES[series]].kind != "gauge":
            assert re.search(rf"(rate|increase)\({series}(\{{[^}}]*\}})?\[", query), f"{series} in {query}"


def test_what_every_process_sees_alike_is_never_added_up() -> None:
    """Each web process tells of the rooms and the stores when it has a port of its own."""
    for what, query in QUERIES:
        for series in metrics_in(query):
            if CATALOGUE[SERIES[series]].shared:
                summed = re.search(rf"(?<!max )sum( by \([^)]*\))? ?\((rate|increase)?\(?{series}\b", query)
                assert summed is None, f"{what}: {query}"


def test_every_metric_is_shown_or_watched() -> None:
    """What nobody looks at need not be told."""
    seen = {SERIES[series] for _, query in QUERIES for series in metrics_in(query)}
    assert CATALOGUE.keys() - seen == set(UNSEEN)


UNSEEN = {
    "tiketi_room_open": "for alerts of one's own: which rooms let people in",
    "tiketi_room_cursor": "for looking closely at one line",
}


def test_a_limit_warns_at_80_percent_and_is_critical_at_100() -> None:
    by_name: dict[str, dict[str, str]] = {}
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
        by_name.setdefault(rule["alert"], {})[rule["labels"]["severity"]] = rule["expr"]
    limits = {name: pair for name, pair in by_name.items() if len(pair) == 2}
    assert len(limits) >= 20
    for pair in limits.values():
        assert pair["warning"].removesuffix(" > 0.8") == pair["critical"].removesuffix(" >= 1")


def test_every_limit_an_operator_was_promised_has_its_alert() -> None:
    promised = {"RoomFull", "OldestWaitLong", "HoldsExpire", "RefundBacklog", "LaneBacklog", "NumbersShort"}
    promised |= {"StreamsFull", "SocketsFull", "DiskFull", "EventLoopLate", "RedisCannotWrite", "RedisMemory"}
    assert promised <= {rule["alert"] for rule in alerts()}


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_prometheus_and_grafana_find_each_other_s_files() -> None:
    for name in ("prometheus.yml", "local.yml"):
        prometheus = yaml.safe_load((CONFIG / "prometheus" / name).read_text())
        assert all((CONFIG / "prometheus" / rules).exists() for rules in prometheus["rule_files"])
    source = yaml.safe_load((CONFIG / "grafana/provisioning/datasources/prometheus.yml").read_text())
    uid = source["datasources"][0]["uid"]
    sources = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "datasource" in panel}
    assert sources == {uid}

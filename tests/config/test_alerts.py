"""The alert rules as Prometheus itself evaluates them: each fires at its limits and is quiet below them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.config.test_dashboards import CONFIG, alerts

PROMTOOL = shutil.which("promtool")
AMTOOL = shutil.which("amtool")
EVERY = "15s"
AT = "25m"  # longer than any window together with the time that its alert waits
SAMPLES = 110

Series = dict[str, str]  # a series → its values in promtool's notation


def always(**values: float) -> Series:
    """Gauges that stay as they are, of one process and one event."""
    return {f'tiketi_{name}{{process="web-1",instance="a",event_id="demo"}}': _level(v) for name, v in values.items()}


def counted(name: str, labels: str, per_s: float) -> Series:
    """A counter that grows."""
    return {f'tiketi_{name}{{process="web-1",event_id="demo",{labels}}}': f"0+{per_s * 15:g}x{SAMPLES}"}


def lasting(name: str, seconds: float, labels: str = "") -> Series:
    """A histogram all of whose values are a little below `seconds`."""
    bounds = {f"{0.98 * seconds:g}": 0, f"{seconds:g}": 150, "+Inf": 150}
    return {
        f'tiketi_{name}_bucket{{process="web-1",{labels}le="{bound}"}}': f"0+{count}x{SAMPLES}"
        for bound, count in bounds.items()
    }


def _level(value: float) -> str:
    return f"{value:.15g}x{SAMPLES}"


def full(used: str, limit: str, most: float = 100) -> tuple[Series, ...]:
    """A share of a limit that is told: at half of it, at nine tenths, above it."""
    return tuple(always(**{used: share * most, limit: most}) for share in (0.5, 0.9, 1.1))


def level(name: str, limit: float) -> tuple[Series, ...]:
    return tuple(always(**{name: share * limit}) for share in (0.5, 0.9, 1.1))


def slow(name: str, limit_s: float, labels: str = "") -> tuple[Series, ...]:
    return tuple(lasting(name, share * limit_s, labels) for share in (0.5, 0.9, 1.1))


def ratio(name: str, bad: str, good: str, limit: float) -> tuple[Series, ...]:
    """One kind of count against all: at half of the limit, at nine tenths, above it."""
    shares = (0.5 * limit, 0.9 * limit, 1.1 * limit)
    return tuple(counted(name, bad, 10 * s) | counted(name, good, 10 * (1 - s)) for s in shares)


def connector_clients(why: str, count: int) -> Series:
    """Clients whom a connector refused so: one at a web process, and as many as this at another."""
    counts = {"web-1": 1, "web-2": count}
    return {
        f'tiketi_connector_clients{{process="{process}",origin="acme",why="{why}"}}': _level(clients)
        for process, clients in counts.items()
    }


DISK = {"disk_bytes": 1e12}
MINE = "1800000000x70 1800000060x2 1800000120x2 1800000180x2 1800000240x33"  # began again four times within minutes
# alert → series with which it is quiet, warns and is critical; the last two are one where there is one severity
CASES: dict[str, tuple[Series, ...]] = {
    "RoomFull": tuple(always(room_admitted=n / 2, room_active=n / 2, room_capacity=100) for n in (50, 90, 100)),
    "OldestWaitLong": level("room_oldest_wait_seconds", 1800),
    "RedisForgot": tuple({'tiketi_room_generation{event_id="demo"}': values} for values in ("1x110", "1x85 2x25")),
    "NumbersShort": tuple(always(room_numbers_left=left) for left in (50_000, 5_000, 0)),
    "ConnectorSecretDiffers": tuple(connector_clients("secret_differs", count) for count in (1, 2)),
    "ConnectorClockDiffers": tuple(connector_clients("clock_differs", count) for count in (1, 2)),
    "JoinsPending": full("join_pending", "join_pending_max"),
    "DoorAsksMost": (
        counted("door", 'outcome="challenged"', 30) | counted("door", 'outcome="free"', 60),
        counted("door", 'outcome="challenged"', 30) | counted("door", 'outcome="free"', 20),
    ),
    "CaptchaAway": (counted("door", 'outcome="captcha"', 5), counted("door", 'outcome="captcha_away"', 0.1)),
    "OpenIdAway": tuple(counted("accounts", f'what="{what}"', 0.1) for what in ("login", "openid_away")),
    "DrawWithoutBeacon": tuple(counted("draws_without_beacon", "", n) for n in (0, 0.01)),
    "DoorPressed": (always(room_pressed=0), always(room_pressed=1)),
    "SolutionsRefused": (
        counted("door", 'outcome="solved"', 50) | counted("door", 'outcome="spent"', 1),
        counted("door", 'outcome="spent"', 3) | counted("door", 'outcome="solution_wrong"', 3),
    ),
    "LogInsFail": tuple(counted("accounts", 'what="login_failed"', n) for n in (1, 3)),
    "LogInsLocked": tuple(counted("accounts", 'what="login_locked"', n) for n in (0.5, 2)),
    "RegistrationsMany": tuple(counted("accounts", 'what="registered"', n) for n in (5, 20)),
    "StreamsFull": full("streams_open", "streams_max"),
    "ConnectionsFull": full("connections_open", "connections_max"),
    "ConnectionsRefused": (
        counted("connections_refused", 'why="full"', 50) | counted("connections_refused", 'why="slow"', 1),
        counted("connections_refused", 'why="slow"', 10),
    ),
    "SocketsFull": full("sockets_open", "sockets_max"),
    "ForecastsLate": ratio("eta_forecasts", 'verdict="late"', 'verdict="within"', 0.25),
    "TicksLate": slow("tick_late_seconds", 0.5),
    "TicksFail": tuple(counted("ticks_failed", "", n) for n in (0.05, 1)),
    "LaneBacklog": full("lane_backlog", "lane_backlog_max"),
    "LaneSlow": slow("lane_wait_seconds", 2.5),
    "HoldsExpire": tuple(
        counted("lane_outcomes", 'status="expired"', share) | counted("lane_outcomes", 'status="held"', 1)
        for share in (0.2, 0.45, 0.6)
    ),
    "HoldsReleasedLate": slow("hold_release_seconds", 1),
    "LaneBusy": (counted("lane_busy", "", 0), counted("lane_busy", "", 0.1)),
    "LaneCommandsDropped": tuple(counted("lane_commands_dropped", "", n) for n in (0, 0.1)),
    "RefundBacklog": level("refunds_due", 100),
    "RefundsFail": (always(refunds_failing=0), always(refunds_failing=1)),
    "WebhooksNotUnderstood": tuple(
        counted("refusals", f'code="{code}"', 0.1) for code in ("payment_declined", "webhook_not_understood")
    ),
    "ServerErrors": ratio("request_seconds_count", 'status="503"', 'status="200"', 0.01),
    "RequestsSlow": slow("request_seconds", 0.5, 'route="/api/events",'),
    "EventLoopLate": level("event_loop_worst_seconds", 0.5),
    "CacheMisses": tuple(
        counted("cache_hits", "", 10 * s) | counted("cache_misses", "", 10 - 10 * s) for s in (0.9, 0.5)
    ),
    "RedisSlow": slow("redis_ping_seconds", 0.1),
    "RedisMemory": tuple(always(redis_memory_bytes=n, redis_memory_max_bytes=1000) for n in (450, 810, 950)),
    "RedisClients": full("redis_clients", "redis_clients_max"),
    "DiskFull": tuple(always(disk_free_bytes=free, **DISK) for free in (5e11, 1e11, 5e7)),
    "SqlPoolFull": full("sql_pool_used", "sql_pool_max"),
    "SqlSlow": slow("sql_transaction_seconds", 1, 'kind="write",'),
    "RedisDown": (always(redis_up=1), always(redis_up=0)),
    "RedisCannotWrite": (always(redis_aof_ok=1), always(redis_aof_ok=0)),
    "RedisRewritesLong": (always(redis_aof_rewriting=0), always(redis_aof_rewriting=1)),
    "DatabaseDown": (always(sql_up=1), always(sql_up=0)),
    "OpenFiles": full("process_open_fds", "process_max_fds"),
    "NoWorker": (always(workers_seen=1), always(workers_seen=0)),
    "StatusProblem": tuple({f'tiketi_problem{{code="{code}"}}': _level(1)} for code in ("disk_short", "keys_differ")),
    "ProcessGone": ({"up": _level(1)}, {"up": _level(0)}),
    "ProcessRestarts": (
        always(process_start_time_seconds=1_800_000_000),
        {'tiketi_process_start_time_seconds{process="web-1"}': MINE},
    ),
    "ClockWrong": (always(clock_off_seconds=-0.9), always(clock_off_seconds=-1.1)),
    "LogLinesDropped": (counted("log_lines_dropped", "", 0), counted("log_lines_dropped", "", 1)),
}


def severities(alert: str) -> list[str]:
    return sorted((rule["labels"]["severity"] for rule in alerts() if rule["alert"] == alert), reverse=True)


def counters_named(series: Series) -> Series:
    """With the ending that Prometheus's format gives counters."""
    return {
        name
        if "_bucket{" in name or "_count{" in name or "0+" not in values
        else name.replace("{", "_total{", 1): values
        for name, values in series.items()
    }


def as_test(alert: str, series: Series, firing: list[str]) -> dict[str, object]:
    named = {
        name.replace("_count_total{", "_count{").replace(",}", "}"): at for name, at in counters_named(series).items()
    }
    asked = f'max by (severity) (ALERTS{{alertname="{alert}", alertstate="firing"}})'
    told = [{"labels": f'{{severity="{each}"}}', "value": 1} for each in firing]
    return {
        "name": f"{alert}: {' and '.join(firing) or 'quiet'}",
        "interval": EVERY,
        "input_series": [{"series": name, "values": values} for name, values in named.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": AT, "exp_samples": told}],
    }


def test_every_alert_is_tried() -> None:
    assert {rule["alert"] for rule in alerts()} == CASES.keys()


@pytest.mark.slow  # promtool computes for some seconds
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_every_alert_fires_at_its_limits_and_not_before(tmp_path: Path) -> None:
    files = []
    for alert, cases in CASES.items():
        rules = [rule for rule in alerts() if rule["alert"] == alert]
        (tmp_path / f"{alert}.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": rules}]}))
        tests = [as_test(alert, series, severities(alert)[:count]) for count, series in enumerate(cases)]
        content = {"rule_files": [f"{alert}.rules.yml"], "evaluation_interval": "1m", "tests": tests}
        files.append(tmp_path / f"{alert}.yml")
        files[-1].write_text(yaml.safe_dump(content))
    assert PROMTOOL
    command = [PROMTOOL, "test", "rules", *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("name", ["prometheus.yml", "local.yml"])
def test_prometheus_takes_its_configuration(name: str) -> None:
    assert PROMTOOL
    command = [PROMTOOL, "check", "config", str(CONFIG / "prometheus" / name)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed (Debian: prometheus-alertmanager)")
def test_alertmanager_takes_its_configuration() -> None:
    assert AMTOOL
    command = [AMTOOL, "check-config", str(CONFIG / "prometheus/alertmanager.yml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_has_a_receiver_who_is_told() -> None:
    config = yaml.safe_load((CONFIG / "prometheus/alertmanager.yml").read_text())
    assert config["route"]["receiver"] in {each["name"] for each in config["receivers"]}
    for name, host in (("prometheus.yml", "alertmanager"), ("local.yml", "127.0.0.1")):
        told = yaml.safe_load((CONFIG / "prometheus" / name).read_text())["alerting"]["alertmanagers"]
        assert told == [{"static_configs": [{"targets": [f"{host}:9093"]}]}]

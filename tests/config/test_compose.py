"""compose.yaml, the Dockerfile and nginx's configuration name only what exists, and open nothing to strangers.

There need not be a container engine here: everything named is looked up in the product itself.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli import make_parser
from app.http.ops import health
from config.settings import Settings, load, variable
from loadtest.options import read
from tests.nginx import NGINX, why_no_nginx, written

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "tiketi"]
SWARM_VARIABLES = {"HOST", "USERS", "DURATION", "EVENT"}
RUN_ONCE = ("seed", "swarm")


def plain(text: str) -> str:
    """The text as it is when nobody set a variable."""
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "", text)


def environment(name: str) -> dict[str, str]:
    return {key: plain(str(value)) for key, value in SERVICES[name]["environment"].items()}


@pytest.mark.parametrize("name", OURS)
def test_every_process_is_started_by_a_command_there_is(name: str) -> None:
    program, *arguments = shlex.split(SERVICES[name]["command"])
    if program == "tiketi":
        assert isinstance(make_parser().parse_args(arguments), argparse.Namespace)
    else:
        assert (program, arguments) == ("python", ["-m", "loadtest"])
        assert (ROOT / "loadtest" / "__main__.py").is_file()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_given_to_a_process_is_a_setting_it_takes(name: str) -> None:
    known = {variable(field.name) for field in fields(Settings)}
    given = environment(name)
    extra = SWARM_VARIABLES if name == "swarm" else set()
    assert given.keys() - known - extra == set()
    settings = load({key: value for key, value in given.items() if key not in extra})
    assert settings.database_url.startswith("postgresql://")
    assert not settings.embedded_redis
    if name == "swarm":
        assert read(given).host == f"http://nginx:{listened()}"


def test_whoever_is_called_is_a_service_on_the_port_it_has() -> None:
    ports = {"redis": 6379, "postgres": 5432, "nginx": listened(), "web": Settings().port}
    given = environment("web")
    called = re.findall(r"(?:@|//)(\w+):(\d+)", " ".join([*given.values(), upstream()]))
    called += re.findall(r"server (\w+):(\d+)", upstream())
    assert {name for name, _ in called} == ports.keys()
    assert {(name, int(port)) for name, port in called} == set(ports.items())


def test_what_asks_after_health_asks_where_it_is_told() -> None:
    paths = {route.path for route in health.routes}
    metrics_port = int(environment("worker")["TIKETI_METRICS_PORT"])
    ports = {"web": Settings().port, "worker": metrics_port, "nginx": listened()}
    for name, port in ports.items():
        asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", SERVICES[name]["healthcheck"]["test"])
        assert asked is not None
        assert (int(asked[1]), asked[2] in paths) == (port, True), name
    assert environment("worker")["TIKETI_METRICS_HOST"] == "0.0.0.0"


def test_prometheus_asks_where_the_processes_tell_their_numbers() -> None:
    config = yaml.safe_load((ROOT / "config/prometheus/prometheus.yml").read_text())
    (asked,) = config["scrape_configs"][0]["dns_sd_configs"]
    assert sorted(asked["names"]) == ["web", "worker"]
    for name in asked["names"]:
        assert int(environment(name)["TIKETI_METRICS_PORT"]) == asked["port"]
    mounted = SERVICES["prometheus"]["volumes"][0].split(":")
    assert (mounted[0], mounted[1] + "/prometheus.yml" in str(SERVICES["prometheus"]["command"])) == (
        "./config/prometheus",
        True,
    )
    assert all((ROOT / "config/prometheus" / rules).is_file() for rules in config["rule_files"])


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    assert environment("grafana")["PROMETHEUS_URL"] == "http://prometheus:9090"
    folder = ROOT / "config/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/tiketi.yml").read_text())["providers"]
    assert source["url"] == "${PROMETHEUS_URL}"
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./config/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./config/grafana/provisioning"] == "/etc/grafana/provisioning"


def test_every_file_and_folder_named_is_there() -> None:
    named = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [plain(secret["file"]) for secret in COMPOSE["secrets"].values()]
    here = [name for name in (*named, *files) if name.startswith("./")]
    assert here
    assert [name for name in here if not (ROOT / name).exists()] == []
    assert {name for name in named if not name.startswith("./")} == COMPOSE["volumes"].keys()


def test_nothing_can_be_reached_but_from_this_machine() -> None:
    opened = {name: [plain(port) for port in service.get("ports", [])] for name, service in SERVICES.items()}
    assert {name for name, ports in opened.items() if ports} <= {"nginx", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in opened.values() for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    inside = [name for name, service in SERVICES.items() if service["networks"] == ["inside"]]
    assert set(OURS) | {"redis", "postgres"} <= set(inside)


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_has_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in RUN_ONCE or "healthcheck" in service
    assert (service["restart"] == "no") == (name in RUN_ONCE)


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_takes_all_memory_or_fills_the_disk_with_its_log(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+m", plain(service["mem_limit"]))
    assert service["pids_limit"] > 0
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_the_database_is_not_taken_for_ready_while_it_is_being_made() -> None:
    """The image's own server, which is there only for that, listens on a socket and not on a port."""
    assert "--host=127.0.0.1" in SERVICES["postgres"]["healthcheck"]["test"]


def test_redis_may_use_two_thirds_of_its_container() -> None:
    assert (plain(SERVICES["redis"]["environment"]["MAXMEMORY"]), plain(SERVICES["redis"]["mem_limit"])) == (
        "1gb",
        "1536m",
    )


def test_there_are_two_of_what_may_die() -> None:
    assert all(SERVICES[name]["deploy"]["replicas"] == 2 for name in ("web", "worker"))
    connections = re.search(r"max_connections=(\d+)", SERVICES["postgres"]["command"])
    assert connections is not None
    assert int(connections[1]) >= 6 * (Settings().database_connections_max + 4)


def test_no_password_stands_in_a_variable() -> None:
    for name in SERVICES:
        for key in SERVICES[name].get("environment", {}):
            assert "PASSWORD" not in key or key.endswith("_FILE"), key
    assert "password" not in environment("web")["DATABASE_URL"]


def test_the_image_holds_what_it_copies_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert all(f"!{name}" in ignored for name in copied)
    after_user = lines[lines.index("USER tiketi") :]
    assert not [line for line in after_user if line.startswith(("RUN", "COPY", "USER root"))]
    assert sum(line.startswith("FROM") for line in lines) == 2
    assert any("-c constraints.txt" in line for line in lines)


def listened() -> int:
    found = re.search(r"^ *listen (\d+)", (NGINX / "nginx.conf").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def upstream() -> str:
    return (ROOT / "config/compose/upstream.conf").read_text()


def test_nginx_finds_the_containers_in_the_place_of_a_list() -> None:
    assert "./config/compose/upstream.conf:/etc/tiketi/upstream.conf:ro" in SERVICES["nginx"]["volumes"]
    assert (NGINX / "upstream.conf").is_file(), "there must be a file for the other to stand in the place of"


@pytest.mark.skipif(why_no_nginx() != "", reason=why_no_nginx())
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """As it is shipped, also an nginx as old as that of Debian 12."""
    conf = written(tmp_path, port=0)
    said = subprocess.run([shutil.which("nginx") or "", "-t", "-c", conf], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr

"""Real proxies before a site that says what it was sent, each with the snippet that an admin is shown."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.waiting import wait_until

NGINX = """
{user}pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{snippet}
}}
"""
CADDY = "{{\n\tadmin off\n\tauto_https off\n}}\n{snippet}"
HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
frontend shop
    bind 127.0.0.1:{port}
{snippet}
"""
TRAEFIK = """
log: {{level: ERROR}}
entryPoints: {{shop: {{address: "127.0.0.1:{port}"}}}}
providers: {{file: {{filename: {folder}/dynamic.yaml, watch: false}}}}
"""
FILES = {"nginx": NGINX, "caddy": CADDY, "haproxy": HAPROXY, "traefik": TRAEFIK}
ENVOY = "type.googleapis.com/envoy.extensions.filters"


def tool_of(name: str) -> str | None:
    """Where it is: on PATH, or beside this Python, where packages put theirs."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def why_no(name: str) -> str:
    """Why it cannot be run here, or nothing."""
    return "" if tool_of(name) else f"there is no {name} on PATH"


def written(name: str, folder: Path, port: int, snippet: str, behind: int = 0) -> Path:
    """The whole configuration around a snippet. `behind`: the site's port, where the snippet does not say it."""
    file = folder / ("proxy.yaml" if name in ("envoy", "traefik") else "proxy.conf")
    if name == "envoy":
        file.write_text(yaml.safe_dump(_around_envoy(yaml.safe_load(snippet), port, behind)))
        return file
    if name == "traefik":
        (folder / "dynamic.yaml").write_text(snippet)
    user = "user root;\n" if os.geteuid() == 0 else ""
    file.write_text(FILES[name].format(folder=folder, port=port, snippet=snippet, user=user))
    return file


def _around_envoy(snippet: dict[str, Any], port: int, behind: int) -> dict[str, Any]:
    """A listener with the filters of the snippet before the router, and the site beside its clusters."""

    def address(of: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": of}}

    router = {"name": "router", "typed_config": {"@type": f"{ENVOY}.http.router.v3.Router"}}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "site"}}]
    manager = {
        "@type": f"{ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "shop",
        "use_remote_address": True,
        "http_filters": [*snippet["http_filters"], router],
        "route_config": {"virtual_hosts": [{"name": "shop", "domains": ["*"], "routes": routes}]},
    }
    filters = [{"name": "http", "typed_config": manager}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(behind)}}]}]
    site = {"name": "site", "type": "STATIC", "load_assignment": {"cluster_name": "site", "endpoints": endpoints}}
    listener = {"name": "shop", "address": address(port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [*snippet["clusters"], site]}}


def _command(name: str, file: Path) -> list[str]:
    tool = tool_of(name) or name
    match name:
        case "envoy":
            return [tool, "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
        case "traefik":
            return [tool, f"--configFile={file}"]
        case "nginx":
            return [tool, "-c", str(file), "-g", "daemon off;"]
        case "caddy":
            return [tool, "run", "--adapter", "caddyfile", "--config", str(file)]
        case _:
            return [tool, "-db", "-f", str(file)]


@asynccontextmanager
async def running(name: str, file: Path, port: int, environ: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """The proxy with this configuration, which says the port."""
    own = {"XDG_DATA_HOME": str(file.parent), "XDG_CONFIG_HOME": str(file.parent), "HOME": str(file.parent)}
    with (file.parent / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *_command(name, file), env={**os.environ, **own, **(environ or {})}, stdout=said, stderr=said
        )

    async def answers() -> bool:
        assert process.returncode is None, (file.parent / "said").read_text()
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" if name == "traefik" else b""
            )
            said = await reader.readline() if name == "traefik" else b""
            writer.close()
            return b" 404 " not in said  # so Traefik answers that has not read its file yet
        return False

    try:
        await wait_until(answers, description=f"{name} listens")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def site() -> AsyncIterator[int]:
    """The port of a site that answers each request with its head, and for `/missing` says that there is none."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # a health check that only connects
            head = await reader.readuntil(b"\r\n\r\n")
            body = json.dumps(head.decode("latin-1").splitlines()).encode()
            status = b"404 Not Found" if b" /missing" in head else b"200 OK"
            said = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            writer.write(said % (status, len(body), body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def sent(lines: list[str]) -> dict[str, str]:
    """The headers that the site was sent, from its answer."""
    pairs = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines[1:] if line]
    return {name.lower(): value for name, value in pairs}

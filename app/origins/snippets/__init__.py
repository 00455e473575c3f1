"""What an origin's operator puts into their proxy or site, filled in for one of its rooms.

Each is a template beside this module. The pages and the API show, and the tests that run nginx, Caddy and HAProxy use,
what `render` answers: there is no other text of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.domain.targets import DEVELOPMENT

UPSTREAM = r"^https?://[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[1-9][0-9]{0,4})?$"
UPSTREAM_USUAL = "http://127.0.0.1:3000"
CONNECTOR = "connector"  # of a site that connectors know by a name


class Fail(StrEnum):
    """What becomes of visitors while Tiketi does not answer."""

    closed = "closed"
    open = "open"


@dataclass(frozen=True, slots=True)
class Kind:
    """A file, by the name under which it is asked for. `can_open`: it can let everybody in while Tiketi is away."""

    name: str
    file: str
    can_open: bool = True


KINDS = (
    Kind("nginx", "nginx.conf"),
    Kind("caddy", "Caddyfile"),
    Kind("haproxy", "haproxy.cfg"),
    Kind("envoy", "envoy.yaml"),
    Kind("traefik", "traefik.yaml", can_open=False),
    Kind("gateway", "gateway.yaml", can_open=False),
    Kind("asgi", "asgi.py"),
    Kind("wsgi", "wsgi.py"),
    Kind("html", "plain.html", can_open=False),
    Kind("thanks", "thanks.html", can_open=False),
    Kind(CONNECTOR, "connector.env", can_open=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`tiketi`: where visitors reach us, without a slash at its end. `host`: as the origin says it. `upstream`: where
    its proxy finds the site itself. `customer`: what connectors call it, if they do. All of them are addresses and
    names that were checked: nothing in them ends a line."""

    tiketi: str
    host: str
    room: str
    name: str
    target: str
    upstream: str = UPSTREAM_USUAL
    customer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """`fail`: None where nothing can be chosen."""

    name: str
    file: str
    fail: Fail | None
    text: str


def render(kind: Kind, site: Site, fail: Fail) -> str:
    """The text of one file for this site."""
    tiketi, upstream = urlsplit(site.tiketi), urlsplit(site.upstream)
    port = tiketi.port or (443 if tiketi.scheme == "https" else 80)
    scheme = "http" if site.host.startswith(DEVELOPMENT) else "https"
    name, _, own_port = site.host.removeprefix(DEVELOPMENT).partition(":")
    values = {
        "tiketi": site.tiketi,
        "tiketi_scheme": tiketi.scheme,
        "tiketi_host": tiketi.netloc,
        "tiketi_name": tiketi.hostname,
        "tiketi_port": port,
        "tiketi_address": f"{tiketi.hostname}:{port}",
        "room": site.room,
        "host": site.host,
        "host_name": name,
        "port": own_port or (443 if scheme == "https" else 80),
        "scheme": scheme,
        "upstream": site.upstream,
        "upstream_address": f"{upstream.hostname}:{upstream.port or (443 if upstream.scheme == 'https' else 80)}",
        "target": site.target,
        "name": site.name,
        "fail": fail.value,
        "customer": site.customer,
    }
    return _templates(kind.file.endswith(".html")).get_template(f"{kind.file}.j2").render(values)


def snippets(site: Site) -> Iterator[Snippet]:
    """All of them, those that can be chosen in both ways."""
    for kind in KINDS:
        if kind.name == CONNECTOR and site.customer is None:
            continue
        for fail in Fail if kind.can_open else (Fail.closed,):
            text = render(kind, site, fail)
            yield Snippet(name=kind.name, file=kind.file, fail=fail if kind.can_open else None, text=text)


@cache
def _templates(is_html: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=is_html,  # noqa: S701  # the others are no HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )

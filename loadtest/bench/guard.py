"""What `tiketi guard` costs a site, beside nginx: small answers of the same site through either, one core each way.

Who may go on costs both nothing here: rules let everything pass. There is no bar: the docs say that nginx is for sites
that need more, and this says how much more.
"""

from __future__ import annotations

import json

from loadtest.bench.client import Address
from loadtest.bench.processes import compared, nginx, scratch
from loadtest.bench.report import Row, Say
from loadtest.bench.rounds import CONNECTIONS, Contender, compare

PATH = "/bare"
PROXY = """
  upstream site {{ server {site}; keepalive 64; }}
  server {{
    listen {own};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://site; }}
  }}
"""
TIME = "the processor time for each"
ANSWER = {"text": "x" * 1_000}


def measure(say: Say) -> list[Row]:
    with scratch() as settings, compared(settings, "bare", "--answer", json.dumps(ANSWER)) as site:
        host, port = site.address
        with (
            compared(settings, "guarded", "--site", f"http://{host}:{port}") as guard,
            nginx(settings, lambda own: PROXY.format(site=f"{host}:{port}", own=f"{own[0]}:{own[1]}")) as beside,
        ):
            ways = {"nginx": beside, "guard": guard, "site": site}
            contenders = {name: Contender(web, _requests(web.address)) for name, web in ways.items()}
            speeds = compare(contenders, say)
    guarded, by_nginx = speeds["guard"], speeds["nginx"]
    return [
        speeds["site"].row("a site, 1 kB answers, asked itself"),
        by_nginx.row("  through nginx"),
        guarded.row("  through tiketi guard"),
        Row(what="  tiketi guard against nginx", value=guarded.cpu_us / by_nginx.cpu_us, unit="×", note=TIME),
    ]


def _requests(address: Address) -> list[list[bytes]]:
    asked = f"GET {PATH} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n\r\n".encode()
    return [[asked]] * CONNECTIONS

"""Where a visitor may be sent: addresses at the hosts of an origin and nowhere else. Pure.

An address is taken only if every reader of it agrees on its host: printable ASCII without what browsers, proxies and
parsers read in different ways (a backslash, a user name, a host in other scripts). A host is written `shop.example`,
with `:port` where it is not the usual one, and is reached by https; written `http://localhost:3000` it is marked for
development and reached by http as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit

URL_CHARS_MAX = 2_000
QUOTED_CHARS_MAX = 2_500  # of an address within another: nginx takes 4 KiB of headers for an answer, and else none
PASS_PART = "tiketi_pass"  # noqa: S105 - a name, not a secret
HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){0,9}[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?::[1-9][0-9]{0,4})?"
HOST_ENTRY = rf"^(?:http://)?{HOST}$"
DEVELOPMENT = "http://"
FRAME_ANCESTOR = rf"^(?:https://{HOST}|http://(?:localhost|127\.0\.0\.1)(?::[1-9][0-9]{{0,4}})?)$"
_URL = re.compile(
    rf"(https?)://({HOST})((?:[/?#][!#-;=?-\[\]_a-z~]*)?)", re.ASCII | re.IGNORECASE
)  # no " < > ^ ` \ { | }
_USUAL_PORT = {"https": ":443", "http": ":80"}


def safe_target(url: str, hosts: Collection[str]) -> str | None:
    """The address as it may be sent to a browser, if it is at one of the hosts; None for everything else."""
    if len(url) > URL_CHARS_MAX:
        return None
    parts = _URL.fullmatch(url)
    if parts is None:
        return None
    scheme, host, rest = parts[1].lower(), parts[2].lower(), parts[3]
    host = host.removesuffix(_USUAL_PORT[scheme])
    is_development = f"{DEVELOPMENT}{host}" in hosts
    if not is_development and (scheme != "https" or host not in hosts):
        return None
    return f"{scheme}://{host}{rest if rest.startswith('/') else '/' + rest}"


def quoted(url: str | None) -> str | None:
    """The address as a part of the query of another one, unless it is too long for that."""
    text = None if url is None else quote(url, safe="")
    return None if text is None or len(text) > QUOTED_CHARS_MAX else text


def origin_of(url: str) -> str:
    """Scheme and host of an address that `safe_target` took."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def frame_ancestor(origin: str) -> str:
    """As browsers name it: without its usual port."""
    return origin.removesuffix(_USUAL_PORT[origin.partition(":")[0]])


def with_pass(url: str, token: str) -> str:
    """The address with the pass in its query, in place of any that was there; the rest stays as it is."""
    return with_part(url, PASS_PART, token)


def without_pass(url: str) -> tuple[str | None, str]:
    """The pass in the query of an address, if one is there, and the address without it."""
    return without_part(url, PASS_PART)


def with_part(url: str, name: str, value: str) -> str:
    """The address with this part in its query, in place of any of that name; the rest stays as it is."""
    _, bare = without_part(url, name)
    before, mark, fragment = bare.partition("#")
    joint = "&" if "?" in before else "?"
    return f"{before}{joint}{name}={value}{mark}{fragment}"


def without_part(url: str, name: str) -> tuple[str | None, str]:
    """What a part of the query says, if one of that name is there, and the address without it."""
    if name not in url:
        return None, url
    before, mark, fragment = url.partition("#")
    path, question, query = before.partition("?")
    parts = query.split("&") if question else []
    found = [part for part in parts if part.partition("=")[0] == name]
    if not found:
        return None, url
    kept = "&".join(part for part in parts if part.partition("=")[0] != name)
    return found[0].partition("=")[2], f"{path}{'?' + kept if kept else ''}{mark}{fragment}"

"""Turns templates and plain values into HTML answers.

Every value is escaped and every name must exist. The language, the static path and the script's data block are added
here, so no page can forget them; the security headers are added to every HTML answer by app/http/hot/front.py. A
template is named by its capability and file: `line/wait.html` is app/http/line/templates/wait.html.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.http.kit.brand import brand_of
from app.http.kit.compression import PACKED_FROM_BYTES, takes_gzip
from app.http.kit.cookies import set_cookie
from app.http.kit.csrf import csrf_field, form_cookies, forms_for
from app.http.kit.headers import content_security_policy
from app.http.kit.i18n import LANG_COOKIE, LANGS, TEXTS, TEXTS_OF_SITES, Lang, Texts, texts_for
from app.http.kit.menu import menu_of
from app.http.kit.static_files import STATIC_URL

LANG_COOKIE_S = 365 * 24 * 3600
GZIP_LEVEL = 1  # of a page of 20 kB a millisecond, for a quarter of its bytes

HTTP = Path(__file__).parent.parent

_templates = Environment(
    loader=PrefixLoader({path.parent.name: FileSystemLoader(path) for path in HTTP.glob("*/templates")}),
    autoescape=True,
    auto_reload=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def unbroken(title: str) -> str:
    """A title whose opening `<` stays with the word after it: browsers break there though Korean words are kept."""
    return title.replace("<", "<\N{WORD JOINER}")


_templates.filters["unbroken"] = unbroken


def page(
    request: Request[Any],
    template: str,
    context: Mapping[str, Any],
    *,
    script: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    """One page. `script` is what its module needs to know, `words` the beginnings of the text keys it uses."""
    t = texts_for(request)
    data = None if script is None else _data_block(request, t, script, tuple(words))
    defaults = {
        "t": t,
        "static": STATIC_URL,
        "data": data,
        "wide": False,
        "notice_text": "",
        "brand": brand_of(request),
    }
    defaults |= {
        "csrf_field": partial(csrf_field, request),
        "forms_for": partial(forms_for, request),
        "account": _account(request),
        "here": _here(request),
    }
    section = str(context.get("section", request.url.path))
    defaults |= {"section": section, "current": partial(_current, section)}
    defaults |= {"in_language": partial(_in_language, request), "menu": partial(menu_of, request)}
    defaults["site"] = request.state["settings"].public_url or str(request.base_url).rstrip("/")
    html = _templates.get_template(template).render({**defaults, **context})
    response = _packed(request, html.encode(), status)
    set_policy(request, response)
    response.raw_headers.extend(form_cookies(request))
    if request.query_params.get("lang") in LANGS:
        secure = request.state["settings"].secure_cookies
        response.raw_headers.append(set_cookie(LANG_COOKIE.encode(), t.lang, life_s=LANG_COOKIE_S, secure=secure))
    return response


def set_policy(
    request: Request[Any], response: Response, *, form_origins: Iterable[str] = (), captcha_origins: Iterable[str] = ()
) -> None:
    """What the page may load, where it leads, and who may frame it: its site's to say, and nobody for our own."""
    brand = brand_of(request)
    policy = content_security_policy(form_origins, captcha_origins, () if brand is None else brand.framed_by)
    response.headers["Content-Security-Policy"] = policy


def _packed(request: Request[Any], html: bytes, status: int) -> HTMLResponse:
    """The answer, compressed if it is worth it and the browser accepts that: not everybody has a proxy that does it.

    A secret in a page is another one in each answer (csrf.py), so the length of a compressed page tells nothing of it.
    """
    headers = {"Vary": "Accept-Encoding"}
    if len(html) >= PACKED_FROM_BYTES and takes_gzip(request.headers.get("accept-encoding", "")):
        html = gzip.compress(html, GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return HTMLResponse(html, status, headers)


class Visitor(Protocol):
    """Somebody logged in, as far as pages need to know them."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def verified(self) -> bool: ...


def _account(request: Request[Any]) -> Visitor | None:
    """Who is logged in here, for the header."""
    visitor: Visitor | None = request.state["visitor_of"](request.scope["headers"])
    return visitor


def _here(request: Request[Any]) -> str:
    """Where to come back to after logging in; a form's address shows nothing."""
    return quote(request.url.path) if request.method == "GET" else "/"


def _current(section: str, path: str) -> Markup:
    """Marks the link to where the reader is, and to the part of the admin pages that a page belongs to."""
    if path == section:
        return Markup(' aria-current="page"')
    under = path != "/admin" and section.startswith(f"{path}/")
    return Markup(' aria-current="true"') if under else Markup("")


def _in_language(request: Request[Any], code: str) -> str:
    """This page in that language, with the search it shows; what a form answered can only be left."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    asked = urlencode([*kept, ("lang", code)])
    if request.method in ("GET", "HEAD"):
        return f"?{asked}"
    brand = brand_of(request)
    return f"{brand.here if brand and brand.here else '/'}?{asked}"


def see_other(url: str) -> RedirectResponse:
    """After a form: look at that page, so a reload repeats nothing."""
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})


def _data_block(request: Request[Any], t: Texts, script: Mapping[str, Any], words: tuple[str, ...]) -> Markup:
    now = request.state["clock"].now().isoformat(timespec="milliseconds")
    data = {"lang": t.lang, "now": now, **script, "texts": _encoded_texts(t.lang, t.of_sites, words)}
    encoded = msgspec.json.encode(data).decode()
    return Markup(encoded.replace("<", "\\u003c"))  # noqa: S704  # JSON without `<` cannot end the script element


@cache  # one per language and page
def _encoded_texts(lang: Lang, of_sites: bool, words: tuple[str, ...]) -> msgspec.Raw:
    texts = (TEXTS_OF_SITES if of_sites else TEXTS)[lang]
    return msgspec.Raw(msgspec.json.encode(texts.under("common.", *words)))

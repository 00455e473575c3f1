"""Visitors are sent to the hosts of an origin and nowhere else, whatever is asked for."""

from __future__ import annotations

import re

import pytest

from app.domain.targets import HOST_ENTRY, URL_CHARS_MAX, origin_of, safe_target, with_pass, without_pass

HOSTS = frozenset({"shop.example", "shop.example:8443", "http://localhost:3000"})

TAKEN = {
    "https://shop.example/": "https://shop.example/",
    "https://shop.example": "https://shop.example/",
    "https://SHOP.example:443/a": "https://shop.example/a",
    "https://shop.example?a=1": "https://shop.example/?a=1",
    "https://shop.example/a/b?c=%2F&d=e#f": "https://shop.example/a/b?c=%2F&d=e#f",
    "https://shop.example/?t=https://evil.example/": "https://shop.example/?t=https://evil.example/",
    "https://shop.example/a@b": "https://shop.example/a@b",
    "https://shop.example:8443/a": "https://shop.example:8443/a",
    "http://localhost:3000/a": "http://localhost:3000/a",
    "https://localhost:3000/a": "https://localhost:3000/a",
}
REFUSED = [
    "",
    "/",
    "/a",
    "//evil.example/",
    "//shop.example/",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://evil.example/",
    "https://evil.example/https://shop.example/",
    "https://shop.example.evil.example/",
    "https://evilshop.example/",
    "https://shop.example:444/",
    "https://shop.example:8443evil/",
    "https://shop.example./",
    "https://shop.example@evil.example/",
    "https://shop.example:8443@evil.example/",
    "https://evil.example#@shop.example/",
    "https://evil.example?@shop.example/",
    "https://user@shop.example/",
    "https://evil.example\\@shop.example/",
    "https://shop.example\\.evil.example/",
    "https:\\\\shop.example/",
    "\\\\evil.example/",
    "https://shop.example\\evil",
    "https://shop.example/\\evil",
    "http://shop.example/",
    "http\u017f://shop.example/",  # a letter that is an s where capitals are alike
    "https://shop.example/\u212a",  # and one that is a k
    "https://loca\u017fhost.example/",
    "javascript:alert(1)",
    "javascript://shop.example/%0aalert(1)",
    "data:text/html,<script>",
    "ftp://shop.example/",
    " https://shop.example/",
    "https://shop.example/ a",
    "https://shop.example/\r\nSet-Cookie: a=b",
    "https://shop.example/\n",
    "ht\ttps://shop.example/",
    "https://shop.example/\x00",
    "https://shop。example/",
    "https://shоp.example/",
    "https://xn--shp-emd.example/",
    "https://[::1]/",
    "https://shop.example%2eevil.example/",
    "https://shop.example/é",
    'https://shop.example/"',
    "https://shop.example/<script>",
    "https://shop.example/" + "a" * 10_000,
]


@pytest.mark.parametrize(("url", "sent"), TAKEN.items())
def test_an_address_at_a_host_of_the_origin_is_taken(url: str, sent: str) -> None:
    assert safe_target(url, HOSTS) == sent


@pytest.mark.parametrize("url", REFUSED)
def test_any_other_address_is_not(url: str) -> None:
    assert safe_target(url, HOSTS) is None


def test_the_longest_address_is_taken_and_one_more_character_is_not() -> None:
    longest = "https://shop.example/".ljust(URL_CHARS_MAX, "a")
    assert safe_target(longest, HOSTS) == longest
    assert safe_target(longest + "a", HOSTS) is None


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://a.example/", "https://a.example/?tiketi_pass=P"),
        ("https://a.example/b?c=d#e", "https://a.example/b?c=d&tiketi_pass=P#e"),
        ("https://a.example/?tiketi_pass=old&c=%26#e", "https://a.example/?c=%26&tiketi_pass=P#e"),
        ("https://a.example/?", "https://a.example/?&tiketi_pass=P"),
    ],
)
def test_a_pass_is_added_and_the_rest_of_the_address_stays(url: str, sent: str) -> None:
    assert with_pass(url, "P") == sent


@pytest.mark.parametrize(
    ("url", "token", "bare"),
    [
        ("/b?c=d", None, "/b?c=d"),
        ("/b?tiketi_pass=P", "P", "/b"),
        ("/b?a=1&tiketi_pass=P&c=%20#f", "P", "/b?a=1&c=%20#f"),
        ("/b?tiketi_pass=P&tiketi_pass=Q", "P", "/b"),
        ("/b?tiketi_passport=P", None, "/b?tiketi_passport=P"),
    ],
)
def test_a_pass_is_taken_out_and_the_rest_of_the_address_stays(url: str, token: str | None, bare: str) -> None:
    assert without_pass(url) == (token, bare)


@pytest.mark.parametrize("entry", ["shop.example", "a.b.shop.example:8443", "http://localhost:3000", "localhost"])
def test_a_host_is_a_name_with_its_port_where_that_is_not_the_usual_one(entry: str) -> None:
    assert re.search(HOST_ENTRY, entry)


@pytest.mark.parametrize("entry", ["", "https://a.example", "a.example/", "*.example", "a@b", "A.b", "a..b", "-a"])
def test_nothing_else_is_a_host(entry: str) -> None:
    assert not re.search(HOST_ENTRY, entry)


def test_the_origin_of_an_address_is_its_scheme_and_host() -> None:
    assert origin_of("https://shop.example:8443/a?b") == "https://shop.example:8443"

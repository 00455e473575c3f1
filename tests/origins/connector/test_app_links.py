"""A link of an app is what was sealed in it, for a while, and nothing that anybody else made."""

from __future__ import annotations

from secrets import token_bytes

import pytest

from app.origins.connector.app_links import CODE_CHARS_MAX, AppLink, AppLinks

LINKS = AppLinks(bytes(range(32)), token_bytes)
LINK = AppLink(room="sale", target="https://shop.example/", cookies=[("a", "b"), ("c", "d")], ends_s=100.0)


def test_a_link_is_read_until_its_time() -> None:
    code = LINKS.make(LINK)
    assert LINKS.read(code, 99.9) == LINK
    assert LINKS.read(code, 100.0) is None
    assert code != LINKS.make(LINK)
    assert "sale" not in code


def test_the_longest_target_fits() -> None:
    code = LINKS.make(AppLink(room="a" * 40, target="x" * 2_000, cookies=[("n" * 60, "v" * 200)] * 4, ends_s=100.0))
    assert len(code) <= CODE_CHARS_MAX


@pytest.mark.parametrize(
    "code",
    ["", "a", "é", "a" * 20, LINKS.make(LINK)[:-2], LINKS.make(LINK)[1:], "a" * (CODE_CHARS_MAX + 1)],
)
def test_everything_else_is_none(code: str) -> None:
    assert LINKS.read(code, 0.0) is None


def test_a_link_of_other_keys_is_none() -> None:
    assert LINKS.read(AppLinks(bytes(32), token_bytes).make(LINK), 0.0) is None

"""The server's numbers and plurals (Babel) are the browser's (Intl): what a script rewrites looks as before."""

from __future__ import annotations

from typing import Any

import pytest

from app.http.kit.i18n import LANGS, TEXTS, Lang
from tests.browser.people import NewContext

NUMBERS = [0, 1, 2, 7, 999, 1000, 1234567, 0.25, 2.0, 2.5, 1234.5678, -3]
SHARES = [0, 0.0005, 0.1225, 0.5, 0.98765, 1]
COUNTED = ("common.seats", "common.people")
IN_BROWSER = """async ([numbers, shares, counted]) => {
  const base = document.querySelector('link[rel="icon"]').href.replace('icon.svg', 'js/page.js');
  const { show, percent, stamp, t } = await import(base);
  const plurals = counted.map((key) => numbers.map((n) => t(key, { n })));
  const at = stamp('2026-11-28T21:02:07Z', 'Asia/Seoul');
  return { numbers: numbers.map(show), shares: shares.map(percent), plurals, at };
}"""


@pytest.mark.parametrize("lang", LANGS)
def test_a_script_writes_what_the_page_writes(new_context: NewContext, lang: Lang) -> None:
    page, t = new_context().new_page(), TEXTS[lang]
    page.goto(f"/events/demo?lang={lang}")  # has the common words
    said: dict[str, Any] = page.evaluate(IN_BROWSER, [NUMBERS, SHARES, COUNTED])
    assert said["numbers"] == [t.number(value) for value in NUMBERS]
    assert said["shares"] == [t.percent(value) for value in SHARES]
    assert said["plurals"] == [[t(key, n=value) for value in NUMBERS] for key in COUNTED]
    assert said["at"] == "2026-11-29 06:02:07"

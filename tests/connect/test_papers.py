"""The examples in the papers run as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.connect import asgi, wsgi
from app.connect.asked import Asked
from app.connect.rules import Action, Rules

DOCS = Path(__file__).parent.parent.parent / "docs"


def blocks(paper: str, language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", (DOCS / paper).read_text(), re.DOTALL)
    return found


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "a paper", "exec"), names)
    return names


def test_the_middleware_is_set_up_in_ten_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = ModuleType("shop")
    shop.app = shop.wsgi_app = lambda *_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", shop)
    of_asgi, of_wsgi = blocks("middleware.md", "python")
    assert isinstance(run(of_asgi)["app"], asgi.WaitingRoom)
    assert isinstance(run(of_wsgi)["wsgi_app"], wsgi.WaitingRoom)
    assert max(code.count("\n") for code in (of_asgi, of_wsgi)) <= 10


def test_the_rules_are_rules_and_decide_as_told() -> None:
    first, *others = (Rules.of_json(text) for text in blocks("rules.md", "json"))
    assert [first.decide(Asked.at("GET", "a", path)) for path in ("/assets/x", "/en/checkout", "/tickets/1", "/")] == [
        *(Action.let_pass, Action.queue, Action.queue, Action.let_pass)
    ]
    assert others
    assert run(*blocks("rules.md", "python"))["rules"].objects

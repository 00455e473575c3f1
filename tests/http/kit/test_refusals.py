"""The table of refusals: complete, used, in both languages, and the only place that has a status and a sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

import app
from app.domain.ticket import BadTicket
from app.http.accounts.credentials import PASS_REFUSALS, SESSION_REFUSALS
from app.http.accounts.sessions import BAD_ACCOUNT
from app.http.kit.i18n import LANGS, SITE, TEXTS, Lang
from app.http.kit.problems import Problem
from app.http.kit.refusals import REFUSALS, code_of
from app.http.payments.api import REFUSALS as OF_PAYING

APP = Path(app.__file__).parent
TABLE = APP / "http" / "kit" / "refusals.py"
FILES = {path: ast.parse(path.read_text()) for path in sorted(APP.rglob("*.py")) if path != TABLE}
CODES = {code_of(name) for name in REFUSALS}


def refusals() -> Iterator[tuple[Path, ast.Call]]:
    """Every place that makes a Problem."""
    for path, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                yield path, node


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_why_and_what_to_do_next(name: str) -> None:
    kind = REFUSALS[name]
    assert HTTPStatus(kind.status) >= HTTPStatus.BAD_REQUEST
    assert kind.detail.endswith((".", "?", "!", "}"))  # a sentence that is filled with a sentence ends with that
    assert kind.next.endswith(".")
    assert kind.next[0].isupper()


def test_every_refusal_is_used() -> None:
    words = {node.value for tree in FILES.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert REFUSALS.keys() - words == set()


def test_a_code_that_is_told_in_several_ways_is_in_the_table_itself() -> None:
    assert CODES - REFUSALS.keys() == set()


def test_what_is_refused_is_in_the_table_with_all_that_its_sentence_needs() -> None:
    wrong: list[tuple[str, int, str, frozenset[str | None]]] = []
    for path, call in refusals():
        match call.args:
            case [ast.Constant(str() as name)] if name in REFUSALS:
                given = {keyword.arg for keyword in call.keywords}
                if not REFUSALS[name].words <= given:
                    wrong.append((path.name, call.lineno, name, REFUSALS[name].words - given))
            case [ast.Constant() as other]:
                wrong.append((path.name, call.lineno, str(other.value), frozenset()))
    assert wrong == []


def test_what_is_refused_by_a_value_of_the_rules_is_in_the_table() -> None:
    named = {
        *(bad.value for bad in BadTicket),
        *PASS_REFUSALS.values(),
        *SESSION_REFUSALS.values(),
        *BAD_ACCOUNT.values(),
        *OF_PAYING.values(),
    }
    assert named - REFUSALS.keys() == set()


def test_a_time_that_cannot_be_meant_has_its_refusals() -> None:
    tree = FILES[APP / "domain" / "local_time.py"]
    codes = {
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "BadTime"
    }
    assert codes == {code for code in CODES if code.startswith(("time_", "zone_"))}


@pytest.mark.parametrize("lang", LANGS)
def test_a_page_can_say_every_refusal_that_it_can_show(lang: Lang) -> None:
    of_the_page = {"title", "home", "back", "request_id", "to_site", "own_window"}
    said = {key.removeprefix("kit.error.") for key in TEXTS[lang].under("kit.error.")} - of_the_page
    api_only = {code for code in CODES if REFUSALS[code].api_only}
    of_sites = {code for code in said if code.endswith(SITE)}
    assert said - of_sites == CODES - api_only
    assert {code.removesuffix(SITE) for code in of_sites} <= CODES | of_the_page


def test_the_words_of_a_refusal_fill_its_sentence_and_what_else_is_known_is_told_beside_it() -> None:
    problem = Problem("sale_ended", ended="noon", endedAt=12)
    assert (problem.code, problem.status) == ("sale_ended", 409)
    assert problem.detail == "The sale ended at noon."
    assert problem.extra == {"endedAt": 12}


def test_a_refusal_that_is_told_in_another_way_has_the_same_code() -> None:
    problem = Problem("event_unknown.no_room", event_id="gala")
    assert problem.code == "event_unknown"
    assert problem.detail == "There is no waiting room for 'gala'."

"""The papers are held to the product: every file, link, command, address, setting and alert they name exists, and every
one there is to know is named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from app.cli import make_parser
from app.http.routes import api_routes
from config.settings import PLAIN_NAMES, Settings, variable

ROOT = Path(__file__).parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README_LINES_MAX = 150
OURS = ("app", "workers", "loadtest", "config", "tests", "docs")


def named(paper: Path) -> str:
    return str(paper.relative_to(ROOT))


def console_lines(text: str) -> list[str]:
    """What is typed in the paper's console blocks."""
    blocks: list[str] = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def quoted(text: str) -> list[str]:
    """What stands between backticks, outside blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def typed(program: str) -> Iterator[tuple[str, list[str]]]:
    """(paper, words) of every command of this program in a console block."""
    for paper in PAPERS:
        yield from _of(program, paper, console_lines(paper.read_text()))


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """(paper, words) of every command of this program, in a console block or quoted in a sentence."""
    yield from typed(program)
    for paper in PAPERS:
        yield from _of(program, paper, quoted(paper.read_text()))


def _of(program: str, paper: Path, lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words and words[0] == program:
            yield named(paper), ["1" if word == "NUMBER" else word for word in words[1:]]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


@pytest.mark.parametrize("paper", PAPERS, ids=named)
def test_every_file_that_is_named_is_there(paper: Path) -> None:
    wanted = [
        word.rstrip("/")
        for word in re.findall(rf"\b(?:{'|'.join(OURS)})/[\w./*-]+", " ".join(quoted(paper.read_text())))
        if paper.name != "CHANGELOG.md"
    ]
    assert [path for path in wanted if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("paper", PAPERS, ids=named)
def test_every_link_leads_somewhere(paper: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", paper.read_text()):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        found = (paper.parent / path).resolve() if path else paper
        if not found.exists() or (heading and heading not in headings(found.read_text())):
            broken.append(target)
    assert broken == []


def headings(text: str) -> set[str]:
    """The anchors of a paper's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_make_target_that_is_named_exists_and_every_one_is_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {word for _, words in commands("make") for word in words if "=" not in word}
    assert asked - targets == set()
    assert targets - asked - {"help", "lock"} == set()


def test_every_tiketi_command_that_is_named_is_understood() -> None:
    parser = make_parser()
    seen = set()
    for paper, words in commands("tiketi"):
        if not words:
            continue
        seen.add(words[0])
        if len(words) > 1 or words[0] in ("up", "web", "worker", "seed", "migrate", "check", "status", "clean-data"):
            try:
                parser.parse_args(words)
            except SystemExit as error:
                raise AssertionError(f"{paper}: tiketi {' '.join(words)}") from error
    known = {name for action in parser._actions for name in action.choices or ()}
    assert seen - known == set()
    assert known - seen == set(), "a command that no paper names"


def test_the_api_paper_names_every_route_and_no_other() -> None:
    rows = re.findall(r"^\| ((?:GET|POST|PUT|PATCH|DELETE)[^|]*)\|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    told = {pair for row in rows for pair in addresses(row)}
    routes = {
        (method, re.sub(r"{[^}]*}", "{}", str(getattr(route, "path", ""))))
        for route in api_routes
        for method in (getattr(route, "methods", None) or ())
        if method != "HEAD"
    }
    assert routes - told == set()
    assert {pair for pair in told if pair[1].startswith("/api/")} - routes - {("GET", "/api/openapi.json")} == set()


def addresses(row: str) -> Iterator[tuple[str, str]]:
    """(method, path) of a row such as "GET, PATCH `/api/x/{id}`, POST `/api/x/{id}/refund` `{reason?}`"."""
    methods: list[str] = []
    fresh = False
    for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE)\b|`(/[^`]*)`", row):
        if method:
            methods = [*methods, method] if fresh else [method]
        else:
            yield from ((each, re.sub(r"{[^}]*}", "{}", path.split("?")[0])) for each in methods)
        fresh = bool(method)


def test_every_setting_is_told_and_every_told_one_is_there() -> None:
    text = (ROOT / "docs/operating.md").read_text()
    rows = re.findall(r"^\| (`[^|]*)\|", text[text.index("## Settings") :], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    settings = {variable(each.name) for each in fields(Settings)}
    assert settings - told == set()
    assert {name for name in told if name.startswith("TIKETI_") or name in PLAIN_NAMES} - settings == set()


def test_every_alert_is_explained() -> None:
    groups = yaml.safe_load((ROOT / "config/prometheus/alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    text = (ROOT / "docs/operating.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", text[text.index("## Alerts") :], re.MULTILINE)
    assert {name for row in rows for name in row.split(", ")} == alerts

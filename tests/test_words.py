"""The field's words, one meaning each: what had names of its own does not come back into identifiers and file names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGES, ROOT, written

# retired name → what it is called now; whole identifiers
NAMES = {
    "NearMaps": "SeatMapWarmer",
    "CARE_S": "RECHECK_AFTER_S",
    "TOLD_CARE_S": "RECHECK_AFTER_WEBHOOK_S",
    "Courier": "WebhookSender",
    "News": "WebhookEvent",
    "Mood": "FaultProfile",
    "brings_a_place": "has_guest_place",
    "adopt_everything": "merge_guest_into_account",
    "arrive": "request_number",
    "Mark": "LineSample",
    "Past": "HistoryPoint",
    "Spread": "Histogram",
    "bring_in_line": "sync_room_with_sale",
    "Ended": "RevokedSessions, or what ended in full",
    "PASSING": "NOT_RECORDED",
    "Drop": "ReleasePlace",
    "Serve": "OfferToWaitlist",
    "Wanted": "RoomChange, ReservationFilter, AuditFilter",
    "Deed": "AdminAction",
    "Slip": "ChargeRecord",
    "Board": "MetricsExchange",
    "Told": "ScrapeCollector",
    "ring_posters": "wake_poster_maker",
}
# retired part of an identifier or file name → what it is called now
PARTS = {
    "heard": "apply_gateway_answer",
    "patience": "retry_policy, restart_policy",
    "mood": "fault_profile",
    "moods": "fault_profiles",
    "courier": "webhook_sender",
    "adopt": "merge_guest",
    "adopted": "merged",
    "adoption": "guest_merge",
    "shelf": "poster_cache",
    "tally": "histogram",
    "steered": "account_change",
    "steer": "admin",
    "operate": "admin",
    "operator": "admin",
    "desk": "admin",
    "heart": "loop_lag",
    "zoned": "local_time",
    "pacing": "eta",
    "tether": "die_with_parent",
    "gone": "left, lapsed or served",
}
FILES = {"embedded", "folder", "prepare", "faults", "near", "marks", "board", "port", "auth", "queue", "windows"}
ALLOWED = {"grades_gone", "heart_beat"}  # a member of the API's answers; a method of arq's


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Every name that the file makes up: of functions, classes, arguments, variables and attributes.

    Not a test's own name: that is a sentence, in which these are words as any other.
    """
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not node.name.startswith("test_"):
                    yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.alias(asname=str(name)):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case _:
                pass


def parts(name: str) -> set[str]:
    """The words of `snake_case` and `CamelCase`."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def all_files() -> list[Path]:
    return [path for package in PACKAGES for path in written(package)]


@pytest.mark.parametrize("path", all_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_is_a_retired_word(path: Path) -> None:
    names = set(identifiers(ast.parse(path.read_text()))) - ALLOWED
    assert {name for name in names if name in NAMES or parts(name) & PARTS.keys()} == set()


def test_no_file_has_a_retired_name() -> None:
    assert [
        str(path.relative_to(ROOT))
        for path in all_files()
        if parts(path.stem.removeprefix("test_")) & PARTS.keys() or path.stem.removeprefix("test_") in FILES
    ] == []

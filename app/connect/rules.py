"""Which requests to a site need a pass: the first rule that fits says so, and where none fits, a pass is needed.

A rule is an object as in docs/rules.md: `action` and what must be so of the request (`host`, `path`, …), each a pattern
or several of which one must fit. Rules are read once; `decide` is asked of every request. Its time is bounded: patterns
are no regular expressions, and what is too long or leads nobody knows where needs a pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.connect.asked import VALUE_CHARS_MAX, Asked, TooLong
from app.connect.patterns import Patterns, Plain, why_no_pattern

RULES_MAX = 200
PATTERNS_MAX = 1_000  # of all rules together
ALSO_MAX = 7
NAMES_MAX = 20  # of one condition: parameters, headers or cookies
NAME_CHARS_MAX = 100
JSON_BYTES_MAX = 262_144

TEXTS = {"method": Plain.whole, "host": Plain.whole, "path": Plain.folder, "url": Plain.inside}
AGENT = "userAgent"
NAMED = ("query", "header", "cookie")
ONLY = "queryOnly"
SWITCHES = ("negate", "ignoreCase")
ALWAYS_IGNORING_CASE = ("method", "host", AGENT)


class Action(StrEnum):
    """What becomes of a request without a pass."""

    queue = "queue"
    let_pass = "pass"  # noqa: S105 - a word, not a secret
    refuse = "refuse"


class RulesError(ValueError):
    """These are no rules. `at` names the place, as in `rules[3].path`; the text says what is wrong there."""

    def __init__(self, at: str, wrong: str) -> None:
        super().__init__(f"{at}: {wrong}")
        self.at = at
        self.wrong = wrong


Read = Callable[[Asked], Sequence[str]]


@dataclass(slots=True)
class _Check:
    """One part of the request, and all patterns for it. `free`: the bits of rules that say nothing of it."""

    read: Read
    plain: Plain
    wanted: list[tuple[str, int]] = field(default_factory=list)
    asking: int = 0
    free: int = 0
    patterns: Patterns = field(default_factory=lambda: Patterns((), Plain.whole))


class _Layer:
    """The first conditions of all rules, or the second, …; a rule is the bit of its place."""

    def __init__(self, groups: Sequence[Mapping[str, Any]]) -> None:
        self._all = (1 << len(groups)) - 1
        self._negated = 0
        self._only: list[tuple[frozenset[str], int]] = []
        checks: dict[tuple[str, str, bool], _Check] = {}
        for place, group in enumerate(groups):
            bit = 1 << place
            self._negated |= bit if group.get("negate") else 0
            if ONLY in group:
                self._only.append((frozenset(group[ONLY]), bit))
            for kind, name, pattern in _patterns_of(group):
                ignoring = bool(group.get("ignoreCase")) or kind in ALWAYS_IGNORING_CASE
                check = checks.setdefault((kind, name, ignoring), _check(kind, name, ignoring))
                check.wanted.append((pattern.lower() if ignoring else pattern, bit))
                check.asking |= bit
        self._checks = sorted(checks.values(), key=lambda check: check.read is not _method)
        for check in self._checks:
            check.free = self._all & ~check.asking
            check.patterns = Patterns(check.wanted, check.plain)

    def fitting(self, asked: Asked) -> int:
        """Raises TooLong."""
        found = self._all
        for check in self._checks:
            bits = check.free
            for text in check.read(asked):
                if len(text) > VALUE_CHARS_MAX:
                    raise TooLong
                bits |= check.patterns.fitting(text)
            found &= bits
            if not found:
                break
        for names, bit in self._only:
            if found & bit and not asked.parameters.keys() <= names:
                found &= ~bit
        return found ^ self._negated


class Rules:
    """Rules as read from objects; `objects` gives them back. Raises RulesError."""

    def __init__(self, objects: Sequence[Mapping[str, Any]] = ()) -> None:
        self.objects = _checked(objects)
        self._actions = [Action(rule["action"]) for rule in self.objects]
        self._parameters = [_parameters_of(rule) for rule in self.objects]
        self._looks_at_methods = any("method" in group for rule in self.objects for group in _groups(rule))
        depth = max((len(rule.get("also", ())) for rule in self.objects), default=0)
        self._layers = [_Layer([_group(rule, layer) for rule in self.objects]) for layer in range(depth + 1)]

    @classmethod
    def of_json(cls, text: bytes | str) -> Rules:
        """Raises RulesError."""
        if len(text) > JSON_BYTES_MAX:
            raise RulesError("rules", f"they are longer than {JSON_BYTES_MAX:,} bytes")
        try:
            return cls(json.loads(text))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RulesError("rules", "they are no JSON") from error

    def decide(self, asked: Asked) -> Action:
        place = self.first(asked)
        if place is None:
            return Action.queue
        action = self._actions[place]
        return Action.queue if action is Action.let_pass and self._is_doubtful(place, asked) else action

    def _is_doubtful(self, place: int, asked: Asked) -> bool:
        """Whether a server may see another request than the rule fits."""
        try:
            if asked.is_ambiguous or asked.says_another_address:
                return True
            if self._looks_at_methods and asked.says_another_method:
                return True
            return any(asked.is_unclear(name) for name in self._parameters[place])
        except TooLong:
            return True

    def first(self, asked: Asked) -> int | None:
        """The place of the first rule that fits, from 0. None: none does, or the request cannot be judged."""
        if asked.is_too_long:
            return None
        try:
            found = self._layers[0].fitting(asked)
            for layer in self._layers[1:] if found else ():
                found &= layer.fitting(asked)
        except TooLong:
            return None
        return (found & -found).bit_length() - 1 if found else None


def _group(rule: Mapping[str, Any], layer: int) -> Mapping[str, Any]:
    further = rule.get("also", ())
    if layer == 0:
        return rule
    return further[layer - 1] if layer <= len(further) else {}


def _parameters_of(rule: Mapping[str, Any]) -> list[str]:
    return [name for group in _groups(rule) for name in group.get("query", ())]


def _groups(rule: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (rule, *rule.get("also", ()))


def _check(kind: str, name: str, ignoring: bool) -> _Check:
    read, plain = _reader(kind, name), TEXTS.get(kind, Plain.inside if kind == AGENT else Plain.whole)
    if not ignoring or read is _method:
        return _Check(read, plain)
    return _Check(lambda asked: [text.lower() for text in read(asked)], plain)


def _method(asked: Asked) -> Sequence[str]:
    return (asked.method.lower(),)


def _reader(kind: str, name: str) -> Read:
    match kind:
        case "method":
            return _method
        case "host":
            return lambda asked: asked.hosts
        case "path":
            return lambda asked: (asked.path,)
        case "url":
            return lambda asked: (asked.url,)
        case "query":
            return lambda asked: asked.parameters.get(name, ())
        case "cookie":
            return lambda asked: asked.cookies.get(name, ())
        case _:
            return lambda asked: asked.headers.get(name, ())


def _patterns_of(group: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind, name, pattern) of every pattern in a group."""
    for kind in (*TEXTS, AGENT):
        yield from ((kind, "user-agent" if kind == AGENT else "", each) for each in _several(group.get(kind, ())))
    for kind in NAMED:
        for name, wanted in group.get(kind, {}).items():
            key = name.lower() if kind == "header" else name
            yield from ((kind, key, each) for each in _several(wanted))


def _several(value: Any) -> Sequence[Any]:
    return (value,) if isinstance(value, str) else value


def _checked(objects: Any) -> list[dict[str, Any]]:
    if not isinstance(objects, list | tuple):
        raise RulesError("rules", "they are a list")
    if len(objects) > RULES_MAX:
        raise RulesError("rules", f"they are {RULES_MAX} at most")
    for place, rule in enumerate(objects):
        _check_rule(f"rules[{place}]", rule)
    patterns = [each for rule in objects for group in _groups(rule) for each in _patterns_of(group)]
    if len(patterns) > PATTERNS_MAX:
        raise RulesError("rules", f"their patterns are {PATTERNS_MAX:,} at most")
    return [dict(rule) for rule in objects]


def _check_rule(at: str, rule: Any) -> None:
    if not isinstance(rule, Mapping):
        raise RulesError(at, "a rule is an object")
    if not isinstance(rule.get("action"), str) or rule["action"] not in set(Action):
        raise RulesError(f"{at}.action", "it is queue, pass or refuse")
    further = rule.get("also", ())
    if not isinstance(further, list | tuple) or len(further) > ALSO_MAX:
        raise RulesError(f"{at}.also", f"it is a list of at most {ALSO_MAX} objects")
    _check_group(at, {key: value for key, value in rule.items() if key not in ("action", "also")})
    for place, group in enumerate(further):
        if not isinstance(group, Mapping):
            raise RulesError(f"{at}.also[{place}]", "it is an object")
        _check_group(f"{at}.also[{place}]", group)


def _check_group(at: str, group: Mapping[str, Any]) -> None:
    for key, value in group.items():
        where = f"{at}.{key}"
        if key in (*TEXTS, AGENT):
            _check_patterns(where, value)
        elif key in NAMED:
            _check_named(where, value)
        elif key == ONLY:
            _check_names(where, value)
        elif key not in SWITCHES:
            raise RulesError(where, "no rule has that")
        elif not isinstance(value, bool):
            raise RulesError(where, "it is true or false")


def _check_patterns(at: str, value: Any) -> None:
    patterns = _several(value)
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(each, str) for each in patterns):
        raise RulesError(at, "it is a pattern, or a list of patterns")
    for pattern in patterns:
        if wrong := why_no_pattern(pattern):
            raise RulesError(at, wrong)


def _check_named(at: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not value:
        raise RulesError(at, "it is an object of names with their patterns")
    _check_names(at, list(value))
    for name, patterns in value.items():
        _check_patterns(f"{at}.{name}", patterns)


def _check_names(at: str, names: Any) -> None:
    if not isinstance(names, list | tuple) or len(names) > NAMES_MAX:
        raise RulesError(at, f"it has at most {NAMES_MAX} names")
    if not all(isinstance(name, str) and 0 < len(name) <= NAME_CHARS_MAX and name.isprintable() for name in names):
        raise RulesError(at, f"a name has 1 to {NAME_CHARS_MAX} printable characters")

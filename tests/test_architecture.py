"""Who may import whom, and how long anything may be. Read from the source, so nothing can be missed."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "workers", "loadtest", "config", "tests")
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 8

CLOCK_IS_GIVEN = ("cache", "control", "domain", "lane", "ledger", "metrics", "payments", "room")

# module prefix → what of ours it may import; everything else of ours is forbidden to it
ALLOWED = {
    "config": ("config",),
    "app.domain": ("app.domain",),
    "app.lua": (),
    "app.redis_keys": (),
    "app.histogram": (),
    "app.outages": (),
    "app.redis_cluster": ("app.redis_keys", "config"),
    "app.redis_nodes": ("app.redis_cluster",),
    "app.redis_client": ("app.redis_cluster", "app.redis_nodes", "config"),
    "app.processes": ("app.processes", "app.redis_keys", "app.lua", "app.outages"),
    "app.room": (
        *("app.room", "app.redis_keys", "app.redis_nodes", "app.domain", "app.lua", "app.histogram", "app.outages"),
    ),
    "app.cache": ("app.cache", "app.redis_keys", "app.lua", "app.outages"),
    "app.ledger": ("app.ledger", "app.domain", "app.histogram"),
    "app.jobs": ("app.redis_keys",),
    "app.lane": (
        "app.lane",
        "app.redis_keys",
        "app.redis_nodes",
        "app.domain",
        "app.jobs",
        "app.lua",
        "app.histogram",
        "app.outages",
    ),
    "app.fetching": ("app.request_id", "config"),
    "app.connect": ("app.connect",),  # shops install it
    "app.identity": ("app.identity", "app.fetching", "config"),
    "app.door": ("app.door", "app.domain", "app.limits", "app.fetching"),
    "app.limits": ("app.limits", "app.redis_keys", "app.domain", "app.lua"),
    "app.payments": ("app.payments", "app.domain", "app.lane", "app.ledger", "config"),
    "app": ("app", "config"),
    "workers": ("workers", "app", "config"),
    "loadtest.judge": ("loadtest",),  # a second opinion on the line, of its own
}
# library → the modules that may import it
ONLY = {
    "redis.asyncio": (
        *("app.cache", "app.limits", "app.room", "app.lane", "app.lua", "app.connections", "app.control.rooms"),
        *(
            *("app.redis_client", "app.redis_cluster", "app.redis_nodes"),
            "app.jobs",
            "app.main",
            "app.processes",
            "app.audit.invariants",
            "app.http.state",
            "app.metrics",
            "app.wiring",
            "workers",
        ),
    ),
    "redis.exceptions": (
        *("app.cache", "app.limits", "app.room", "app.lane", "app.jobs", "app.connections", "app.processes"),
        *("app.redis_client", "app.redis_cluster", "app.redis_nodes"),
    ),
    "sqlalchemy": ("app.ledger",),
    "asyncpg": ("app.ledger",),
    "alembic": ("app.ledger.migrations",),
    "prometheus_client": ("app.metrics", "app.http.ops.metrics"),
    "arq": ("app.jobs", "workers"),
    "authlib": ("app.identity",),
    "httpx2": ("app.fetching", "app.identity", "app.door.invitations", "app.run.guard", "app.run.demo_shop"),
    "starlette": ("app.http", "app.main", "app.run.demo_shop", "app.run.guard"),
    "uvicorn": ("app.http", "app.run.web", "app.run.demo_shop", "app.run.guard"),
    "locust": (),
}


def written(package: str) -> list[Path]:
    """The files of a package that a person wrote."""
    return [path for path in sorted((ROOT / package).rglob("*.py")) if path.parent.name != "versions"]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours outside tests, by name."""
    found = {}
    for package in PACKAGES[:-1]:
        for path in written(package):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text())
    return found


def imports(tree: ast.Module) -> Iterator[str]:
    """Full names of the modules imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def rule_for(name: str) -> tuple[str, ...] | None:
    """The rule of the longest prefix that fits."""
    fitting = [prefix for prefix in ALLOWED if within(name, (prefix,))]
    return ALLOWED[max(fitting, key=len)] if fitting else None


def test_every_module_imports_only_what_lies_below_it() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules().items()
        if (allowed := rule_for(name)) is not None
        for imported in imports(tree)
        if within(imported, PACKAGES) and not within(imported, allowed)
    ]
    assert wrong == []


def test_only_commands_and_processes_of_their_own_run_processes() -> None:
    """app.run is for the command line, the workers and the swarm; nothing that serves a request may import it."""
    users = {
        name for name, tree in modules().items() if any(within(imported, ("app.run",)) for imported in imports(tree))
    }
    assert {name for name in users if not within(name, ("app.run", "app.cli", "workers", "loadtest"))} == set()


def test_the_domain_is_pure() -> None:
    """Standard library and msgspec; no clock, no randomness, no I/O, nothing to wait for."""
    forbidden = ("asyncio", "random", "secrets", "time", "os", "io", "socket", "pathlib", "threading", "logging")
    for name, tree in modules().items():
        if within(name, ("app.domain",)):
            for imported in imports(tree):
                top = imported.split(".")[0]
                assert top in {*sys.stdlib_module_names, "msgspec", "app"} - set(forbidden), f"{name}: {imported}"
            waits = [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
            assert waits == [], name


def test_what_shops_install_needs_the_standard_library_and_pyjwt() -> None:
    outside = {
        f"{name}: {imported}"
        for name, tree in modules().items()
        if within(name, ("app.connect",))
        for imported in imports(tree)
        if imported.split(".")[0] not in {*sys.stdlib_module_names, "jwt", "app"}
    }
    assert outside == set()


def imported_modules(names: set[str], tree: ast.Module) -> set[str]:
    """Which of `names` a file imports anywhere: for the type checker only and inside functions as well."""
    found = set()
    for imported in imports(tree):
        module = imported if imported in names else imported.rpartition(".")[0]
        found |= {module} & names
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    trees = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in sources()
    }
    TopologicalSorter({name: imported_modules(set(trees), tree) for name, tree in trees.items()}).prepare()


def test_one_function_answers_with_json() -> None:
    """What holds bytes already, or adds no more than a header to them, makes its Response itself."""
    encoders = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if within(name, ("app.http",)) and isinstance(node, ast.Call) and ast.unparse(node.func) == "Response"
        if "json.encode(" in ast.unparse(node)
    }
    assert encoders == {"app.http.kit.answers"}


def test_what_a_library_says_of_an_error_is_only_shown_never_read() -> None:
    """Its words change with its version: what went wrong is found in the value that it refused."""
    readers = [
        f"{name}: {ast.unparse(node)}"
        for name, tree in modules().items()
        if within(name, ("app.http",))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in READING
        if any("str(error)" in ast.unparse(part) for part in [node.func, *node.args])
    ]
    assert readers == []


def test_one_clock_says_what_time_it_is_in_a_web_process() -> None:
    asking = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if within(name, ("app.http", "app.main", "app.wiring")) and isinstance(node, ast.Attribute)
        if ast.unparse(node) in ("datetime.now", "time.time", "date.today")
    }
    assert asking == {"app.http.kit.clock"}


READING = ("search", "match", "fullmatch", "findall", "sub", "split", "replace", "partition", "find", "index")
CAPABILITIES = ("line", "shop", "waitlist", "payments", "events", "accounts", "admin", "ops", "origins")


def room_in_http(name: str) -> str:
    """The folder of app/http that a module is in; empty for app/http's own files and for everything else."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["app", "http"] and len(parts) > 3 else ""


def may_import(room: str, imported: str) -> bool:
    """Whether a module in this folder of app/http may import that module of ours."""
    other = room_in_http(imported)
    if room == "kit":
        return other == "kit" or not within(imported, ("app.http",))
    if other in ("", "kit", room):
        return imported != "app.http.routes"
    if room == "hot":
        return other in ("line", "accounts", "origins")
    is_endpoint = imported.rpartition(".")[2] in ("api", "page") or within(imported, ("app.http.admin",))
    return not is_endpoint


def test_a_capability_of_the_web_process_knows_no_other_ones_endpoints() -> None:
    """And what all of them use knows none of them, nor the services they may use."""
    trees = modules()
    wrong = [
        f"{name} imports {imported}"
        for name, tree in trees.items()
        if (room := room_in_http(name))
        for imported in sorted(imported_modules(set(trees), tree))
        if not may_import(room, imported)
    ]
    assert wrong == []


def test_the_web_process_has_one_folder_per_capability() -> None:
    http = ROOT / "app" / "http"
    assert {path.name for path in http.glob("*.py")} == {"__init__.py", "state.py", "routes.py"}
    assert {path.parent.name for path in http.glob("*/__init__.py")} == {*CAPABILITIES, "kit", "hot"}


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_used_only_where_it_belongs(library: str) -> None:
    users = {
        name
        for name, tree in modules().items()
        if not within(name, ("loadtest",)) and any(within(imported, (library,)) for imported in imports(tree))
    }
    assert {name for name in users if not within(name, ONLY[library])} == set()


@pytest.mark.parametrize(
    "name",
    [
        "app.main",
        "app.wiring",
        "app.http",
        "app.control.rooms",
        "app.run.console",
        "app.connections",
        "app.jobs",
        "workers",
    ],
)
def test_above_the_stores_nobody_sends_redis_scripts_of_their_own(name: str) -> None:
    for module, tree in modules().items():
        if within(module, (name,)):
            used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert not used & {"eval", "evalsha", "register_script"}, module


@pytest.mark.parametrize("package", ["config", *(f"app.{name}" for name in CLOCK_IS_GIVEN)])
def test_whoever_needs_the_time_is_given_a_clock(package: str) -> None:
    """`datetime.now` and `time.time` belong where a process is put together; a monotonic clock measures durations."""
    readers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if within(name, (package,)) and isinstance(node, ast.Attribute)
        if ast.unparse(node) in ("datetime.now", "datetime.utcnow", "time.time", "time.time_ns")
    }
    assert readers == set()


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # these hand it on, to config.settings.load or to the processes they start
    handing_on = (
        *("app.cli", "app.run.children", "app.run.supervisor", "app.run.demo_shop.__main__", "workers.__main__"),
        "app.run.guard.__main__",
        "loadtest",
    )
    assert {name for name in readers if not within(name, handing_on)} == set()


def test_what_rules_find_by_its_module_is_imported_with_its_module() -> None:
    """`from time import time` would hide the wall clock from the rules above and below."""
    hidden = {"time.time", "time.time_ns", "os.environ", "os.getenv", "app.redis_keys.room"}
    assert {name: found for name, tree in modules().items() if (found := hidden & {*imports(tree)})} == {}


def strings(tree: ast.Module) -> Iterator[str]:
    """Every string a program works with: its literals and the fixed parts of its f-strings, without docstrings."""
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield node.value


def test_one_module_makes_the_names_of_redis_keys() -> None:
    """Also no Lua names one: scripts are told their keys. A token's audience begins alike and is no key."""
    audiences = {"tiketi:session", "tiketi:login"}
    makers = {
        name
        for name, tree in modules().items()
        if any(re.match(r"(tiketi|arq):[\w{*]", text) for text in set(strings(tree)) - audiences)
    }
    assert makers == {"app.redis_keys"}
    assert [path.name for path in (ROOT / "app").rglob("*.lua") if re.search(r"(tiketi|arq):", path.read_text())] == []


def test_only_the_room_reads_its_hash() -> None:
    """Everyone else takes a RoomRecord: only there do the names of the hash's fields occur."""
    readers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "room" and ast.unparse(node.value) == "redis_keys"
    }
    assert {name for name in readers if not within(name, ("app.room",))} == set()


def sources(packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    return [path for package in packages for path in written(package)]


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in sources(PACKAGES[:-1])}
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > LINES_MAX} == {}


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and length of every function, without its decorators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_long_and_most_are_short() -> None:
    lengths = {(name, function): lines for name, tree in modules().items() for function, lines in functions(tree)}
    assert {at: lines for at, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}
    assert statistics.median(lengths.values()) <= FUNCTION_LINES_MEDIAN_MAX


def test_every_file_says_what_it_answers_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_everything_that_prints_is_meant_for_a_terminal() -> None:
    printing = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert {name for name in printing if not within(name, ("loadtest",))} <= {"app.run.terminal", "app.run.supervisor"}


def test_what_the_ledger_and_the_audit_promise_is_tried_on_both_databases() -> None:
    trying = {path: path.read_text() for name in ("ledger", "audit") for path in written(f"tests/{name}")}
    by_ledger = [
        path.name for path, text in trying.items() if re.search(r"^async def test_.*\bledger: Database", text, re.M)
    ]
    on_both = [path.name for path, text in trying.items() if "\npytestmark = pytest.mark.both_databases\n" in text]
    assert by_ledger
    assert [name for name in by_ledger if name not in on_both] == []

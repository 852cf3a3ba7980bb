"""The shape of the code, kept by a test: what the house style says and a machine can see.

Each test gathers every violation with its place, so that one run names them all. A rule that must give way
somewhere has its exception here, with the reason.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from app.lib.errors import AppError

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
CODE = [*APP, *sorted((ROOT / "loadtest").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500  # a list of sentences is read one at a time
FUNCTION_LINES_MAX = 70
LUA_LINES_MAX = 60  # one verb; the server runs nothing else meanwhile

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "data", "base"}

# A pure module decides; it reads and writes nothing, so its tests need no server and no clock.
PURE_NAMES = {"schemas", "documents", "state", "errors"}
PRICING_IO = {"cart", "kept_quotes", "routes", "snapshots"}
PURE = [
    path
    for path in APP
    if path.stem in PURE_NAMES
    or (path.parent.name == "pricing" and path.stem not in PRICING_IO)
    or path.relative_to(ROOT).as_posix()
    in {"app/checkout/admit.py", "app/seats/assign.py", "app/lib/money.py", "app/lib/bounds.py"}
]
IO_MODULES = {
    "asyncio", "asyncpg", "redis", "arq", "httpx", "litestar", "socket", "subprocess", "os", "pathlib",
    "time", "random", "app.bootstrap", "app.settings", "app.lib.postgres", "app.lib.valkey", "app.lib.sql",
}  # fmt: skip

# Statements that stand in the code, and why.
SQL_IN_CODE = {
    "app/health/routes.py": "SELECT 1 names no table",
    "app/lib/migrate.py": "a lock of the server's, before there is any table",
}

# A sleep outside a loop, and why.
SLEEPS = {
    "app/sandbox/faults.py": "a provider that answers late, on demand",
    "loadtest/locustfile.py": "users that were started together must not call together",
}

# Codes that more than one class carries, and why.
SHARED_CODES = {
    "activity_not_open": "the same to a buyer, found at the price (422) or at the ledger (409)",
}


# --- Imports -----------------------------------------------------------------------------------------------


def test_imports_point_one_way() -> None:
    wrong = [
        f"{place(path)} imports {imported}"
        for path in APP
        for imported in imports(path)
        if not may_import(module(path), imported)
    ]
    assert wrong == []


def may_import(importer: str, imported: str) -> bool:
    """Routes → verbs → lib; one place puts all together; the sandbox provider is a stranger."""
    if not imported.startswith("app."):
        return True
    inside = importer.split(".")[1]
    part = imported.split(".")[1]
    if inside == "sandbox" or part == "sandbox":
        return inside == part or importer == "app.cli"
    if inside == "lib":
        return part in {"lib", "settings"}
    if imported.endswith(".routes"):
        return importer == "app.http"
    if part == "dependencies":
        return importer.endswith(".routes") or importer == "app.http"
    if part in {"http", "cli", "runtime"}:
        return inside in {"cli", "runtime", "__main__"}
    return True


def test_pure_modules_touch_nothing_outside() -> None:
    wrong = [
        f"{place(path)} imports {imported}" for path in PURE for imported in imports(path) if is_io(imported)
    ]
    assert wrong == []


def test_the_pricing_engine_reaches_no_input_or_output_through_others() -> None:
    assert sorted(name for name in reached("app.pricing.engine", set()) if is_io(name)) == []


def is_io(name: str) -> bool:
    return any(name == io or name.startswith(f"{io}.") for io in IO_MODULES)


def reached(name: str, seen: set[str]) -> set[str]:
    """All modules that importing `name` brings in, followed through our own."""
    path = ROOT / f"{name.replace('.', '/')}.py"
    if name not in seen:
        seen.add(name)
        if path.exists():
            for imported in imports(path):
                reached(imported, seen)
    return seen


# --- Size and names ----------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    limits = [(path, FILE_LINES_MAX) for path in [*CODE, *(ROOT / "sql").rglob("*.sql")]]
    limits += [(path, TEST_FILE_LINES_MAX) for path in TESTS]
    wrong = [f"{place(path)}: {n} lines" for path, most in limits if (n := len(lines(path))) > most]
    assert wrong == []


def test_functions_fit_a_screen() -> None:
    wrong = []
    for path in [*CODE, *TESTS]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    wrong.append(f"{place(path, node)} {node.name}: {length} lines")
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    wrong = [
        place(path)
        for path in [*CODE, *TESTS]
        if path.read_text().strip() and not ast.get_docstring(tree(path))
    ]
    assert wrong == []


def test_file_names_say_what_is_inside() -> None:
    named = [*CODE, *TESTS, *(ROOT / "lua").rglob("*"), *(ROOT / "sql").rglob("*")]
    assert [place(path) for path in named if path.stem in NAMES_THAT_SAY_NOTHING] == []


def test_the_readme_names_every_folder() -> None:
    readme = (ROOT / "README.md").read_text()
    folders = sorted({path.parent.relative_to(ROOT).as_posix() for path in APP} - {"app"})
    assert [folder for folder in folders if f"`{folder}`" not in readme] == []


# --- Lua and SQL -------------------------------------------------------------------------------------------


def test_lua_scripts_are_short_and_say_what_they_take_and_give() -> None:
    wrong = []
    for path in (ROOT / "lua").rglob("*.lua"):
        header, code = split_lua(lines(path))
        wrong += [f"{place(path)}: {len(code)} lines"] if len(code) > LUA_LINES_MAX else []
        if not (header and header[0].removeprefix("--").strip()):
            wrong.append(f"{place(path)}: no purpose")
        wrong += [
            f"{place(path)}: no {word}"
            for word in ("KEYS", "ARGV", "returns")
            if not any(line.startswith(f"-- {word}") for line in header)
        ]
    assert wrong == []


def split_lua(text: list[str]) -> tuple[list[str], list[str]]:
    """The comment that a script begins with, and its lines of code."""
    end = next((n for n, line in enumerate(text) if not line.startswith("--")), len(text))
    return text[:end], [line for line in text[end:] if line.strip() and not line.strip().startswith("--")]


def test_sql_stands_in_files() -> None:
    statement = re.compile(
        r"\s*(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|TRUNCATE|WITH \w+ AS|(CREATE|ALTER|DROP) \w+) ?\b"
    )
    wrong = [
        f"{place(path, node)}: {node.value[:60]!r}"
        for path in APP
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.match(node.value)
        if place(path) not in SQL_IN_CODE
    ]
    assert wrong == []


def test_migrations_are_numbered_without_gaps_and_go_forward_only() -> None:
    files = sorted((ROOT / "sql" / "migrations").glob("*.sql"))
    assert [path.name[:5] for path in files] == [f"{n:04d}_" for n in range(1, len(files) + 1)]
    assert [place(path) for path in files if "-- migrate:up" not in path.read_text()] == []
    down = [path.read_text().partition("-- migrate:down")[2].splitlines() for path in files]
    assert [line for text in down for line in text if line and not line.startswith("--")] == []


# --- Habits ------------------------------------------------------------------------------------------------


def test_nothing_sleeps_but_to_look_again() -> None:
    """A sleep stands in a loop that looks for a condition; alone it is a guess about how long things take."""
    wrong = []
    for path in [*CODE, *TESTS]:
        looping = {
            id(node)
            for loop in ast.walk(tree(path))
            if isinstance(loop, ast.While | ast.For | ast.AsyncFor)
            for node in ast.walk(loop)
        }
        wrong += [
            place(path, node)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call) and is_sleep(node) and id(node) not in looping
            if place(path) not in SLEEPS
        ]
    assert wrong == []


def is_sleep(call: ast.Call) -> bool:
    yields_only = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return isinstance(call.func, ast.Attribute) and call.func.attr == "sleep" and not yields_only


def test_nothing_is_left_for_later() -> None:
    word = re.compile(r"\b(TOD[O]|FIXM[E])\b")
    assert list(found(word, texts())) == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """Neither a folder of somebody's, nor the address of a package registry."""
    folder = re.compile(r"(?<![\w.])/(root|home|Users|work|opt)/\w")
    registry = re.compile(
        r"--(extra-)?index-ur[l]|--find-link[s]|--trusted-hos[t]|pythonhoste[d]|pypi\.or[g]"
    )
    assert [*found(folder, texts()), *found(registry, texts())] == []


def test_every_locked_package_has_hashes_and_no_address() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
        wrong = [
            entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry
        ]
        assert (lock.name, wrong) == (lock.name, [])
        assert "://" not in text


# --- Errors ------------------------------------------------------------------------------------------------


def test_every_error_code_belongs_to_one_class() -> None:
    classes = error_classes()
    owners = defaultdict(set)
    for error in classes.values():
        if "code" in vars(error):
            owners[error.code].add(error.__name__)
    shared = {code: sorted(names) for code, names in owners.items() if len(names) > 1}
    assert sorted(shared) == sorted(SHARED_CODES), shared


def test_every_error_code_has_one_status() -> None:
    """Codes that are given when the error is raised included: `Unavailable(…, code="ledger_down")`."""
    classes = error_classes()
    statuses = defaultdict(set)
    for error in classes.values():
        statuses[error.code].add(error.status)
    for path in APP:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                for keyword in node.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        statuses[keyword.value.value].add(classes[node.func.id].status)
    several = {code: sorted(found) for code, found in statuses.items() if len(found) > 1}
    assert sorted(several) == [], several


@cache
def error_classes() -> dict[str, type[AppError]]:
    """The whole tree, by name."""
    for path in APP:
        if path.stem != "__main__":
            importlib.import_module(module(path))
    classes, waiting = {}, [AppError]
    while waiting:
        error = waiting.pop()
        classes[error.__name__] = error
        waiting += error.__subclasses__()
    return classes


# --- Reading -----------------------------------------------------------------------------------------------


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def place(path: Path, node: ast.stmt | ast.expr | None = None) -> str:
    where = path.relative_to(ROOT).as_posix()
    return where if node is None else f"{where}:{node.lineno}"


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs; what only a type checker reads does not count."""
    typing_only = {
        id(node)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree(path)):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("app")
            )


def texts() -> Iterator[Path]:
    """Every file that people read or machines run."""
    for name in ("app", "lua", "sql", "loadtest", "tests", "docs", ".ci"):
        yield from (path for path in sorted((ROOT / name).rglob("*")) if path.is_file() and is_text(path))
    top = (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name != ".git")
    yield from (path for path in top if is_text(path))


def is_text(path: Path) -> bool:
    return path.suffix in {
        "",
        ".md",
        ".py",
        ".sql",
        ".lua",
        ".toml",
        ".lock",
        ".yaml",
        ".html",
        ".svg",
        ".csv",
    }


def found(pattern: re.Pattern[str], paths: Iterator[Path]) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(lines(path), start=1):
            if pattern.search(line):
                yield f"{place(path)}:{number}: {line.strip()[:80]}"
